"""Build queues with a builder that a test controls."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import cast

import pytest
from tests.aws.cloud import eventually
from tests.engine.objects import make_class

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.freshness import NOTIFIED_POLLS
from ephemeral_endpoints.engine.errors import Denied, ReconcileError, Transient
from ephemeral_endpoints.features.images.builds.policy import (
    ATTEMPTS,
    PAUSE,
    Build,
    BuildRequest,
    BuildTarget,
    Commit,
    Result,
    Step,
    Tenant,
)
from ephemeral_endpoints.features.images.builds.queue import BuildQueue, BuildQueueDeps
from ephemeral_endpoints.features.images.builds.queues import Builds
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.images.references import ImageState
from ephemeral_endpoints.kube.cache import ObjectKey, endpoint_key

TENANT = Tenant("uid-of-the-class", "previews")
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/eep-c1-default-abcdefghij"
START = datetime(2026, 11, 1, 12, tzinfo=UTC)
CLASS = make_class(
    {"spec": {"builds": {"codeBuild": {"project": "previews"}, "maxConcurrent": 2, "maxConcurrentPerNamespace": 2}}}
)
ACCOUNT = cast("Account", None)
"""The builder that stands in for the account's needs none."""

PR, OTHER = endpoint_key("nlp", "pr"), endpoint_key("nlp", "other")


def target(digit: str) -> BuildTarget:
    return BuildTarget(REPOSITORY, Commit("https://github.com/acme/sentiment.git", digit * 40), "linux/amd64", TENANT)


