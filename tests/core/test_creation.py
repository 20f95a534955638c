from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.core.creation import Goal, Patience, Tries, stuck_at
from ephemeral_endpoints.core.resources import EndpointSpec, Have, Key, Kind, Phase

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = Key(Kind.ENDPOINT, "e")
GOAL = Goal("c1", generation=1)
QUICK = Patience(3, timedelta(seconds=10), timedelta(seconds=15))


def endpoint(phase: Phase, version: str = "v1", config: str = "c1") -> Have:
    return Have(KEY, phase, EndpointSpec(config), version=version)


def after(*seen: tuple[Have | None, Goal, int]) -> Tries:
    """What is known after endpoints were seen, each so many seconds after noon."""
    tries = Tries()
    for have, goal, seconds in seen:
        tries = tries.seen(have, goal, NOON + timedelta(seconds=seconds), QUICK)
    return tries


FAILED = endpoint(Phase.FAILED)
AGAIN = endpoint(Phase.FAILED, "v2")
BUSY, READY = endpoint(Phase.BUSY, "v3"), endpoint(Phase.READY, "v4")


@pytest.mark.parametrize(
    ("tries", "failures", "next_at", "reason"),
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
        (after((FAILED, GOAL, 0), (FAILED, Goal("c1", 2), 1)), 0, 1, "a changed spec starts anew, at once"),
        (after((FAILED, GOAL, 0), (FAILED, Goal("c1", 1, "now"), 1)), 0, 1, "so does who asks for it"),
        (
            after((FAILED, GOAL, 0), (FAILED, Goal("c1", 2), 1), (AGAIN, Goal("c1", 2), 2)),
            1,
            12,
            "a failure of what is wanted now counts",
        ),
        (after((endpoint(Phase.FAILED, config="c0"), GOAL, 0)), 0, None, "the failure of something else is replaced"),
        (after((endpoint(Phase.IMPAIRED), GOAL, 0)), 1, 10, "what went out of service is tried again likewise"),
    ],
)
def test_what_is_known_of_the_tries(tries: Tries, failures: int, next_at: int | None, reason: str) -> None:
    assert tries.failures == failures, reason
    assert tries.next_at == (None if next_at is None else NOON + timedelta(seconds=next_at)), reason


def test_a_try_is_due_from_its_moment_on_and_never_after_the_last() -> None:
    once = after((FAILED, GOAL, 0))
    assert not once.is_due(NOON + timedelta(seconds=9))
    assert once.is_due(NOON + timedelta(seconds=10))
    assert not once.is_over
    over = after((FAILED, GOAL, 0), (AGAIN, GOAL, 20), (endpoint(Phase.FAILED, "v5"), GOAL, 40))
    assert over.is_over
    assert not over.is_due(NOON + timedelta(days=365))
    assert not Tries().is_over
    assert not Tries().is_due(NOON)


@given(most=st.integers(1, 20), first=st.integers(1, 3600), failures=st.integers(1, 10**6))
def test_pauses_grow_up_to_the_longest_and_end(most: int, first: int, failures: int) -> None:
    patience = Patience(most, timedelta(seconds=first), timedelta(hours=1))
    pause, longer = patience.pause(failures), patience.pause(failures + 1)
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
    sights: list[tuple[Have | None, Goal, int]],
) -> None:
    due, ahead = 0, NOON + timedelta(days=1)
    tries = Tries()
    for have, goal, seconds in sights:
        before = tries.failures
        tries = tries.seen(have, goal, NOON + timedelta(seconds=seconds), QUICK)
        due = due + 1 if tries.failures > before and tries.is_due(ahead) else due
        if tries.failures == 0:
            due = 0
        assert due < QUICK.most


@pytest.mark.parametrize(
    ("phase", "status", "since", "stuck", "reason"),
    [
        (Phase.BUSY, "Creating", NOON, True, "a creation hangs"),
        (Phase.BUSY, "Updating", NOON, True, "so does an update"),
        (Phase.BUSY, "RollingBack", NOON, True, "and the way back"),
        (Phase.BUSY, "SystemUpdating", NOON, False, "AWS's own maintenance takes its time"),
        (Phase.BUSY, "Creating", None, False, "nobody knows since when"),
        (Phase.READY, "InService", NOON, False, "what serves does not hang"),
        (Phase.FAILED, "Failed", NOON, False, "what failed has ended"),
        (Phase.DELETING, "Deleting", NOON, False, "what goes is waited for"),
    ],
)
def test_what_may_get_stuck(phase: Phase, status: str, since: datetime | None, stuck: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    have = Have(KEY, phase, EndpointSpec("c1"), status=status, since=since)
    assert stuck_at(have, timedelta(minutes=30)) == (NOON + timedelta(minutes=30) if stuck else None), reason
