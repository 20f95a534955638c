"""The account's rate limits, kept by ourselves and shared fairly.

One token bucket per documented limit. Those who wait for a bucket are served in turn, namespace by namespace and in
each object by object, so that neither a busy object nor a crowd of them holds up the others; deletions have a lane of
their own, so that a burst of creations cannot starve them.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

Sleep = Callable[[float], Awaitable[None]]
Group = Callable[[str], str]
"""Tells the namespace of an owner; what belongs to none is one group."""

Waiting = OrderedDict[str, OrderedDict[str, deque[asyncio.Future[None]]]]


def _together(_: str) -> str:
    return ""


TURNS_IN_A_ROW: Final = 4
"""So many calls of one object go before the next object's.

In a burst it is better that the first are done early than that all are done late.
"""


class Lane(IntEnum):
    """Who goes first at a bucket: lanes are served alternately."""

    DELETE = 0
    NORMAL = 1


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of an account and region: requests a second in steady state, and how many may come at once."""

    name: str
    rate: float
    burst: int


_USED_SHARE: Final = 0.98

_API_GATEWAY = Limit("apigateway", 10, 40)
_LAMBDA = Limit("lambda-control", 15, 15)

OWN_PACE: Final[Mapping[tuple[str, str], Limit]] = {
    ("cloudwatch", "ListTagsForResource"): Limit("list-alarm-tags", 25, 50),
    ("logs", "ListTagsForResource"): Limit("list-log-group-tags", 25, 50),
    ("sagemaker", "ListTags"): Limit("list-sagemaker-tags", 25, 50),
}
"""What AWS documents no limit of and we do not hurry.

The tags of all that is to be deleted are read after a restart. For a thousand objects at once that would use up the
processor and keep the first of them from going, while the deletions of the last have to wait for their limits anyway.
"""

LIMITS: Final[Mapping[tuple[str, str], Limit]] = {
    ("apigatewayv2", "*"): _API_GATEWAY,
    ("cloudwatch", "PutMetricAlarm"): Limit("put-metric-alarm", 3, 3),
    ("cloudwatch", "DeleteAlarms"): Limit("delete-alarms", 3, 3),
    ("cloudwatch", "DescribeAlarms"): Limit("describe-alarms", 9, 9),
    ("cloudwatch", "TagResource"): Limit("tag-alarm", 20, 20),
    ("logs", "CreateLogGroup"): Limit("create-log-group", 10, 10),
    ("logs", "DeleteLogGroup"): Limit("delete-log-group", 10, 10),
    ("logs", "DescribeLogGroups"): Limit("describe-log-groups", 10, 10),
    ("logs", "PutRetentionPolicy"): Limit("put-retention-policy", 5, 5),
    ("logs", "TagResource"): Limit("tag-log-group", 5, 5),
    ("lambda", "*"): _LAMBDA,
    **OWN_PACE,
}
"""Limits by (service, operation); ``*`` stands for every operation of the service.

Sources: the "endpoints and quotas" pages of API Gateway, CloudWatch, CloudWatch Logs and Lambda in the AWS General
Reference. SageMaker, ECR and CodeBuild publish none that matters here; their throttling answers are waited out.
"""


def share(limits: Mapping[tuple[str, str], Limit], count: int) -> Mapping[tuple[str, str], Limit]:
    """What each of so many processes may use of limits that they share."""
    return {
        call: replace(limit, rate=limit.rate / count, burst=max(1, limit.burst // count))
        for call, limit in limits.items()
    }


class Bucket:
    """A token bucket with a queue per lane, and in a lane a turn of a few calls per owner. Times are in seconds."""

    def __init__(
        self, limit: Limit, clock: Callable[[], float], sleep: Sleep = asyncio.sleep, group: Group = _together
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._limit = limit
        self._tokens = float(limit.burst)
        self._filled_at = clock()
        self._group = group
        self._lanes: dict[Lane, Waiting] = {lane: OrderedDict() for lane in Lane}
        self._last_lane = Lane.NORMAL
        self._served = ""
        self._in_a_row = 0
        self._serving: asyncio.Task[None] | None = None

    async def take(self, owner: str, lane: Lane) -> None:
        """Wait for a token; returns at once while there are some and nobody waits."""
        self._fill()
        if self._tokens >= 1 and not any(self._lanes.values()):
            self._tokens -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lanes[lane].setdefault(self._group(owner), OrderedDict()).setdefault(owner, deque()).append(turn)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        await turn

    def drain(self) -> None:
        """Empty the bucket: AWS has just said that the rate is used up."""
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
        lane = next(lane for lane in self._lane_order() if self._lanes[lane])
        self._last_lane = lane
        groups = self._lanes[lane]
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

    def _lane_order(self) -> tuple[Lane, ...]:
        return tuple(sorted(Lane, key=lambda lane: lane == self._last_lane))


def _prudent(limit: Limit) -> Limit:
    """What we use of a limit.

    AWS's bucket and ours do not fill in step: a call that arrives a little early is refused, and then waits far longer.
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

    async def take(self, service: str, operation: str, owner: str, lane: Lane) -> None:
        """Wait until a call of that operation is within its limit; operations without a limit pass."""
        if bucket := self._bucket(service, operation):
            await bucket.take(owner, lane)

    def throttled(self, service: str, operation: str) -> None:
        """Note that AWS refused such a call for its rate."""
        if bucket := self._bucket(service, operation):
            bucket.drain()

    def _bucket(self, service: str, operation: str) -> Bucket | None:
        limit = self._limits.get((service, operation)) or self._limits.get((service, "*"))
        return self._buckets[limit] if limit else None
