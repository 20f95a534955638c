from datetime import UTC, datetime, timedelta
from itertools import accumulate, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState
from ephemeral_endpoints.features.reviews.forge import PullRequest, PullRequestKey
from ephemeral_endpoints.features.reviews.pull_requests.sights import Sight, pause

OPEN, CLOSED, MERGED = PullRequestState
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = PullRequestKey("acme/wine", 42)
HEAD = "a" * 40
GRACE = timedelta(seconds=600)


def pull_request(state: PullRequestState = OPEN, head: str = HEAD, *, is_fork: bool = False) -> PullRequest:
    return PullRequest(KEY, state, head, is_fork)


def seen(*sights: tuple[float, PullRequestState]) -> Sight:
    """What is known after these sights, at their times."""
    (at, state), *later = sights
    found = Sight.first(pull_request(state), at, NOON + timedelta(seconds=at))
    for at, state in later:
        found = found.then(pull_request(state), at, NOON + timedelta(seconds=at))
    return found


@pytest.mark.parametrize(
    ("sights", "is_over", "why"),
    [
        ([(0, OPEN)], False, "it is open"),
        ([(0, CLOSED)], False, "seen once, however long ago"),
        ([(0, CLOSED), (600, CLOSED)], True, "seen twice with the grace between"),
        ([(0, MERGED), (600, MERGED)], True, "merged is closed"),
        ([(0, CLOSED), (600, MERGED)], True, "what closed first and was merged is closed all the time"),
        ([(0, CLOSED), (599.9, CLOSED)], False, "within the grace"),
        ([(0, CLOSED), (300, OPEN), (600, CLOSED)], False, "it was open in between"),
        ([(0, CLOSED), (300, OPEN), (600, CLOSED), (1200, CLOSED)], True, "the grace begins again"),
        ([(0, CLOSED), (600, OPEN)], False, "it was reopened"),
        ([(0, OPEN), (600, CLOSED)], False, "it was open before"),
        ([(0, CLOSED), (300, CLOSED), (600, CLOSED)], True, "sights within the grace change nothing"),
        ([(600, CLOSED), (0, CLOSED)], False, "an answer to an earlier question is late"),
        ([(600, OPEN), (0, CLOSED), (1, CLOSED)], False, "late answers are no sights"),
    ],
)
def test_what_is_seen_closed_twice_with_the_grace_between_is_over(
    sights: list[tuple[float, PullRequestState]],
    is_over: bool,  # noqa: FBT001 - a table's column
    why: str,
) -> None:
    assert seen(*sights).is_over(GRACE) is is_over, why


def test_without_a_grace_two_sights_are_needed_all_the_same() -> None:
    assert not seen((0, CLOSED)).is_over(timedelta())
    assert not seen((0, CLOSED), (0, CLOSED)).is_over(timedelta()), "one answer, twice"
    assert seen((0, CLOSED), (1, CLOSED)).is_over(timedelta())


def test_the_time_of_day_is_that_of_the_first_sight() -> None:
    found = seen((0, OPEN), (60, CLOSED), (120, CLOSED))
    assert found.closed_since == NOON + timedelta(seconds=60)
    assert found.closed_from == 60


@pytest.mark.parametrize(
    ("sight", "due", "why"),
    [
        (seen((0, OPEN)), None, "nothing to confirm"),
        (seen((60, CLOSED)), 660.0, "after the grace"),
        (seen((60, CLOSED), (300, CLOSED)), 660.0, "likewise"),
        (seen((60, CLOSED), (660, CLOSED)), None, "it is decided"),
    ],
)
def test_the_sight_that_decides_is_due_when_the_grace_is_over(sight: Sight, due: float | None, why: str) -> None:
    assert sight.confirmation_due(GRACE) == due, why


histories = st.lists(st.tuples(st.integers(1, 900), st.sampled_from(PullRequestState)), min_size=1, max_size=12)


@given(histories, st.integers(0, 1800))
def test_nothing_ends_without_two_closed_sights_the_grace_apart_and_none_open_in_between(
    steps: list[tuple[int, PullRequestState]], grace: int
) -> None:
    moments = list(accumulate(step for step, _ in steps))
    history = [(moment, state) for moment, (_, state) in zip(moments, steps, strict=True)]
    closed_since_open: list[float] = []
    for moment, state in history:
        closed_since_open = [] if state is OPEN else [*closed_since_open, moment]
    expected = len(closed_since_open) > 1 and closed_since_open[-1] - closed_since_open[0] >= grace
    found = seen(*history)
    assert found.is_over(timedelta(seconds=grace)) is expected
    assert found.is_closed is bool(closed_since_open)


def keys(count: int) -> list[PullRequestKey]:
    return [PullRequestKey("acme/wine", number) for number in range(count)]


@pytest.mark.parametrize(
    ("count", "seconds"),
    [(0, 60.0), (1, 60.0), (100, 60.0), (500, 60.0), (501, 72.0), (1000, 120.0), (5000, 600.0)],
)
def test_the_pace_keeps_to_five_queries_a_minute(count: int, seconds: float) -> None:
    assert pause(keys(count)) == seconds


def test_owners_are_asked_for_apart_and_so_count_apart() -> None:
    assert pause(PullRequestKey(f"owner-{number}/x", 1) for number in range(10)) == 120.0


def test_an_owner_in_many_cases_slows_nobody_down() -> None:
    owners = map("".join, product("aA", "cC", "mM", "eE"))
    assert pause(PullRequestKey(f"{owner}/x", 1) for owner in owners) == 60.0
