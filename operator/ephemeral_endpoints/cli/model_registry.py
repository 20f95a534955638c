"""Versions of models in the SageMaker Model Registry, read and changed with the AWS credentials of this shell."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.api.v1alpha1.packages import Approval
from ephemeral_endpoints.api.v1alpha1.partitions import partition_of

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient

_CONFIG: Final = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3, "mode": "standard"})
_NAME: Final = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}/[1-9][0-9]{0,8}")
_S3: Final = re.compile(r"s3://(?P<bucket>[^/]+)/(?P<key>.+)")
_LARGEST_METRICS: Final = 1024 * 1024


class RegistryUnavailable(Exception):  # noqa: N818 - what it is about
    """The registry cannot be used; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """A version with what is shown of it. ``metrics`` are the numbers of its evaluation, by their paths."""

    arn: str
    approval: str
    comment: str
    status: str
    created_at: datetime
    image: str
    digest: str
    data: str
    environment: Mapping[str, str]
    properties: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def name(self) -> str:
        """The group and the number."""
        return self.arn.rpartition(":model-package/")[2]


@dataclass(frozen=True, slots=True)
class ModelRegistry:
    """The registry of an account and region. Methods block, and raise RegistryUnavailable."""

    sagemaker: "SageMakerClient"
    s3: "S3Client"
    account: str
    region: str

    @classmethod
    def connect(cls, region: str | None) -> Self:
        """That of the shell's credentials, in a region or the one that they are set to."""
        with _translated():
            session = boto3.Session(region_name=region)
            if session.region_name is None:
                raise RegistryUnavailable("no region: name one with --region, or set AWS_REGION")
            account = session.client("sts", config=_CONFIG).get_caller_identity()["Account"]
            clients = (session.client("sagemaker", config=_CONFIG), session.client("s3", config=_CONFIG))
            return cls(*clients, account, session.region_name)

    def newest(self, group: str, limit: int) -> list[RegisteredVersion]:
        """The newest versions of a group, the newest first."""
        with _translated():
            found = self.sagemaker.list_model_packages(
                ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending", MaxResults=limit
            )["ModelPackageSummaryList"]
        return [self.version(each["ModelPackageArn"]) for each in found]

    def version(self, name: str) -> RegisteredVersion:
        """The version of a name or an ARN."""
        with _translated():
            return self._read(self.sagemaker.describe_model_package(ModelPackageName=self._arn(name)))

    def decide(self, version: RegisteredVersion, approval: Approval, description: str) -> None:
        """Approve or reject a version."""
        comment = {"ApprovalDescription": description} if description else {}
        with _translated():
            self.sagemaker.update_model_package(
                ModelPackageArn=version.arn,
                ModelApprovalStatus=approval.value,
                **comment,  # type: ignore[arg-type]  # a description
            )

    def _arn(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            return name
        partition = partition_of(self.region).id
        return f"arn:{partition}:sagemaker:{self.region}:{self.account}:model-package/{name}"

    def _read(self, answer: Any) -> RegisteredVersion:  # noqa: ANN401 - of many members, most of them optional
        containers = answer.get("InferenceSpecification", {}).get("Containers", [])
        container = containers[0] if containers else {}
        source = container.get("ModelDataSource", {}).get("S3DataSource", {})
        quality = answer.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {})
        return RegisteredVersion(
            arn=answer["ModelPackageArn"],
            approval=answer.get("ModelApprovalStatus", Approval.PENDING.value),
            comment=answer.get("ApprovalDescription", ""),
            status=answer["ModelPackageStatus"],
            created_at=answer["CreationTime"],
            image=container.get("Image", ""),
            digest=container.get("ImageDigest", ""),
            data=container.get("ModelDataUrl") or source.get("S3Uri", ""),
            environment=container.get("Environment", {}),
            properties=answer.get("CustomerMetadataProperties", {}),
            metrics=self._metrics(quality.get("S3Uri", "")),
        )

    def _metrics(self, uri: str) -> dict[str, float]:
        """The numbers of an evaluation in S3; none where it cannot be read, which keeps nobody from deciding."""
        place = _S3.fullmatch(uri)
        if place is None:
            return {}
        try:
            body = self.s3.get_object(Bucket=place["bucket"], Key=place["key"])["Body"]
            with body:
                return numbers(json.loads(body.read(_LARGEST_METRICS)))
        except (BotoCoreError, ClientError, ValueError, RecursionError):
            return {}


def numbers(document: object, path: str = "") -> dict[str, float]:
    """The numbers of a document, by the names of the members that lead to them."""
    if isinstance(document, Mapping):
        inner = (numbers(value, f"{path}.{key}" if path else str(key)) for key, value in document.items())
        return {name: number for each in inner for name, number in each.items()}
    if isinstance(document, bool) or not isinstance(document, int | float):
        return {}
    return {path: float(document)}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        message = details.get("Message") or str(error)
        if "AccessDenied" in details.get("Code", ""):
            message += f". Ask whoever administers the account for sagemaker:{error.operation_name}"
        raise RegistryUnavailable(message) from error
    except BotoCoreError as error:
        raise RegistryUnavailable(
            f"{error}. The registry is read with the AWS credentials of this shell: log in, for example with `aws sso "
            "login`, or set AWS_PROFILE"
        ) from error