@dataclass
class Environment:
    """A builder, and the dependencies of a build queue. Time passes only when a test lets it."""

    builds: dict[str, Build] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    begun: list[tuple[str, int]] = field(default_factory=list)
    enqueued: list[ObjectKey] = field(default_factory=list)
    ended: list[Build] = field(default_factory=list)
    wanting: set[ObjectKey] = field(default_factory=set)
    refusal: ReconcileError | None = None
    deaf: ReconcileError | None = None
    time: datetime = START
    poll_seconds: float = 0.001
    sees_all_namespaces: bool = True
    is_heard: bool = True

    def queues(self) -> Builds:
        return Builds(self.deps())

    def deps(self) -> BuildQueueDeps:
        return BuildQueueDeps(
            builder=lambda _, __: self,
            wanting=lambda _: self.wanting,
            enqueue=self.enqueued.append,
            ended=self._note_end,
            is_heard=lambda _: self.is_heard,
            now=lambda: self.time,
            clock=self._clock,
            poll_seconds=self.poll_seconds,
            sees_all_namespaces=self.sees_all_namespaces,
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

    async def begin(self, target: BuildTarget, *, attempt: int, timeout_seconds: int) -> Build:
        assert timeout_seconds == 1800
        if self.refusal:
            raise self.refusal
        self.begun.append((target.origin.revision[0], attempt))
        made = Build(f"{target.tag}/{attempt}", target.image, Result.RUNNING, Step.WAITING, self.time)
        return self.builds.setdefault(made.id, made)

    async def stop(self, build: Build) -> None:
        self.stopped.append(build.image)

    async def last_lines(self, build: Build, *, count: int) -> tuple[str, ...]:
        return (f"{build.result}: the last of {count} lines",)

    def goes_on(self, target: BuildTarget, result: Result, step: Step = Step.BUILDING) -> None:
        """Let the newest build of an image come to this."""
        newest = next(each for each in reversed(self.builds.values()) if each.image == target.image)
        ended = None if result is Result.RUNNING else self.time
        self.builds[newest.id] = replace(newest, result=result, step=step, ended_at=ended, message="it broke")


@pytest.fixture
def env() -> Environment:
    return Environment()


@pytest.fixture
async def queues(env: Environment) -> AsyncIterator[Builds]:
    queues = env.queues()
    yield queues
    await queues.stop()


def request(digit: str, number: int = 1) -> BuildRequest:
    return BuildRequest(START + timedelta(seconds=number), f"uid-{number}", target(digit))


async def until(check: Callable[[], object], what: str) -> None:
    async def answer() -> bool:
        await asyncio.sleep(0)
        return bool(check())

    await eventually(answer, what)


def _has(found: list[Build], count: int) -> bool:
    return len(found) == count


def problem(queues: Builds, digit: str, key: ObjectKey = PR) -> ImageProblem | None:
    state = queues.making(key, CLASS, ACCOUNT, target(digit))
    return state.problem if state else None


async def test_an_image_is_made_and_its_object_called(env: Environment, queues: Builds) -> None:
    reported = queues.request(PR, CLASS, ACCOUNT, request("1"))
    assert reported.problem is ImageProblem.QUEUED
    await until(lambda: problem(queues, "1") is ImageProblem.BUILDING, "building")
    env.goes_on(target("1"), Result.SUCCEEDED)
    await until(lambda: queues.making(PR, CLASS, ACCOUNT, target("1")) is None, "made")
    assert PR in env.enqueued
    assert [build.result for build in env.ended] == [Result.SUCCEEDED]


async def test_what_builds_pushed_is_known_although_they_ended_before_the_operator_started(
    env: Environment, queues: Builds
) -> None:
    image = target("1").image
    for number, digest in enumerate(("sha256:a", None, "sha256:b")):
        build = Build(f"{number}", image, Result.SUCCEEDED, Step.PUSHING, START, START, digest=digest)
        env.builds[build.id] = build
    assert await queues.pushed(CLASS, ACCOUNT, image) == {"sha256:a", "sha256:b"}
    assert await queues.pushed(CLASS, ACCOUNT, target("2").image) == set()


async def test_without_a_list_of_builds_nobody_knows_what_they_pushed(env: Environment, queues: Builds) -> None:
    env.deaf = Transient("away", operation="ListBuilds")
    with pytest.raises(Transient):
        await queues.pushed(CLASS, ACCOUNT, target("1").image)
    env.deaf = None
    assert await queues.pushed(CLASS, ACCOUNT, target("1").image) == set()


async def test_two_objects_with_one_commit_share_a_build(env: Environment, queues: Builds) -> None:
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    queues.request(OTHER, CLASS, ACCOUNT, request("1", 2))
    await until(lambda: env.begun, "begun")
    env.goes_on(target("1"), Result.SUCCEEDED)
    await until(lambda: {PR, OTHER} <= set(env.enqueued), "both called")
    assert env.begun == [("1", 1)]


async def test_beyond_the_classes_limit_the_youngest_waits(env: Environment, queues: Builds) -> None:
    for number, digit in enumerate("123", 1):
        queues.request(endpoint_key("nlp", digit), CLASS, ACCOUNT, request(digit, number))
    await until(lambda: len(env.begun) == 2, "two begun")
    third = queues.making(endpoint_key("nlp", "3"), CLASS, ACCOUNT, target("3"))
    assert third == ImageState(problem=ImageProblem.QUEUED, message="waiting in the build queue; builds ahead of it: 2")
    env.goes_on(target("1"), Result.SUCCEEDED)
    await until(lambda: ("3", 1) in env.begun, "the third begun")


async def test_builds_that_only_sleep_leave_a_builder_to_other_namespaces(env: Environment, queues: Builds) -> None:
    by_default = make_class({"spec": {"builds": {"codeBuild": {"project": "previews"}, "maxConcurrent": 2}}})
    for number, digit in enumerate("123", 1):
        greedy = replace(request(digit, number), namespace="crowd")
        queues.request(endpoint_key("crowd", digit), by_default, ACCOUNT, greedy)
    await until(lambda: env.begun, "the first begun")
    queues.request(PR, by_default, ACCOUNT, replace(request("9", 9), namespace="nlp"))
    await until(lambda: ("9", 1) in env.begun, "the other namespace's begun")
    assert env.begun == [("1", 1), ("9", 1)]
    # That they are deleted while they run makes no room for others of their namespace before they have stopped.
    queues.withdraw(endpoint_key("crowd", "1"), by_default)
    await until(lambda: target("1").image in env.stopped, "being stopped")
    env.goes_on(target("9"), Result.SUCCEEDED)
    await until(lambda: PR in env.enqueued, "made")
    assert env.begun == [("1", 1), ("9", 1)]
    env.goes_on(target("1"), Result.STOPPED)
    await until(lambda: ("2", 1) in env.begun, "the crowd's next")


async def test_a_newer_commit_stops_the_build_of_the_older(env: Environment, queues: Builds) -> None:
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: env.begun, "begun")
    queues.request(PR, CLASS, ACCOUNT, request("2"))
    await until(lambda: ("2", 1) in env.begun, "the newer one begun")
    assert set(env.stopped) == {target("1").image}
    assert queues.making(PR, CLASS, ACCOUNT, target("1")) is None, "nobody asks for it any more"


async def test_what_another_object_wants_too_is_not_stopped(env: Environment, queues: Builds) -> None:
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    queues.request(OTHER, CLASS, ACCOUNT, request("1", 2))
    await until(lambda: env.begun, "begun")
    assert not queues.is_making(PR, CLASS, ACCOUNT, target("1").image)
    await until(lambda: problem(queues, "1", OTHER) is ImageProblem.BUILDING, "building")
    assert env.stopped == []


