import pytest
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.autoscaling.tracking import HIGH_PERIODS, LOW_PERIODS, Brake, Streak, wanted

HIGH, LOW = Streak(above=HIGH_PERIODS), Streak(below=LOW_PERIODS)


@pytest.mark.parametrize(
    ("capacity", "metric", "streak", "expected"),
    [
        pytest.param(2, 25, HIGH, 5, id="in proportion, rounded up"),
        pytest.param(2, 25, Streak(above=HIGH_PERIODS - 1), 2, id="not for a short peak"),
        pytest.param(4, 5, LOW, 2, id="in proportion"),
        pytest.param(4, 5, Streak(below=LOW_PERIODS - 1), 4, id="not for a short lull"),
        pytest.param(4, 0, LOW, 0, id="no traffic is a metric of zero"),
        pytest.param(0, 25, HIGH, 3, id="from nothing, as if it were one"),
        pytest.param(0, 0, LOW, 0, id="nothing stays nothing"),
        pytest.param(3, 9.5, Streak(), 3, id="between the thresholds"),
    ],
)
def test_the_wanted_capacity_brings_the_metric_to_ten(
    capacity: int, metric: float, streak: Streak, expected: int
) -> None:
    assert wanted(capacity, metric, 10, streak) == expected


@given(st.lists(st.floats(0, 100), max_size=40), st.floats(0.1, 100))
def test_a_streak_counts_the_latest_periods_on_one_side(metrics: list[float], target: float) -> None:
    streak = Streak()
    for metric in metrics:
        streak = streak.then(metric, target)
        assert not (streak.above and streak.below)
    for count, on_its_side in (
        (streak.above, [metric > target for metric in metrics]),
        (streak.below, [metric < 0.9 * target for metric in metrics]),
    ):
        assert all(on_its_side[len(metrics) - count :])
        assert count == len(metrics) or not on_its_side[len(metrics) - count - 1]


@pytest.mark.parametrize(
    ("brake", "holds"),
    [
        (Brake(suspended=True, since=float("inf"), cooldown=0), True),
        (Brake(suspended=False, since=299, cooldown=300), True),
        (Brake(suspended=False, since=300, cooldown=300), False),
        (Brake(suspended=False, since=float("inf"), cooldown=300), False),
    ],
)
def test_capacity_stays_while_suspended_or_just_changed(brake: Brake, holds: bool) -> None:  # noqa: FBT001 - a column of the table
    assert brake.holds is holds
