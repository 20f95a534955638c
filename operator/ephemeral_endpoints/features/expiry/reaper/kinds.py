"""The kinds of resources that the reaper deletes: how it knows one by its ARN, reads its tags, and deletes it."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Final

from botocore.exceptions import ClientError

_GONE_CODES: Final = frozenset(
    {
        "NotFoundException",
        "InvalidResourceId",
        "ObjectNotFoundException",
        "ParameterNotFound",
        "RepositoryNotFoundException",
        "ResourceNotFound",
        "ResourceNotFoundException",
    }
)
_GONE_TEXT: Final = re.compile(r"^Could not find|does not exist|not found", re.IGNORECASE)
"""SageMaker says so with the code of a validation error."""

_IN_PROGRESS: Final = re.compile(r"in.progress", re.IGNORECASE)
"""SageMaker refuses to delete an endpoint that is being created, changed or deleted; all of that ends by itself."""

VARIANTS: Final[Mapping[str, str]] = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}

TagMap = Mapping[str, str]

AT_ONCE: Final = 100
"""The most alarms that one call deletes
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html)."""

_SECONDS_APART: Final = 0.1
"""API Gateway takes ten requests a second, as does CloudWatch Logs for most operations; Lambda takes more."""


class Aws:
    """The services, for several threads. ``make`` returns the client of one; each is made when it is needed first.

    ``clock`` tells the time of this machine, in seconds since 1970.
    """

    def __init__(
        self, make: Callable[[str], Any], clock: Callable[[], float], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.clock = clock
        self._make = make
        self._sleep = sleep
        self._lock = Lock()
        self._clients: dict[str, Any] = {}
        self.calls = 0

    def client(self, service: str) -> Any:
        """The client of a service, whose requests are counted, and kept within the limits of the account."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = client = self._make(service)
                client.meta.events.register("before-send", partial(self._pace, Lock()))
            return self._clients[service]

    def _pace(self, turn: Lock, **_: object) -> None:
        with self._lock:
            self.calls += 1
        with turn:
            self._sleep(_SECONDS_APART)


def items(aws: Aws, service: str, operation: str, member: str, **asked: Any) -> Iterator[Any]:
    """All that a list has, page by page."""
    for page in aws.client(service).get_paginator(operation).paginate(**asked):
        yield from page[member]


class InProgressError(Exception):
    """The resource is changing; it can be deleted by a later run."""


def is_gone(error: Exception) -> bool:
    """Whether AWS says that the resource does not exist."""
    if not isinstance(error, ClientError):
        return False
    said = error.response.get("Error", {})
    is_refused = said.get("Code") in {"ValidationException", "ValidationError"}
    return said.get("Code") in _GONE_CODES or (is_refused and bool(_GONE_TEXT.search(said.get("Message", ""))))


@dataclass(frozen=True, slots=True)
class ReapedKind:
    """A kind of resource, named as in the operator's inventory.

    ``arn`` is what its ARNs have between the service and the name. It is deleted once nothing of ``after`` is there,
    and nothing of it could be left for want of a right or an answer.
    """

    name: str
    service: str
    arn: str
    tags: Callable[[Aws, str], TagMap]
    """Reads the tags of the resource with an ARN from its own service."""

    delete: Callable[[Aws, str], object]
    """Deletes the resource with a name."""

    after: tuple[str, ...] = ()
    delete_all: Callable[[Aws, Sequence[str]], object] | None = None
    """Deletes at most ``AT_ONCE`` resources by one call, all or none, where AWS can."""

    is_dear: bool = False
    """Whether the operator cannot make it again as it was, or not soon: it goes after all else of its object, and only
    if its end is still past right before."""


def _listed(tags: Any) -> TagMap:
    return {each["Key"]: each["Value"] for each in tags}


def _of_sagemaker(aws: Aws, arn: str) -> TagMap:
    return _listed(items(aws, "sagemaker", "list_tags", "Tags", ResourceArn=arn))


def _delete_endpoint(aws: Aws, name: str) -> None:
    try:
        aws.client("sagemaker").delete_endpoint(EndpointName=name)
    except ClientError as error:
        if _IN_PROGRESS.search(str(error)):
            raise InProgressError from error
        raise


def _of_dynamodb(aws: Aws, arn: str) -> TagMap:
    return _listed(items(aws, "dynamodb", "list_tags_of_resource", "Tags", ResourceArn=arn))


