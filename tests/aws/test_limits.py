import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.aws.limits import documented
from eep_platform.aws.wire import operations
from ephemeral_endpoints.aws.limits import LIMITS, OWN_PACE, UNLIMITED, Bucket, Group, Limit, Limiter, Priority, share

SMALLEST = 1e-9


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        await asyncio.sleep(0)  # who was served meanwhile notes the time
        self.now += max(seconds, SMALLEST)


class Served:
    """Who was served, and when, in seconds since the beginning."""

    def __init__(self, limit: Limit, group: Group = lambda _: "") -> None:
        self.time = Time()
        self.bucket = Bucket(limit, self.time, self.time.sleep, group)
        self.target: list[str] = []
        self.times: list[float] = []
        self.waiting = 0

    async def take(self, owner: str, priority: Priority = Priority.NORMAL) -> None:
        self.waiting += 1
        try:
            await self.bucket.take(owner, priority)
        finally:
            self.waiting -= 1
        self.target.append(owner)
        self.times.append(self.time.now - 1000.0)

    async def until(self, due: float) -> None:
        """Let time pass: by those who are served while there are any, else by itself."""
        while self.time.now < due:
            is_idle = self.waiting == 0
            await asyncio.sleep(0)
            if is_idle:
                self.time.now = due

    async def all(self, owners: Iterable[str], priority: Priority = Priority.NORMAL) -> None:
        await asyncio.gather(*(self.take(owner, priority) for owner in owners))


async def test_a_full_bucket_lets_a_burst_through_at_once_and_then_keeps_the_rate() -> None:
    served = Served(Limit("x", rate=10, burst=3))
    await served.all("abcdef")
    assert served.times == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3], abs=1e-6)


async def test_what_is_not_used_is_kept_up_to_the_burst() -> None:
    served = Served(Limit("x", rate=10, burst=2))
    await served.all("abc")
    served.time.now += 60
    await served.all("def")
    assert served.times[3:] == pytest.approx([60.1, 60.1, 60.2], abs=1e-6)


@given(
    rate=st.floats(min_value=0.5, max_value=50),
    burst=st.integers(min_value=1, max_value=10),
    arrivals=st.lists(st.tuples(st.floats(min_value=0, max_value=2), st.sampled_from(list(Priority))), max_size=30),
)
def test_in_no_time_more_pass_than_burst_and_rate_allow(
    rate: float, burst: int, arrivals: list[tuple[float, Priority]]
) -> None:
    async def run() -> list[float]:
        served = Served(Limit("x", rate=rate, burst=burst))
        tasks, due = [], served.time.now
        for number, (pause, priority) in enumerate(arrivals):
            due += pause
            await served.until(due)
            tasks.append(asyncio.create_task(served.take(str(number % 3), priority)))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        return served.times

    times = asyncio.run(run())
    assert len(times) == len(arrivals)
    for first, began in enumerate(times):
        for passed, ended in enumerate(times[first:], start=1):
            assert passed <= burst + (ended - began) * rate + 1e-3


async def test_a_busy_object_does_not_hold_up_the_others() -> None:
    served = Served(Limit("x", rate=1, burst=1))
    await served.all(["busy"] * 9 + ["one", "two"])
    assert served.target == ["busy"] * 5 + ["one", "two"] + ["busy"] * 4


async def test_a_crowd_of_objects_in_a_namespace_does_not_hold_up_those_of_others() -> None:
    served = Served(Limit("x", rate=1, burst=1), group=lambda owner: owner[0])
    await served.all([*(f"crowd-{number}" for number in range(500)), "alone", *["busy"] * 5])
    assert served.target[:3] == ["crowd-0", "crowd-1", "alone"], "the very first call found nobody waiting"
    assert served.target[3:9] == ["busy"] * 4 + ["crowd-2", "busy"]
    assert len(served.target) == 506


async def test_in_a_burst_the_calls_of_one_object_go_together() -> None:
    served = Served(Limit("x", rate=1, burst=1))
    await served.all(["one", "two", "three"] * 2)
    assert served.target == ["one", "two", "two", "three", "three", "one"], "the very first call found nobody waiting"


