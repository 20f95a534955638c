"""Client-side rate limits of the account, shared fairly.

There is one token bucket per documented limit. Callers that wait for a bucket take turns, by namespace and within it by
object, so that neither a busy object nor a crowd of them delays the others. Deletions have a lane of their own, so that
a burst of creations cannot starve them.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

Sleep = Callable[[float], Awaitable[None]]
Group = Callable[[str], str]
"""Returns the namespace of an owner; owners without one form a single group."""

Waiting = OrderedDict[str, OrderedDict[str, deque[asyncio.Future[None]]]]


def _together(_: str) -> str:
    return ""


TURNS_IN_A_ROW: Final = 4
"""Consecutive calls of one object before the next object's turn.

In a burst it is better that some objects finish early than that all finish late.
"""


class Priority(IntEnum):
    """The lane of a call at a bucket; lanes are served alternately."""

    DELETE = 0
    NORMAL = 1


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of an account and region: requests per second in steady state, and the burst."""

    name: str
    rate: float
    burst: int


_USED_SHARE: Final = 0.98

_API_GATEWAY = Limit("apigateway", 10, 40)
_LAMBDA = Limit("lambda-control", 15, 15)

OWN_PACE: Final[Mapping[tuple[str, str], Limit]] = {
    ("sagemaker", "ListTags"): Limit("list-sagemaker-tags", 25, 50),
    ("sagemaker", "StartPipelineExecution"): Limit("start-pipeline-execution", 1, 2),
    ("ssm", "DeleteParameter"): Limit("delete-parameter", 5, 5),
    ("ssm", "ListTagsForResource"): Limit("list-parameter-tags", 5, 5),
    ("ssm", "AddTagsToResource"): Limit("tag-parameter", 5, 5),
}
"""Operations without a documented limit that we slow down ourselves.

After a restart, tags are read of all resources that are to be deleted and that the index of tags does not prove. For a
thousand objects at once this would use up the CPU and delay the first deletions, while the last ones have to wait for
their limits anyway. A pipeline creates training jobs, of which SageMaker takes one a second. SSM throttles changes of
parameters at a few per second, and what is throttled waits longest.
"""

LIMITS: Final[Mapping[tuple[str, str], Limit]] = {
    ("apigatewayv2", "*"): _API_GATEWAY,
    ("cloudwatch", "PutMetricAlarm"): Limit("put-metric-alarm", 3, 3),
    ("cloudwatch", "DeleteAlarms"): Limit("delete-alarms", 3, 3),
    ("cloudwatch", "DescribeAlarms"): Limit("describe-alarms", 9, 9),
    ("cloudwatch", "ListTagsForResource"): Limit("list-alarm-tags", 10, 10),
    ("cloudwatch", "TagResource"): Limit("tag-alarm", 20, 20),
    ("firehose", "CreateDeliveryStream"): Limit("create-delivery-stream", 5, 5),
    ("firehose", "DeleteDeliveryStream"): Limit("delete-delivery-stream", 5, 5),
    ("firehose", "DescribeDeliveryStream"): Limit("describe-delivery-stream", 5, 5),
    ("firehose", "ListDeliveryStreams"): Limit("list-delivery-streams", 5, 5),
    ("firehose", "ListTagsForDeliveryStream"): Limit("list-delivery-stream-tags", 5, 5),
    ("firehose", "TagDeliveryStream"): Limit("tag-delivery-stream", 5, 5),
    ("firehose", "UpdateDestination"): Limit("update-destination", 5, 5),
    ("logs", "CreateLogGroup"): Limit("create-log-group", 10, 10),
    ("logs", "DeleteLogGroup"): Limit("delete-log-group", 10, 10),
    ("logs", "DescribeLogGroups"): Limit("describe-log-groups", 10, 10),
    ("logs", "DescribeLogStreams"): Limit("describe-log-streams", 25, 25),
    ("logs", "GetLogEvents"): Limit("get-log-events", 10, 10),
    ("logs", "ListTagsForResource"): Limit("list-log-group-tags", 5, 5),
    ("logs", "PutRetentionPolicy"): Limit("put-retention-policy", 5, 5),
    ("logs", "TagResource"): Limit("tag-log-group", 5, 5),
    ("lambda", "*"): _LAMBDA,
    ("lambda", "GetPolicy"): Limit("get-policy", 15, 15),
    ("ssm", "PutParameter"): Limit("put-parameter", 3, 3),
    ("resourcegroupstaggingapi", "GetResources"): Limit("get-tagged-resources", 15, 15),
    **OWN_PACE,
}
"""Limits by (service, operation); ``*`` means every operation of the service.

Sources: the "endpoints and quotas" pages of API Gateway, CloudWatch, CloudWatch Logs, Lambda and Systems Manager in
the AWS General Reference, the quotas in the developer guide of Firehose, and "Service quotas" in the Tag Editor User
Guide. If a limit depends on the region, as that of GetLogEvents does, it is the lowest one.
"""

