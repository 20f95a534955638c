"""Transform jobs of SageMaker, started and followed with the AWS credentials of this shell."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.cli.credentials import CONFIG, mismatch
from ephemeral_endpoints.features.serving.specs import ENDPOINT

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

POLL_SECONDS: Final = 5.0
_ARN: Final = re.compile(r"arn:[a-z-]+:sagemaker:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):endpoint/.+")
_LOG_GROUP: Final = "/aws/sagemaker/TransformJobs"
_MOST_NAME: Final = 63
_RUNNING: Final = frozenset({"InProgress", "Stopping"})
_ACTIONS: Final = (
    "sagemaker:DescribeEndpoint, sagemaker:DescribeEndpointConfig, sagemaker:CreateTransformJob and "
    "sagemaker:DescribeTransformJob"
)


class TransformFailed(Exception):  # noqa: N818 - what has happened
    """There are no predictions, or not all; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be transformed, and how."""

    source: str
    target: str
    instance_type: str
    content_type: str
    by_line: bool
    megabytes: int

    def request(self, job: str, model: str) -> dict[str, Any]:
        """The request for a job of a model. Pure."""
        lines = {"SplitType": "Line"} if self.by_line else {}
        assembled = {"AssembleWith": "Line"} if self.by_line else {}
        return {
            "TransformJobName": job,
            "ModelName": model,
            "BatchStrategy": "SingleRecord",
            "MaxPayloadInMB": self.megabytes,
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": self.source}},
                "ContentType": self.content_type,
                **lines,
            },
            "TransformOutput": {"S3OutputPath": self.target, **assembled},
            "TransformResources": {"InstanceType": self.instance_type, "InstanceCount": 1},
        }


@dataclass(frozen=True, slots=True)
class Served:
    """The SageMaker endpoint of an object, by its status."""

    name: str
    region: str
    account: str

    @classmethod
    def of(cls, endpoint: EphemeralEndpoint) -> Self | None:
        """That of an object; None while it has none. Pure."""
        for each in endpoint.status.resources:
            parts = _ARN.fullmatch(each.arn or "") if each.kind == ENDPOINT.name else None
            if parts:
                return cls(each.name, parts["region"], parts["account"])
        return None

    def connect(self) -> "SageMakerClient":
        """A client for its region. Blocks; raises TransformFailed."""
        try:
            session = boto3.Session(region_name=self.region)
            if wrong := mismatch(session, self.account, "the endpoint is"):
                raise TransformFailed(wrong)
            return session.client("sagemaker", config=CONFIG)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error

    def start(self, client: "SageMakerClient", wanted: Wanted, job: str) -> str:
        """Start a job of the model that is served now; returns the model's name. Blocks; raises TransformFailed."""
        try:
            config = client.describe_endpoint(EndpointName=self.name)["EndpointConfigName"]
            variants = client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
            model = variants[0]["ModelName"]
            client.create_transform_job(**wanted.request(job, model))
        except client.exceptions.ResourceInUse:
            # The name is new: an attempt before this one has started it, and its answer was lost.
            return model
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error
        return model


def job_name(endpoint: str, now: str, identity: str) -> str:
    """A name that no job had before. Pure."""
    suffix = f"-{now}-{identity}"
    return endpoint.replace(".", "-")[: _MOST_NAME - len(suffix)].rstrip("-") + suffix


def follow(client: "SageMakerClient", job: str, sleep: Callable[[float], None], report: Callable[[str], None]) -> None:
    """Report each status of a job, and return when it is Completed. Blocks; raises TransformFailed."""
    told = ""
    while True:
        try:
            found: Mapping[str, Any] = client.describe_transform_job(TransformJobName=job)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error
        status = found["TransformJobStatus"]
        if status != told:
            told = status
            report(status)
        if status not in _RUNNING:
            break
        sleep(POLL_SECONDS)
    if status != "Completed":
        reason = found.get("FailureReason", "somebody has stopped it")
        raise TransformFailed(f"the job {job} is {status}: {reason}; its logs are in {_LOG_GROUP}, streams {job}/")


def _unavailable(error: Exception) -> TransformFailed:
    if isinstance(error, ClientError) and "AccessDenied" in error.response["Error"]["Code"]:
        return TransformFailed(
            f"{error.response['Error'].get('Message', 'AWS refuses access')}. Ask whoever administers the account for "
            f"{_ACTIONS}"
        )
    return TransformFailed(str(error))
