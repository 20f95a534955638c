"""The lines of builds, upon a builder that does as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import cast

import pytest
from tests.aws.world import eventually
from tests.core.objects import endpoint_class

from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.core.builds import ATTEMPTS, PAUSE, Build, Commit, Demand, Order, Result, Step
from ephemeral_endpoints.core.errors import Denied, Problem, Transient
from ephemeral_endpoints.core.images import ImageProblem, ImageState
from ephemeral_endpoints.kube.store import ObjectKey
from ephemeral_endpoints.reconcile.build_line import Surroundings
from ephemeral_endpoints.reconcile.builds import Builds

REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/eep-c1-default-abcdefghij"
START = datetime(2026, 11, 1, 12, tzinfo=UTC)
KLASS = endpoint_class({"spec": {"builds": {"codeBuild": {"project": "previews"}, "maxConcurrent": 2}}})
ACCOUNT = cast("Account", None)
"""The builder that stands in for the account's needs none."""

PR, OTHER = ObjectKey("nlp", "pr"), ObjectKey("nlp", "other")


def order(digit: str) -> Order:
    return Order(REPOSITORY, Commit("https://github.com/acme/sentiment.git", digit * 40), "linux/amd64")


@dataclass
class Shop:
    """A builder, and everything around a line. Time stands still unless it is told to go on."""

    builds: dict[str, Build] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    begun: list[tuple[str, int]] = field(default_factory=list)
    woken: list[ObjectKey] = field(default_factory=list)
    ended: list[Build] = field(default_factory=list)
    wanting: set[ObjectKey] = field(default_factory=set)
    refusal: Problem | None = None
    deaf: Problem | None = None
    time: datetime = START
    is_alone: bool = True

    def lines(self) -> Builds:
        return Builds(
            Surroundings(
                builder=lambda _, __: self,
                wanting=lambda _: self.wanting,
                wake=self.woken.append,
                ended=self._note_end,
                now=lambda: self.time,
                clock=self._clock,
                poll_seconds=0.001,
                is_alone=self.is_alone,
            )
        )

    def _clock(self) -> float:
        return (self.time - START).total_seconds()

    def _note_end(self, _: EphemeralEndpointClass, build: Build) -> None:
        self.ended.append(build)

    async def all(self) -> list[Build]:
        if self.deaf:
            raise self.deaf
        return list(self.builds.values())

    async def refresh(self, builds: Sequence[Build]) -> list[Build]:
        return [self.builds[build.id] for build in builds]

    async def begin(self, order: Order, *, attempt: int, timeout_seconds: int) -> Build:
        assert timeout_seconds == 1800
        if self.refusal:
            raise self.refusal
        self.begun.append((order.origin.revision[0], attempt))
        made = Build(f"{order.tag}/{attempt}", order.image, Result.RUNNING, Step.WAITING, self.time)
        return self.builds.setdefault(made.id, made)

    async def stop(self, build: Build) -> None:
        self.stopped.append(build.image)

    async def last_lines(self, build: Build, *, count: int) -> tuple[str, ...]:
        return (f"{build.result}: the last of {count} lines",)

    def goes_on(self, order: Order, result: Result, step: Step = Step.BUILDING) -> None:
        """Let the newest build of an image come to this."""
        newest = next(each for each in reversed(self.builds.values()) if each.image == order.image)
        ended = None if result is Result.RUNNING else self.time
        self.builds[newest.id] = replace(newest, result=result, step=step, ended_at=ended, message="it broke")


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def lines(shop: Shop) -> AsyncIterator[Builds]:
    lines = shop.lines()
    yield lines
    await lines.stop()


def demand(digit: str, number: int = 1) -> Demand:
    return Demand(START + timedelta(seconds=number), f"uid-{number}", order(digit))


async def until(check: Callable[[], object], what: str) -> None:
    async def answer() -> bool:
        await asyncio.sleep(0)
        return bool(check())

    await eventually(answer, what)


def _has(found: list[Build], count: int) -> bool:
    return len(found) == count


def problem(lines: Builds, digit: str, key: ObjectKey = PR) -> ImageProblem | None:
    state = lines.making(key, KLASS, ACCOUNT, order(digit))
    return state.problem if state else None