async def test_after_a_restart_nothing_is_begun_twice(env: Environment) -> None:
    first = env.queues()
    first.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: env.begun, "begun")
    await first.stop()
    second = env.queues()
    second.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: problem(second, "1") is ImageProblem.BUILDING, "found again")
    assert env.begun == [("1", 1)]
    await second.stop()


async def test_after_a_restart_nothing_is_stopped_before_all_objects_have_made_their_requests(env: Environment) -> None:
    first = env.queues()
    first.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: env.begun, "begun")
    await first.stop()
    env.wanting = {PR, OTHER}
    second = env.queues()
    second.request(OTHER, CLASS, ACCOUNT, request("2", 2))
    await until(lambda: ("2", 1) in env.begun, "the other begun")
    assert env.stopped == []
    second.withdraw(PR, CLASS)
    await until(lambda: env.stopped, "stopped")
    await second.stop()


async def test_the_build_of_an_object_that_is_gone_is_stopped(env: Environment, queues: Builds) -> None:
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: env.begun, "begun")
    queues.forget(PR)
    await until(lambda: env.stopped, "stopped")
    assert env.stopped[0] == target("1").image


async def test_a_terminating_object_waits_until_its_build_has_ended(env: Environment, queues: Builds) -> None:
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: env.begun, "begun")
    assert queues.is_making(PR, CLASS, ACCOUNT, target("1").image)
    await until(lambda: env.stopped, "stopped")
    env.enqueued.clear()
    env.goes_on(target("1"), Result.STOPPED)
    await until(lambda: PR in env.enqueued, "called")
    assert not queues.is_making(PR, CLASS, ACCOUNT, target("1").image)


async def test_an_object_that_terminates_after_a_restart_finds_its_build(env: Environment) -> None:
    first = env.queues()
    first.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: env.begun, "begun")
    await first.stop()
    second = env.queues()
    assert second.is_making(PR, CLASS, ACCOUNT, target("1").image), "it is not known yet"
    await until(lambda: env.stopped, "found and stopped")
    env.goes_on(target("1"), Result.STOPPED)
    await until(lambda: PR in env.enqueued, "called")
    await second.stop()


async def test_what_the_builder_failed_at_is_tried_again_after_pauses_and_then_given_up(
    env: Environment, queues: Builds
) -> None:
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    for attempt in range(1, ATTEMPTS + 1):
        await until(partial(env.begun.__contains__, ("1", attempt)), f"attempt {attempt}")
        env.goes_on(target("1"), Result.FAULT)
        await until(partial(_has, env.ended, attempt), "ended")
        env.time += PAUSE * 2**attempt
    await until(lambda: problem(queues, "1") is ImageProblem.FAILED, "given up")
    reported = queues.making(PR, CLASS, ACCOUNT, target("1"))
    assert reported is not None
    assert "last lines of the log: Fault: the last of 8 lines" in reported.message


async def test_what_the_commit_fails_at_is_not_tried_again_before_somebody_asks(
    env: Environment, queues: Builds
) -> None:
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: env.begun, "begun")
    env.goes_on(target("1"), Result.FAILED)
    await until(lambda: problem(queues, "1") is ImageProblem.FAILED, "failed")
    env.time += timedelta(days=1)
    queues.again(CLASS, target("1").image)
    await until(lambda: env.begun == [("1", 1), ("1", 2)], "tried again")


async def test_a_build_that_cannot_start_is_reported_and_retried(env: Environment, queues: Builds) -> None:
    env.refusal = Denied("no", operation="StartBuild")
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: PR in env.enqueued, "called")
    with pytest.raises(Denied, match="StartBuild: no"):
        queues.making(PR, CLASS, ACCOUNT, target("1"))
    env.refusal = None
    env.time += timedelta(minutes=10)
    await until(lambda: env.begun, "begun")
    assert problem(queues, "1") is ImageProblem.BUILDING


async def test_an_answer_that_was_lost_is_asked_for_again_by_the_same_attempt(env: Environment, queues: Builds) -> None:
    env.refusal = Transient("lost")
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: PR in env.enqueued, "reported")
    env.refusal = None
    env.time += timedelta(minutes=1)
    await until(lambda: env.begun == [("1", 1)], "the same attempt")


