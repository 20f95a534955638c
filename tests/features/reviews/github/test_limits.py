"""The budget, against a GitHub that counts: however requests arrive, it never has a reason to refuse one."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.reviews.github.limits import (
    CONTENTS_AN_HOUR,
    FREE_SHARE,
    GAP_SECONDS,
    LONGEST_SECONDS,
    SECONDARY_SECONDS,
    Allowance,
    Budget,
)

HOUR = 3600.0
WINE, BEER = "acme/wine", "acme/beer"


def written(budget: Budget, repository: str, now: float) -> float | None:
    """Write now if that is allowed; returns when it would be otherwise."""
    due = budget.write_due("", repository, now)
    if due > now:
        return due
    budget.note_write(repository, now)
    return None


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from([WINE, BEER, "acme/cider"])), max_size=700))
def test_no_window_has_more_writes_than_github_takes(arrivals: list[tuple[float, str]]) -> None:
    budget, now, times = Budget(), 0.0, []
    for pause, repository in arrivals:
        now += pause
        if written(budget, repository, now) is None:
            times.append(now)
    assert all(later >= earlier + GAP_SECONDS for earlier, later in pairwise(times))
    for index, begin in enumerate(times):
        assert sum(at < begin + 60 for at in times[index:]) <= 80
        assert sum(at < begin + HOUR for at in times[index:]) <= CONTENTS_AN_HOUR


def test_one_repository_alone_cannot_have_what_others_may_need() -> None:
    budget = Budget()
    busy = [written(budget, WINE, float(second)) for second in range(CONTENTS_AN_HOUR)]
    budget_of_all = round(CONTENTS_AN_HOUR * FREE_SHARE)
    assert busy.count(None) == CONTENTS_AN_HOUR, "alone, it has all of the hour"
    shared = Budget()
    written(shared, BEER, 0.0)
    crowd = [written(shared, WINE, float(second)) for second in range(1, CONTENTS_AN_HOUR)]
    assert crowd.count(None) == budget_of_all - 1, "another repository of the hour has not had its half"
    late = [written(shared, BEER, CONTENTS_AN_HOUR + float(second)) for second in range(100)]
    assert late.count(None) == CONTENTS_AN_HOUR - budget_of_all


def test_a_full_hour_says_when_there_is_room_again() -> None:
    budget = Budget()
    for second in range(CONTENTS_AN_HOUR):
        written(budget, WINE, float(second))
    assert written(budget, WINE, 600.0) == HOUR, "an hour after the first"
    assert written(budget, WINE, HOUR) is None


@pytest.mark.parametrize(
    ("remaining", "sent", "reason"),
    [
        (5000, {"read", "write"}, "plenty"),
        (501, {"read", "write"}, "more than the reserve"),
        (500, {"read"}, "the reserve is for those that find out how pull requests are"),
        (1, {"read"}, "the last one"),
        (0, set(), "none"),
    ],
)
def test_writes_leave_a_reserve_of_the_primary_limit(remaining: int, sent: set[str], reason: str) -> None:
    assert reason
    budget = Budget()
    budget.note("acme", Allowance("core", 5000, remaining, 900.0), 100.0)
    assert budget.read_due("acme", "core", 100.0) == (100.0 if "read" in sent else 1000.0)
    assert budget.write_due("acme", WINE, 100.0) == (100.0 if "write" in sent else 1000.0)
    assert budget.read_due("acme", "graphql", 100.0) == 100.0, "another resource"
    assert budget.read_due("other", "core", 100.0) == 100.0, "another installation"
    assert budget.read_due("acme", "core", 1000.0) == 1000.0, "the limit is reset"


@pytest.mark.parametrize(
    ("told", "expected", "reason"),
    [
        (17.0, 17.0, "as GitHub says"),
        (None, SECONDARY_SECONDS, "it says nothing: a minute"),
        (0.0, 1.0, "not at once"),
        (86_400.0, LONGEST_SECONDS, "no answer stops it for longer than an hour"),
        (float("inf"), LONGEST_SECONDS, "nor one that is no time"),
    ],
)
def test_a_refusal_pauses_everything(told: float | None, expected: float, reason: str) -> None:
    assert reason
    budget = Budget()
    assert budget.note_refusal(told, 100.0) == expected
    assert budget.read_due("acme", "core", 100.0) == 100.0 + expected
    assert budget.write_due("acme", WINE, 100.0) == 100.0 + expected


def test_refusals_in_a_row_double_the_pause_until_something_is_served() -> None:
    budget = Budget()
    assert [budget.note_refusal(None, 0.0) for _ in range(8)] == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    budget.note_success()
    assert budget.note_refusal(None, 0.0) == SECONDARY_SECONDS


def test_shards_have_the_credentials_in_common() -> None:
    budget = Budget(count=4)
    times = [second / 4 for second in range(4 * 3000) if written(budget, WINE, second / 4) is None]
    assert len(times) == CONTENTS_AN_HOUR // 4
    assert times[1] - times[0] == 4 * GAP_SECONDS
