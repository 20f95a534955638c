"""Reads what authorization needs to know about resources, from the services themselves and past the meter."""

from collections.abc import Callable, Mapping
from functools import cached_property
from threading import Lock
from typing import Any, Final
from urllib.parse import unquote

import boto3
from botocore.exceptions import ClientError

from eep_platform.aws import ministack

_TAGS_PATH: Final = "/tags/"
_STREAM: Final = ":log-stream:"
_DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"


class Lookups:
    """Reads from the services at these URLs. Thread-safe; all methods block; missing resources give empty results."""

    def __init__(self, key: str, *, upstream: str, sagemaker: str) -> None:
        """``key`` is an access key of the account, or its ID, which the emulator takes too."""
        self._key = key
        self._upstream = upstream
        self._sagemaker = sagemaker
        self._clients: dict[str, Any] = {}
        self._lock = Lock()

    def tags(self, arn: str) -> Mapping[str, str]:
        """The tags of a resource; empty for kinds without tags."""
        read = _READERS.get(arn.split(":")[2])
        if read is None:
            return {}
        try:
            return read(self, arn)
        except ClientError:
            return {}

    def role_arn(self, name: str) -> str | None:
        """The ARN of a role, which contains its path; None if there is none of that name."""
        role = self._role(name)
        return str(role["Arn"]) if role else None

    def trust_of(self, role_arn: str) -> Mapping[str, Any] | None:
        """The trust policy of a role; None if there is no such role."""
        role = self._role(role_arn.rpartition("/")[2])
        trust: Mapping[str, Any] | None = role and role["AssumeRolePolicyDocument"]
        return trust if role and role["Arn"] == role_arn else None

    def _role(self, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self.client("iam").get_role(RoleName=name)["Role"]
        except ClientError:
            return None
        return found

    def config_of(self, endpoint: str) -> str:
        """The configuration of an endpoint."""
        try:
            answer = self.client("sagemaker").describe_endpoint(EndpointName=endpoint)
        except ClientError:
            return ""
        return str(answer["EndpointConfigName"])

    def volume_key_of(self, config: str) -> str:
        """The KMS key for the volumes of an endpoint configuration."""
        try:
            answer = self.client("sagemaker").describe_endpoint_config(EndpointConfigName=config)
        except ClientError:
            return ""
        return str(answer.get("KmsKeyId", ""))

    def target_arn(self, resource_id: str) -> str:
        """The ARN of the scalable target of a variant."""
        answer = self.client("application-autoscaling").describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[resource_id], ScalableDimension=_DIMENSION
        )
        return next((each["ScalableTargetARN"] for each in answer["ScalableTargets"]), "")

    def client(self, service: str) -> Any:  # noqa: ANN401 - any service's
        """A client of a service."""
        with self._lock:
            if service not in self._clients:
                beside = service in {"sagemaker", "application-autoscaling"}
                make: Any = self._session.client
                self._clients[service] = make(service, endpoint_url=self._sagemaker if beside else self._upstream)
            return self._clients[service]

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(
            aws_access_key_id=self._key,
            aws_secret_access_key="guard",  # noqa: S106 - an emulator's, which checks none
            region_name=ministack.REGION,
        )


def _of_sagemaker(lookups: Lookups, arn: str) -> Mapping[str, str]:
    pages = lookups.client("sagemaker").get_paginator("list_tags").paginate(ResourceArn=arn)
    return {each["Key"]: each["Value"] for page in pages for each in page["Tags"]}


def _of_scaling(lookups: Lookups, arn: str) -> Mapping[str, str]:
    found: dict[str, str] = lookups.client("application-autoscaling").list_tags_for_resource(ResourceARN=arn)["Tags"]
    return found


def _of_events(lookups: Lookups, arn: str) -> Mapping[str, str]:
    answer = lookups.client("events").list_tags_for_resource(ResourceARN=arn)
    return {each["Key"]: each["Value"] for each in answer["Tags"]}


def _of_lambda(lookups: Lookups, arn: str) -> Mapping[str, str]:
    found: dict[str, str] = lookups.client("lambda").list_tags(Resource=arn)["Tags"]
    return found


def _of_logs(lookups: Lookups, arn: str) -> Mapping[str, str]:
    group = arn.partition(_STREAM)[0]
    found: dict[str, str] = lookups.client("logs").list_tags_for_resource(resourceArn=group)["tags"]
    return found


def _of_cloudwatch(lookups: Lookups, arn: str) -> Mapping[str, str]:
    answer = lookups.client("cloudwatch").list_tags_for_resource(ResourceARN=arn)
    return {each["Key"]: each["Value"] for each in answer["Tags"]}


def _of_dynamodb(lookups: Lookups, arn: str) -> Mapping[str, str]:
    answer = lookups.client("dynamodb").list_tags_of_resource(ResourceArn=arn)
    return {each["Key"]: each["Value"] for each in answer["Tags"]}


def _of_firehose(lookups: Lookups, arn: str) -> Mapping[str, str]:
    name = arn.rpartition("/")[2]
    answer = lookups.client("firehose").list_tags_for_delivery_stream(DeliveryStreamName=name, Limit=50)
    return {each["Key"]: each["Value"] for each in answer["Tags"]}


def _of_ssm(lookups: Lookups, arn: str) -> Mapping[str, str]:
    name = arn.partition(":parameter")[2]
    answer = lookups.client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
    return {each["Key"]: each["Value"] for each in answer["TagList"]}


def _of_ecr(lookups: Lookups, arn: str) -> Mapping[str, str]:
    answer = lookups.client("ecr").list_tags_for_resource(resourceArn=arn)
    return {each["Key"]: each["Value"] for each in answer["tags"]}


def _of_api_gateway(lookups: Lookups, arn: str) -> Mapping[str, str]:
    """The tags of an API or of a stage; its other parts have none."""
    path = arn.split(":", 5)[5]
    if path.startswith(_TAGS_PATH):
        return _of_api_gateway(lookups, unquote(path.removeprefix(_TAGS_PATH)))
    parts = path.split("/")
    if len(parts) == len(("", "apis", "id", "stages", "name")) and parts[3] == "stages":
        stage = lookups.client("apigatewayv2").get_stage(ApiId=parts[2], StageName=parts[4])
        return dict(stage.get("Tags", {}))
    if parts[:2] != ["", "apis"] or len(parts) != len(("", "apis", "id")):
        return {}
    found: dict[str, str] = lookups.client("apigatewayv2").get_api(ApiId=parts[2]).get("Tags", {})
    return found


_READERS: Final[Mapping[str, Callable[[Lookups, str], Mapping[str, str]]]] = {
    "apigateway": _of_api_gateway,
    "application-autoscaling": _of_scaling,
    "cloudwatch": _of_cloudwatch,
    "dynamodb": _of_dynamodb,
    "ecr": _of_ecr,
    "events": _of_events,
    "firehose": _of_firehose,
    "lambda": _of_lambda,
    "logs": _of_logs,
    "sagemaker": _of_sagemaker,
    "ssm": _of_ssm,
}