_UNDOCUMENTED: Final = "AWS documents no request rate"
_UNDOCUMENTED_IN_ECR: Final = "ECR documents request rates of pushes and pulls only"

UNLIMITED: Final[Mapping[tuple[str, str], str]] = {
    ("application-autoscaling", "*"): _UNDOCUMENTED,
    ("codebuild", "*"): _UNDOCUMENTED,
    ("dynamodb", "*"): "2,500 reads of tables per second, more than the operator can make",
    ("ecr", "BatchDeleteImage"): _UNDOCUMENTED_IN_ECR,
    ("ecr", "BatchGetImage"): "2,000 per second, more than the operator can make",
    ("ecr", "CreateRepository"): _UNDOCUMENTED_IN_ECR,
    ("ecr", "DeleteRepository"): _UNDOCUMENTED_IN_ECR,
    ("ecr", "DescribeImageScanFindings"): _UNDOCUMENTED_IN_ECR,
    ("ecr", "DescribeImages"): _UNDOCUMENTED_IN_ECR,
    ("ecr", "DescribeRepositories"): _UNDOCUMENTED_IN_ECR,
    ("ecr", "GetDownloadUrlForLayer"): "3,000 per second, more than the operator can make",
    ("ecr", "GetLifecyclePolicy"): _UNDOCUMENTED_IN_ECR,
    ("ecr", "ListTagsForResource"): _UNDOCUMENTED_IN_ECR,
    ("ecr", "PutImageScanningConfiguration"): _UNDOCUMENTED_IN_ECR,
    ("ecr", "PutImageTagMutability"): _UNDOCUMENTED_IN_ECR,
    ("ecr", "PutLifecyclePolicy"): _UNDOCUMENTED_IN_ECR,
    ("ecr", "TagResource"): _UNDOCUMENTED_IN_ECR,
    ("events", "*"): "50 per second, more than the operator makes: a rule for each class, which is seldom changed",
    ("iam", "GetRole"): "AWS documents no request rate, and the operator reads a class's roles once an hour",
    ("s3", "*"): "3,500 writes and 5,500 reads per second and prefix, more than the operator can make",
    ("sagemaker", "*"): _UNDOCUMENTED,
    ("sns", "Publish"): "at least 300 per second, and the operator sends one a second to each target of a class",
    ("ssm", "DescribeParameters"): _UNDOCUMENTED,
    ("sqs", "*"): "a standard queue has a nearly unlimited rate",
    ("sts", "*"): "600 per second, and the operator calls it once for each role",
}
"""Why the other operations that the operator calls have no limit here. Their throttled calls are retried.

Every call of the operator is in one of the two tables, as the tests of its components check.
"""