def _of_ssm(aws: Aws, arn: str) -> TagMap:
    name = arn.split(":", 5)[5].removeprefix("parameter")
    return _listed(aws.client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"])


def _of_firehose(aws: Aws, arn: str) -> TagMap:
    name = arn.rpartition("/")[2]
    found: list[Any] = []
    while True:
        start = {"ExclusiveStartTagKey": found[-1]["Key"]} if found else {}
        page = aws.client("firehose").list_tags_for_delivery_stream(DeliveryStreamName=name, **start)
        found += page["Tags"]
        if not page["HasMoreTags"]:
            return _listed(found)


SCALABLE_TARGET: Final = ReapedKind(
    "ScalableTarget",
    "application-autoscaling",
    "scalable-target/",
    lambda aws, arn: dict(aws.client("application-autoscaling").list_tags_for_resource(ResourceARN=arn)["Tags"]),
    lambda aws, name: aws.client("application-autoscaling").deregister_scalable_target(ResourceId=name, **VARIANTS),
)
"""Its ARN is a hash, so that it is found by lists only. Its policies and schedules go with it."""

LOG_GROUP: Final = ReapedKind(
    "LogGroup",
    "logs",
    "log-group:",
    lambda aws, arn: dict(aws.client("logs").list_tags_for_resource(resourceArn=arn)["tags"]),
    lambda aws, name: aws.client("logs").delete_log_group(logGroupName=name),
    after=("Endpoint", "Function"),
)
"""Services make it again, without tags, for lines that come late: it goes when nothing is left to write some."""

HTTP_API: Final = ReapedKind(
    "HttpApi",
    "apigateway",
    "/apis/",
    lambda aws, arn: dict(aws.client("apigatewayv2").get_api(ApiId=arn.rpartition("/")[2]).get("Tags", {})),
    lambda aws, id_: aws.client("apigatewayv2").delete_api(ApiId=id_),
    is_dear=True,
)
"""Another one would have another URL."""

REPOSITORY: Final = ReapedKind(
    "Repository",
    "ecr",
    "repository/",
    lambda aws, arn: _listed(aws.client("ecr").list_tags_for_resource(resourceArn=arn)["tags"]),
    lambda aws, name: aws.client("ecr").delete_repository(repositoryName=name, force=True),
)

DELIVERY_STREAM: Final = ReapedKind(
    "DeliveryStream",
    "firehose",
    "deliverystream/",
    _of_firehose,
    lambda aws, name: aws.client("firehose").delete_delivery_stream(DeliveryStreamName=name),
)
ALARM: Final = ReapedKind(
    "Alarm",
    "cloudwatch",
    "alarm:",
    lambda aws, arn: _listed(aws.client("cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"]),
    lambda aws, name: aws.client("cloudwatch").delete_alarms(AlarmNames=[name]),
    delete_all=lambda aws, names: aws.client("cloudwatch").delete_alarms(AlarmNames=names),
)

PIPELINE: Final = ReapedKind(
    "Pipeline",
    "sagemaker",
    "pipeline/",
    _of_sagemaker,
    lambda aws, name: aws.client("sagemaker").delete_pipeline(
        PipelineName=name, ClientRequestToken=f"delete-{name:-<32}"
    ),
)

API_MAPPING: Final = "ApiMapping"
"""Paths of a custom domain: API Gateway deletes no API that has any."""

ROUTE_THROTTLE: Final = "RouteThrottle"
"""Settings of a route in a stage: once the route is gone they block every later update of the stage."""

ROUTE: Final = "Route"
INTEGRATION: Final = "Integration"
UNTAGGED: Final = (API_MAPPING, ROUTE_THROTTLE, ROUTE, INTEGRATION)
"""Kinds without tags, in the order of their deletion: they are found by the API that they are of."""

OF_OBJECTS: Final = (
    SCALABLE_TARGET,
    HTTP_API,
    ReapedKind("Endpoint", "sagemaker", "endpoint/", _of_sagemaker, _delete_endpoint, is_dear=True),
    ReapedKind(
        "Function",
        "lambda",
        "function:",
        lambda aws, arn: dict(aws.client("lambda").list_tags(Resource=arn)["Tags"]),
        lambda aws, name: aws.client("lambda").delete_function(FunctionName=name),
        after=UNTAGGED,
    ),
    ALARM,
    ReapedKind(
        "Parameter",
        "ssm",
        "parameter",
        _of_ssm,
        lambda aws, name: aws.client("ssm").delete_parameter(Name=name),
    ),
    ReapedKind(
        "FeedbackTable",
        "dynamodb",
        "table/",
        _of_dynamodb,
        lambda aws, name: aws.client("dynamodb").delete_table(TableName=name),
        is_dear=True,
    ),
    ReapedKind(
        "EndpointConfig",
        "sagemaker",
        "endpoint-config/",
        _of_sagemaker,
        lambda aws, name: aws.client("sagemaker").delete_endpoint_config(EndpointConfigName=name),
        after=("Endpoint",),
    ),
    ReapedKind(
        "Model",
        "sagemaker",
        "model/",
        _of_sagemaker,
        lambda aws, name: aws.client("sagemaker").delete_model(ModelName=name),
        after=("Endpoint",),
    ),
    LOG_GROUP,
)
"""In the order of their deletion."""

OF_CLASSES: Final = (HTTP_API, DELIVERY_STREAM, ALARM, PIPELINE, REPOSITORY)
WITH_ANOTHER: Final[Mapping[str, str]] = {"Authorizer": "HttpApi", "FunctionConcurrency": "Function"}
"""Kinds that go with a resource of another kind."""

ITS_OWN: Final = ("EventRule",)
"""Kinds that only a reaper that the operator has made has; no reaper deletes one."""

SERVICES: Final[Mapping[str, str]] = {
    **{kind.name: kind.service for kind in (*OF_OBJECTS, *OF_CLASSES)},
    **dict.fromkeys(UNTAGGED, HTTP_API.service),
}
"""The service of each kind: one that hangs is not called again in a run."""


def identify(arn: str) -> tuple[ReapedKind, str] | None:
    """The kind and the name of the resource with an ARN; None for kinds that are not the operator's."""
    _, _, service, _, _, resource = arn.split(":", 5)
    for kind in (*OF_OBJECTS, *OF_CLASSES):
        if kind.service == service and resource.startswith(kind.arn):
            return kind, resource.removeprefix(kind.arn).removesuffix(":*")
    return None