async def test_a_builder_that_does_not_answer_holds_everybody_up_and_says_so(env: Environment, queues: Builds) -> None:
    env.deaf = Transient("no answer", operation="ListBuildsForProject")
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: PR in env.enqueued, "called")
    with pytest.raises(Transient, match="no answer"):
        queues.making(PR, CLASS, ACCOUNT, target("1"))
    with pytest.raises(Transient, match="no answer"):
        queues.is_making(OTHER, CLASS, ACCOUNT, target("2").image)
    env.deaf = None
    env.time += timedelta(minutes=1)
    await until(lambda: env.begun, "it answers again")
    assert problem(queues, "1") is ImageProblem.BUILDING


async def test_a_line_with_nothing_to_do_rests(env: Environment, queues: Builds) -> None:
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: env.begun, "begun")
    env.goes_on(target("1"), Result.SUCCEEDED)
    await until(lambda: all(task.get_name() != "follow the builds of default" for task in asyncio.all_tasks()), "rest")


async def test_beside_another_operator_only_what_was_wanted_here_is_stopped(env: Environment) -> None:
    env.sees_all_namespaces = False
    others = target("9")
    env.builds["theirs"] = Build("theirs", others.image, Result.RUNNING, Step.BUILDING, START)
    queues = env.queues()
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: env.begun, "begun")
    queues.request(PR, CLASS, ACCOUNT, request("2"))
    await until(lambda: env.stopped, "stopped")
    assert set(env.stopped) == {target("1").image}
    await queues.stop()


async def test_an_event_has_a_build_looked_at_that_no_poll_would_see_yet(env: Environment) -> None:
    env.poll_seconds = 3600.0
    queues = env.queues()
    queues.request(PR, CLASS, ACCOUNT, request("1"))
    await until(lambda: env.begun, "begun")
    env.goes_on(target("1"), Result.SUCCEEDED)
    for build_id in ("previews:of-another-operator", *env.builds):
        queues.announce_end(build_id)
    await until(lambda: queues.making(PR, CLASS, ACCOUNT, target("1")) is None, "made")
    await queues.stop()


async def test_events_are_relied_on_until_a_build_ends_without_one(env: Environment) -> None:
    queue = BuildQueue(env.deps(), set(), CLASS, ACCOUNT, env)
    queue.request(PR, request("1"))
    await until(lambda: env.begun, "begun")
    queue.announced.add("an earlier build")
    env.goes_on(target("1"), Result.SUCCEEDED)
    await until(lambda: env.ended, "its end polled")
    assert not queue.announced
    queue.announce_end(env.ended[0].id)
    assert queue.announced, "it was only late"
    await queue.stop()


RUNNING = Build("running", target("1").image, Result.RUNNING, Step.BUILDING, START)
FAILED = Build("failed", target("2").image, Result.FAULT, Step.WAITING, START, START)


@dataclass(frozen=True)
class Wait:
    reason: str
    polls: int = 1
    announced: frozenset[str] = frozenset({"an earlier build"})
    builds: tuple[Build, ...] = (RUNNING,)
    wanted: str = "1"
    is_heard: bool = True

    def __str__(self) -> str:
        return self.reason


@pytest.mark.parametrize(
    "wait",
    [
        Wait("events come", polls=NOTIFIED_POLLS),
        Wait("no event has come yet: there may be no rule", announced=frozenset()),
        Wait("the queue of events cannot be read", is_heard=False),
        Wait("it is said to have ended, and CodeBuild does not know yet", announced=frozenset({RUNNING.id})),
        Wait("it is to be stopped, which is repeated until it has", wanted=""),
        Wait("no event says when to try again", builds=(RUNNING, FAILED), wanted="12"),
        Wait("nobody wants what is not tried again", builds=(RUNNING, FAILED), polls=NOTIFIED_POLLS),
    ],
    ids=str,
)
async def test_builds_are_polled_less_where_events_tell_of_them(env: Environment, wait: Wait) -> None:
    env.is_heard = wait.is_heard
    queue = BuildQueue(env.deps(), set(), CLASS, ACCOUNT, env, announced=set(wait.announced))
    queue.builds = {build.id: build for build in wait.builds}
    queue.requests = {endpoint_key("nlp", digit): request(digit) for digit in wait.wanted}
    assert queue.pause() == pytest.approx(env.poll_seconds * wait.polls)


async def test_a_build_that_could_not_be_started_is_tried_again_without_waiting_for_events(env: Environment) -> None:
    queue = BuildQueue(env.deps(), set(), CLASS, ACCOUNT, env, announced={"earlier"})
    queue.builds = {RUNNING.id: RUNNING}
    queue.requests = {PR: request("1")}
    queue.retries.note("another image", Transient("away", operation="StartBuild"), 0.0)
    assert queue.pause() == pytest.approx(env.poll_seconds)