async def test_a_burst_of_creations_does_not_hold_up_deletions_nor_the_other_way_round() -> None:
    served = Served(Limit("x", rate=1, burst=1))
    creations = served.all([f"new{number}" for number in range(5)])
    deletions = served.all([f"old{number}" for number in range(3)], Priority.DELETE)
    await asyncio.gather(creations, deletions)
    assert served.target == ["new0", "old0", "new1", "old1", "new2", "old2", "new3", "new4"]


async def test_a_cancelled_caller_takes_no_token() -> None:
    served = Served(Limit("x", rate=1, burst=1))
    await served.take("first")
    waiting = asyncio.create_task(served.take("second"))
    await asyncio.sleep(0)
    waiting.cancel()
    await served.take("third")
    assert served.target == ["first", "third"]
    assert served.times == pytest.approx([0, 1], abs=1e-6)
    assert waiting.cancelled()


async def test_a_refusal_by_aws_empties_the_bucket() -> None:
    served = Served(Limit("x", rate=10, burst=5))
    served.bucket.drain()
    await served.all("ab")
    assert served.times == pytest.approx([0.1, 0.2], abs=1e-6)


ONE = Limit("one", rate=1, burst=1)
TWO = Limit("two", rate=1, burst=1)
SHARED = {("s", "*"): ONE, ("s", "Own"): TWO, ("t", "Only"): TWO}


@pytest.mark.parametrize(
    ("first", "second", "waits"),
    [
        (("s", "A"), ("s", "B"), True),  # all operations of a service share what is said of the service
        (("s", "A"), ("s", "Own"), False),  # what is said of an operation comes before it
        (("s", "Own"), ("t", "Only"), True),  # a limit counts over all that name it
        (("t", "Only"), ("t", "Other"), False),  # nothing said of it: no limit
    ],
)
async def test_operations_share_the_bucket_of_their_limit(
    *, first: tuple[str, str], second: tuple[str, str], waits: bool
) -> None:
    time = Time()
    limiter = Limiter(time, SHARED, time.sleep)
    await limiter.take(*first, "a", Priority.NORMAL)
    await limiter.take(*second, "b", Priority.NORMAL)
    assert (time.now > 1000.0) == waits


async def test_a_refusal_empties_the_bucket_of_its_operation_only() -> None:
    time = Time()
    limiter = Limiter(time, SHARED, time.sleep)
    limiter.throttled("s", "A")
    limiter.throttled("u", "Unlimited")
    await limiter.take("s", "Own", "a", Priority.NORMAL)
    assert time.now == 1000.0
    await limiter.take("s", "B", "a", Priority.NORMAL)
    assert time.now == pytest.approx(1001.0, rel=1e-4)


async def test_a_little_of_every_limit_is_left_unused_so_that_aws_refuses_nothing() -> None:
    time = Time()
    limiter = Limiter(time, {("s", "*"): Limit("ten", rate=10, burst=5)}, time.sleep)
    for _ in range(4 + 98):
        await limiter.take("s", "A", "a", Priority.NORMAL)
    assert time.now == pytest.approx(1010.0)


@pytest.mark.parametrize(("service", "operation"), sorted(LIMITS))
def test_a_limit_names_an_operation_and_is_no_higher_than_what_aws_documents(service: str, operation: str) -> None:
    known = operations(service)
    assert known is not None
    assert operation in {*known, "*"}
    ours = LIMITS[service, operation]
    example = "UpdateFunctionCode" if operation == "*" and service == "lambda" else operation
    theirs = [limit for limit in documented() if limit.covers(service, example)]
    assert theirs or (service, operation) in OWN_PACE
    assert all(ours.rate <= limit.rate and ours.burst <= limit.capacity for limit in theirs)


@pytest.mark.parametrize(("service", "operation"), UNLIMITED)
def test_an_operation_without_a_limit_has_no_documented_one(service: str, operation: str) -> None:
    named = operations(service)
    assert named
    assert operation == "*" or operation in named
    limited = {each for limit in documented() for each in named if limit.covers(service, each)}
    assert not limited & (named if operation == "*" else {operation})
    assert (service, operation) not in LIMITS


@given(count=st.integers(1, 64))
def test_what_shards_use_together_is_within_the_limits(count: int) -> None:
    for call, limit in share(LIMITS, count).items():
        assert limit.rate * count == pytest.approx(LIMITS[call].rate)
        assert limit.burst == 1 or limit.burst * count <= LIMITS[call].burst
    assert share(LIMITS, count)["lambda", "*"] is not None