def share(limits: Mapping[tuple[str, str], Limit], count: int) -> Mapping[tuple[str, str], Limit]:
    """The limits of each of ``count`` processes that share them."""
    return {
        call: replace(limit, rate=limit.rate / count, burst=max(1, limit.burst // count))
        for call, limit in limits.items()
    }


class Bucket:
    """A token bucket with a queue per lane, in which owners take turns of a few calls. Times are in seconds."""

    def __init__(
        self, limit: Limit, clock: Callable[[], float], sleep: Sleep = asyncio.sleep, group: Group = _together
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._limit = limit
        self._tokens = float(limit.burst)
        self._filled_at = clock()
        self._group = group
        self._lanes: dict[Priority, Waiting] = {priority: OrderedDict() for priority in Priority}
        self._last_lane = Priority.NORMAL
        self._served = ""
        self._in_a_row = 0
        self._serving: asyncio.Task[None] | None = None

    async def take(self, owner: str, priority: Priority) -> None:
        """Wait for a token; returns at once if one is available and no caller waits."""
        self._fill()
        if self._tokens >= 1 and not any(self._lanes.values()):
            self._tokens -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lanes[priority].setdefault(self._group(owner), OrderedDict()).setdefault(owner, deque()).append(turn)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        await turn

    def drain(self) -> None:
        """Empty the bucket: AWS has just throttled a call."""
        self._fill()
        self._tokens = min(self._tokens, 0.0)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(float(self._limit.burst), self._tokens + (now - self._filled_at) * self._limit.rate)
        self._filled_at = now

    async def _serve(self) -> None:
        while any(self._lanes.values()):
            self._fill()
            if self._tokens < 1:
                await self._sleep((1 - self._tokens) / self._limit.rate)
                continue
            turn = self._next_turn()
            if not turn.done():
                self._tokens -= 1
                turn.set_result(None)

    def _next_turn(self) -> asyncio.Future[None]:
        priority = next(priority for priority in self._lane_order() if self._lanes[priority])
        self._last_lane = priority
        groups = self._lanes[priority]
        group, waiting = next(iter(groups.items()))
        owner, turns = next(iter(waiting.items()))
        turn = turns.popleft()
        self._in_a_row = self._in_a_row + 1 if owner == self._served else 1
        self._served = owner
        if turns and self._in_a_row < TURNS_IN_A_ROW:
            return turn
        if turns:
            waiting.move_to_end(owner)
            self._in_a_row = 0
        else:
            del waiting[owner]
        if waiting:
            groups.move_to_end(group)
        else:
            del groups[group]
        return turn

    def _lane_order(self) -> tuple[Priority, ...]:
        return tuple(sorted(Priority, key=lambda priority: priority == self._last_lane))


def _prudent(limit: Limit) -> Limit:
    """The part of a limit that we use.

    AWS's bucket and ours do not fill in step: a call that arrives slightly early is throttled, and waits far longer.
    """
    return replace(limit, rate=limit.rate * _USED_SHARE, burst=max(1, limit.burst - 1))


class Limiter:
    """The buckets of one account and region."""

    def __init__(
        self,
        clock: Callable[[], float],
        limits: Mapping[tuple[str, str], Limit] = LIMITS,
        sleep: Sleep = asyncio.sleep,
        group: Group = _together,
    ) -> None:
        self._limits = limits
        self._buckets = {limit: Bucket(_prudent(limit), clock, sleep, group) for limit in set(limits.values())}

    async def take(self, service: str, operation: str, owner: str, priority: Priority) -> None:
        """Wait until a call of the operation is within its limit; returns at once without a limit."""
        if bucket := self._bucket(service, operation):
            await bucket.take(owner, priority)

    def throttled(self, service: str, operation: str) -> None:
        """Record that AWS has throttled such a call."""
        if bucket := self._bucket(service, operation):
            bucket.drain()

    def _bucket(self, service: str, operation: str) -> Bucket | None:
        limit = self._limits.get((service, operation)) or self._limits.get((service, "*"))
        return self._buckets[limit] if limit else None
