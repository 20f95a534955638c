from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.serving.attempts import AttemptState, AttemptTarget, stuck_at
from ephemeral_endpoints.features.serving.failure_classes import RetryPolicy
from ephemeral_endpoints.features.serving.specs import ENDPOINT, EndpointSpec

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = Key(ENDPOINT, "e")
GOAL = AttemptTarget("c1", generation=1)
QUICK = RetryPolicy(3, timedelta(seconds=10), timedelta(seconds=15))


def endpoint(phase: Phase, version: str = "v1", config: str = "c1") -> ObservedResource:
    return ObservedResource(KEY, phase, EndpointSpec(config), version=version)


def after(*seen: tuple[ObservedResource | None, AttemptTarget, int]) -> AttemptState:
    """What is known after endpoints were seen, each so many seconds after noon."""
    attempts = AttemptState()
    for observed, target, seconds in seen:
        attempts = attempts.seen(observed, target, NOON + timedelta(seconds=seconds), QUICK)
    return attempts


FAILED = endpoint(Phase.FAILED)
AGAIN = endpoint(Phase.FAILED, "v2")
BUSY, READY = endpoint(Phase.BUSY, "v3"), endpoint(Phase.READY, "v4")


@pytest.mark.parametrize(
    ("attempts", "failures", "next_at", "reason"),
    [
        (after((None, GOAL, 0)), 0, None, "what was not tried has not failed"),
        (after((BUSY, GOAL, 0)), 0, None, "what is under way has not failed"),
        (after((FAILED, GOAL, 0)), 1, 10, "after the first failure a pause"),
        (after((FAILED, GOAL, 0), (FAILED, GOAL, 9)), 1, 10, "a failure that is seen twice is one"),
        (after((FAILED, GOAL, 0), (None, GOAL, 10), (BUSY, GOAL, 11)), 1, 10, "a try under way changes nothing"),
        (after((FAILED, GOAL, 0), (BUSY, GOAL, 11), (AGAIN, GOAL, 20)), 2, 35, "the pause doubles up to the longest"),
        (
            after((FAILED, GOAL, 0), (AGAIN, GOAL, 20), (endpoint(Phase.FAILED, "v5"), GOAL, 40)),
            3,
            None,
            "after the last try nothing",
        ),
        (after((FAILED, GOAL, 0), (READY, GOAL, 9)), 0, None, "what serves has not failed"),
        (after((FAILED, GOAL, 0), (FAILED, AttemptTarget("c1", 2), 1)), 0, 1, "a changed spec starts anew, at once"),
        (after((FAILED, GOAL, 0), (FAILED, AttemptTarget("c1", 1, "now"), 1)), 0, 1, "so does who asks for it"),
        (
            after((FAILED, GOAL, 0), (FAILED, AttemptTarget("c1", 2), 1), (AGAIN, AttemptTarget("c1", 2), 2)),
            1,
            12,
            "a failure of what is wanted now counts",
        ),
        (after((endpoint(Phase.FAILED, config="c0"), GOAL, 0)), 0, None, "the failure of something else is replaced"),
        (after((endpoint(Phase.IMPAIRED), GOAL, 0)), 1, 10, "what went out of service is tried again likewise"),
    ],
)
def test_what_is_known_of_the_tries(attempts: AttemptState, failures: int, next_at: int | None, reason: str) -> None:
    assert attempts.failures == failures, reason
    assert attempts.next_at == (None if next_at is None else NOON + timedelta(seconds=next_at)), reason


def seen_failing(*details: str, is_rolled_back: bool = False) -> AttemptState:
    """What is known after so many failures in a row, each with its reason."""
    attempts, phase = AttemptState(), Phase.READY if is_rolled_back else Phase.FAILED
    for number, detail in enumerate(details):
        observed = replace(endpoint(phase, f"v{number}", "c0" if is_rolled_back else "c1"), detail=detail)
        attempts = attempts.seen(observed, GOAL, NOON, QUICK, is_rolled_back=is_rolled_back)
    return attempts