async def test_an_image_is_made_and_its_object_called(shop: Shop, lines: Builds) -> None:
    told = lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    assert told.problem is ImageProblem.QUEUED
    await until(lambda: problem(lines, "1") is ImageProblem.BUILDING, "building")
    shop.goes_on(order("1"), Result.SUCCEEDED)
    await until(lambda: lines.making(PR, KLASS, ACCOUNT, order("1")) is None, "made")
    assert PR in shop.woken
    assert [build.result for build in shop.ended] == [Result.SUCCEEDED]


async def test_two_objects_with_one_commit_share_a_build(shop: Shop, lines: Builds) -> None:
    lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    lines.demand(OTHER, KLASS, ACCOUNT, demand("1", 2))
    await until(lambda: shop.begun, "begun")
    shop.goes_on(order("1"), Result.SUCCEEDED)
    await until(lambda: {PR, OTHER} <= set(shop.woken), "both called")
    assert shop.begun == [("1", 1)]


async def test_beyond_the_classes_limit_the_youngest_waits(shop: Shop, lines: Builds) -> None:
    for number, digit in enumerate("123", 1):
        lines.demand(ObjectKey("nlp", digit), KLASS, ACCOUNT, demand(digit, number))
    await until(lambda: len(shop.begun) == 2, "two begun")
    third = lines.making(ObjectKey("nlp", "3"), KLASS, ACCOUNT, order("3"))
    assert third == ImageState(problem=ImageProblem.QUEUED, message="waits for its turn to be built; ahead of it: 2")
    shop.goes_on(order("1"), Result.SUCCEEDED)
    await until(lambda: ("3", 1) in shop.begun, "the third begun")


async def test_a_newer_commit_stops_the_build_of_the_older(shop: Shop, lines: Builds) -> None:
    lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: shop.begun, "begun")
    lines.demand(PR, KLASS, ACCOUNT, demand("2"))
    await until(lambda: ("2", 1) in shop.begun, "the newer one begun")
    assert set(shop.stopped) == {order("1").image}
    assert lines.making(PR, KLASS, ACCOUNT, order("1")) is None, "nobody asks for it any more"


async def test_what_another_object_wants_too_is_not_stopped(shop: Shop, lines: Builds) -> None:
    lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    lines.demand(OTHER, KLASS, ACCOUNT, demand("1", 2))
    await until(lambda: shop.begun, "begun")
    assert not lines.is_making(PR, KLASS, ACCOUNT, order("1").image)
    await until(lambda: problem(lines, "1", OTHER) is ImageProblem.BUILDING, "building")
    assert shop.stopped == []


async def test_after_a_restart_nothing_is_begun_twice(shop: Shop) -> None:
    first = shop.lines()
    first.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: shop.begun, "begun")
    await first.stop()
    second = shop.lines()
    second.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: problem(second, "1") is ImageProblem.BUILDING, "found again")
    assert shop.begun == [("1", 1)]
    await second.stop()


async def test_after_a_restart_nothing_is_stopped_before_all_objects_were_heard(shop: Shop) -> None:
    first = shop.lines()
    first.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: shop.begun, "begun")
    await first.stop()
    shop.wanting = {PR, OTHER}
    second = shop.lines()
    second.demand(OTHER, KLASS, ACCOUNT, demand("2", 2))
    await until(lambda: ("2", 1) in shop.begun, "the other begun")
    assert shop.stopped == []
    second.wants_nothing(PR, KLASS)
    await until(lambda: shop.stopped, "stopped")
    await second.stop()


async def test_an_object_that_leaves_waits_until_its_build_has_ended(shop: Shop, lines: Builds) -> None:
    lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: shop.begun, "begun")
    assert lines.is_making(PR, KLASS, ACCOUNT, order("1").image)
    await until(lambda: shop.stopped, "stopped")
    shop.woken.clear()
    shop.goes_on(order("1"), Result.STOPPED)
    await until(lambda: PR in shop.woken, "called")
    assert not lines.is_making(PR, KLASS, ACCOUNT, order("1").image)


