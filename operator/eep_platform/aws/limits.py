"""Request rates of an account: token buckets for groups of operations, as AWS applies them."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from eep_platform.aws.wire import operations

_THROTTLING_CODES = {
    "apigateway": "TooManyRequestsException",
    "apigatewayv2": "TooManyRequestsException",
    "cloudwatch": "Throttling",
    "iam": "Throttling",
    "lambda": "TooManyRequestsException",
    "resourcegroupstaggingapi": "ThrottledException",
    "sts": "Throttling",
}
_COMMON_THROTTLING_CODE = "ThrottlingException"


def throttling_code(service: str) -> str:
    """The error code of a service for an exceeded request rate."""
    return _THROTTLING_CODES.get(service, _COMMON_THROTTLING_CODE)


class Limit(BaseModel):
    """A request rate that a group of a service's operations shares.

    `rate` is in requests per second. `burst` is the bucket's size in requests, by default that of one second. `code` is
    the error code for throttled calls, by default the service's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    operations: tuple[str, ...] | Literal["*"] = "*"
    excluding: tuple[str, ...] = ()
    rate: float = Field(gt=0)
    burst: float | None = Field(default=None, ge=1)
    code: str | None = None

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        known = operations(self.service)
        if known is None:
            raise ValueError(f"there is no AWS service {self.service!r}: use the name that boto3.client takes")
        named = {*self.excluding, *(() if self.operations == "*" else self.operations)}
        if unknown := sorted(named - known):
            raise ValueError(f"{self.service} has no operation {', '.join(unknown)}")
        return self

    @property
    def capacity(self) -> float:
        """How many requests can pass at once."""
        return self.burst if self.burst is not None else max(1.0, self.rate)

    @property
    def error_code(self) -> str:
        """The error code for a throttled call."""
        return self.code or throttling_code(self.service)

    def covers(self, service: str | None, operation: str | None) -> bool:
        """Whether a call takes a token from this limit's bucket."""
        if service != self.service or operation in self.excluding:
            return False
        return self.operations == "*" or operation in self.operations


class Throttle:
    """The buckets of several limits. A call needs a token from every limit that covers it, or takes none."""

    def __init__(self, limits: Iterable[Limit] = (), *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: list[Bucket] = []
        self.set(limits)

    @property
    def limits(self) -> Sequence[Limit]:
        """The limits in force."""
        return [bucket.limit for bucket in self._buckets]

    def set(self, limits: Iterable[Limit]) -> None:
        """Put other limits in force, with full buckets."""
        now = self._clock()
        self._buckets = [Bucket(limit, now) for limit in limits]

    def admit(self, service: str | None, operation: str | None) -> Limit | None:
        """Take a call's tokens; returns the limit that it exceeds, or None if it may pass."""
        now = self._clock()
        buckets = [bucket for bucket in self._buckets if bucket.limit.covers(service, operation)]
        for bucket in buckets:
            if not bucket.has_token(now):
                return bucket.limit
        for bucket in buckets:
            bucket.take()
        return None


class Bucket:
    """The tokens of one limit. Times are monotonic seconds; a new one is full."""

    def __init__(self, limit: Limit, now: float) -> None:
        self.limit = limit
        self._tokens = limit.capacity
        self._filled = now

    def has_token(self, now: float) -> bool:
        """Whether a request may pass now."""
        earned = (now - self._filled) * self.limit.rate
        self._tokens = min(self.limit.capacity, self._tokens + earned)
        self._filled = now
        return self._tokens >= 1

    def take(self) -> None:
        """Use a token for a request that passes."""
        self._tokens -= 1


def _each(service: str, rate: float, *names: str) -> list[Limit]:
    """Limits that AWS documents per operation: each has its own bucket."""
    return [Limit(service=service, operations=(name,), rate=rate) for name in names]


def documented() -> list[Limit]:
    """The fixed default rates that AWS documents per account and region, for the services that this project calls.

    Sources: the quota pages of API Gateway (10 requests per second over all control operations, burst 40), of
    CloudWatch, of CloudWatch Logs (GetLogEvents: the lowest of all regions), of Lambda (15 per second over all control
    operations but GetFunction and GetPolicy, which have their own; invocations are apart), of ECR, of Firehose (its
    control operations), of Systems Manager (PutParameter), and of Tag Editor (GetResources). SageMaker documents none.
    """
    own_in_lambda = ("GetFunction", "GetPolicy")
    invocations = ("Invoke", "InvokeAsync", "InvokeWithResponseStream")
    return [
        Limit(service="apigatewayv2", rate=10, burst=40),
        *_each("cloudwatch", 3, "PutMetricAlarm", "DeleteAlarms"),
        *_each("cloudwatch", 9, "DescribeAlarms"),
        *_each("cloudwatch", 10, "ListTagsForResource"),
        *_each("cloudwatch", 10, "PutDashboard", "GetDashboard", "ListDashboards", "DeleteDashboards"),
        *_each("cloudwatch", 20, "TagResource", "UntagResource"),
        *_each("logs", 10, "CreateLogGroup", "DeleteLogGroup", "DescribeLogGroups", "GetLogEvents"),
        *_each("logs", 25, "DescribeLogStreams"),
        *_each("logs", 5, "ListTagsForResource", "PutRetentionPolicy", "TagResource", "UntagResource"),
        *_each("lambda", 100, "GetFunction"),
        *_each("lambda", 15, "GetPolicy"),
        Limit(service="lambda", excluding=(*own_in_lambda, *invocations), rate=15),
        *_each("ecr", 10, "PutImage"),
        *_each("firehose", 5, "CreateDeliveryStream", "DeleteDeliveryStream", "DescribeDeliveryStream"),
        *_each("firehose", 5, "ListDeliveryStreams", "UpdateDestination"),
        *_each("firehose", 5, "ListTagsForDeliveryStream", "TagDeliveryStream", "UntagDeliveryStream"),
        *_each("ssm", 3, "PutParameter"),
        *_each("resourcegroupstaggingapi", 15, "GetResources"),
    ]