@pytest.mark.parametrize(
    ("attempts", "is_over", "reason"),
    [
        (seen_failing(*["InsufficientInstanceCapacity"] * 50), False, "a shortage is waited out"),
        (seen_failing(*["access denied"] * 50), False, "a policy can be repaired without a change of the object"),
        (seen_failing(*["InsufficientInstanceCapacity"] * 9, "ping"), False, "shortages do not use up the attempts"),
        (seen_failing("ping", "InsufficientInstanceCapacity", "ping", "ping"), True, "nor do they renew them"),
        (seen_failing("InsufficientInstanceCapacity", is_rolled_back=True), False, "nor does an update give up"),
        (seen_failing("ping", is_rolled_back=True), True, "the same would fail again, and something serves"),
        (seen_failing("", is_rolled_back=True), False, "nobody knows why: it may have been a shortage"),
        (seen_failing("", "", "", is_rolled_back=True), True, "it is not tried more often than a creation"),
    ],
)
def test_each_kind_of_failure_has_its_own_patience(attempts: AttemptState, is_over: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    assert attempts.is_over is is_over, reason


def test_the_attempts_of_an_update_survive_a_change_of_something_else() -> None:
    failed = seen_failing("InsufficientInstanceCapacity", is_rolled_back=True)
    observed = replace(endpoint(Phase.READY, "v0", "c0"), detail="InsufficientInstanceCapacity")
    target = AttemptTarget("c1", generation=2)
    assert failed.seen(observed, target, NOON, QUICK, is_rolled_back=True) == replace(failed, target=target)


def test_a_try_is_due_from_its_moment_on_and_never_after_the_last() -> None:
    once = after((FAILED, GOAL, 0))
    assert not once.is_due(NOON + timedelta(seconds=9))
    assert once.is_due(NOON + timedelta(seconds=10))
    assert not once.is_over
    over = after((FAILED, GOAL, 0), (AGAIN, GOAL, 20), (endpoint(Phase.FAILED, "v5"), GOAL, 40))
    assert over.is_over
    assert not over.is_due(NOON + timedelta(days=365))
    assert not AttemptState().is_over
    assert not AttemptState().is_due(NOON)


@given(most=st.integers(1, 20), first=st.integers(1, 3600), failures=st.integers(1, 10**6))
def test_pauses_grow_up_to_the_longest_and_end(most: int, first: int, failures: int) -> None:
    retry_policy = RetryPolicy(most, timedelta(seconds=first), timedelta(hours=1))
    pause, longer = retry_policy.pause(failures), retry_policy.pause(failures + 1)
    assert (pause is None) == (failures >= most)
    assert pause is None or timedelta(seconds=first) <= pause <= timedelta(hours=1)
    assert pause is None or longer is None or pause <= longer


PHASES = st.sampled_from(Phase)
SIGHTS = st.lists(
    st.tuples(
        st.none() | st.builds(endpoint, PHASES, st.sampled_from("abcdef"), st.sampled_from(["c0", "c1"])),
        st.just(GOAL),
        st.integers(0, 600),
    ),
    max_size=12,
)


@given(SIGHTS)
def test_whatever_is_seen_a_goal_is_tried_at_most_so_often_in_a_row(
    sights: list[tuple[ObservedResource | None, AttemptTarget, int]],
) -> None:
    due, ahead = 0, NOON + timedelta(days=1)
    attempts = AttemptState()
    for observed, target, seconds in sights:
        before = attempts.failures
        attempts = attempts.seen(observed, target, NOON + timedelta(seconds=seconds), QUICK)
        due = due + 1 if attempts.failures > before and attempts.is_due(ahead) else due
        if attempts.failures == 0:
            due = 0
        assert due < QUICK.most


@dataclass(frozen=True, kw_only=True)
class Case:
    phase: Phase
    status: str
    since: datetime | None
    stuck: bool


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case(phase=Phase.BUSY, status="Creating", since=NOON, stuck=True), id="a creation hangs"),
        pytest.param(Case(phase=Phase.BUSY, status="Updating", since=NOON, stuck=True), id="so does an update"),
        pytest.param(Case(phase=Phase.BUSY, status="RollingBack", since=NOON, stuck=True), id="and the way back"),
        pytest.param(
            Case(phase=Phase.BUSY, status="SystemUpdating", since=NOON, stuck=False),
            id="AWS's own maintenance takes its time",
        ),
        pytest.param(Case(phase=Phase.BUSY, status="Creating", since=None, stuck=False), id="nobody knows since when"),
        pytest.param(
            Case(phase=Phase.READY, status="InService", since=NOON, stuck=False), id="what serves does not hang"
        ),
        pytest.param(Case(phase=Phase.FAILED, status="Failed", since=NOON, stuck=False), id="what failed has ended"),
        pytest.param(
            Case(phase=Phase.DELETING, status="Deleting", since=NOON, stuck=False), id="what goes is waited for"
        ),
    ],
)
def test_what_may_get_stuck(case: Case) -> None:
    observed = ObservedResource(KEY, case.phase, EndpointSpec("c1"), status=case.status, since=case.since)
    assert stuck_at(observed, timedelta(minutes=30)) == (NOON + timedelta(minutes=30) if case.stuck else None)