async def test_an_object_that_leaves_after_a_restart_finds_its_build(shop: Shop) -> None:
    first = shop.lines()
    first.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: shop.begun, "begun")
    await first.stop()
    second = shop.lines()
    assert second.is_making(PR, KLASS, ACCOUNT, order("1").image), "it is not known yet"
    await until(lambda: shop.stopped, "found and stopped")
    shop.goes_on(order("1"), Result.STOPPED)
    await until(lambda: PR in shop.woken, "called")
    await second.stop()


async def test_what_the_builder_failed_at_is_tried_again_after_pauses_and_then_given_up(
    shop: Shop, lines: Builds
) -> None:
    lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    for attempt in range(1, ATTEMPTS + 1):
        await until(partial(shop.begun.__contains__, ("1", attempt)), f"attempt {attempt}")
        shop.goes_on(order("1"), Result.FAULT)
        await until(partial(_has, shop.ended, attempt), "ended")
        shop.time += PAUSE * 2**attempt
    await until(lambda: problem(lines, "1") is ImageProblem.FAILED, "given up")
    told = lines.making(PR, KLASS, ACCOUNT, order("1"))
    assert told is not None
    assert "its last lines: Fault: the last of 8 lines" in told.message


async def test_what_the_commit_fails_at_is_not_tried_again_before_somebody_asks(shop: Shop, lines: Builds) -> None:
    lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: shop.begun, "begun")
    shop.goes_on(order("1"), Result.FAILED)
    await until(lambda: problem(lines, "1") is ImageProblem.FAILED, "failed")
    shop.time += timedelta(days=1)
    lines.again(KLASS, order("1").image)
    await until(lambda: shop.begun == [("1", 1), ("1", 2)], "tried again")


async def test_what_cannot_be_begun_is_told_and_tried_again(shop: Shop, lines: Builds) -> None:
    shop.refusal = Denied("no", operation="StartBuild")
    lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: PR in shop.woken, "called")
    with pytest.raises(Denied, match="StartBuild: no"):
        lines.making(PR, KLASS, ACCOUNT, order("1"))
    shop.refusal = None
    shop.time += timedelta(minutes=10)
    await until(lambda: shop.begun, "begun")
    assert problem(lines, "1") is ImageProblem.BUILDING


async def test_an_answer_that_was_lost_is_asked_for_again_by_the_same_attempt(shop: Shop, lines: Builds) -> None:
    shop.refusal = Transient("lost")
    lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: PR in shop.woken, "told")
    shop.refusal = None
    shop.time += timedelta(minutes=1)
    await until(lambda: shop.begun == [("1", 1)], "the same attempt")


async def test_a_builder_that_does_not_answer_holds_everybody_up_and_says_so(shop: Shop, lines: Builds) -> None:
    shop.deaf = Transient("no answer", operation="ListBuildsForProject")
    lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: PR in shop.woken, "called")
    with pytest.raises(Transient, match="no answer"):
        lines.making(PR, KLASS, ACCOUNT, order("1"))
    with pytest.raises(Transient, match="no answer"):
        lines.is_making(OTHER, KLASS, ACCOUNT, order("2").image)
    shop.deaf = None
    shop.time += timedelta(minutes=1)
    await until(lambda: shop.begun, "it answers again")
    assert problem(lines, "1") is ImageProblem.BUILDING


async def test_a_line_with_nothing_to_do_rests(shop: Shop, lines: Builds) -> None:
    lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: shop.begun, "begun")
    shop.goes_on(order("1"), Result.SUCCEEDED)
    await until(lambda: all(task.get_name() != "follow the builds of default" for task in asyncio.all_tasks()), "rest")


async def test_beside_another_operator_only_what_was_wanted_here_is_stopped(shop: Shop) -> None:
    shop.is_alone = False
    others = order("9")
    shop.builds["theirs"] = Build("theirs", others.image, Result.RUNNING, Step.BUILDING, START)
    lines = shop.lines()
    lines.demand(PR, KLASS, ACCOUNT, demand("1"))
    await until(lambda: shop.begun, "begun")
    lines.demand(PR, KLASS, ACCOUNT, demand("2"))
    await until(lambda: shop.stopped, "stopped")
    assert set(shop.stopped) == {order("1").image}
    await lines.stop()
