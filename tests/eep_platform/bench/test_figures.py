from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.aws.limits import Limit, Throttle, documented
from eep_platform.bench.figures import (
    CREATION,
    DELETION,
    Bound,
    Operation,
    Spread,
    bound,
    fit,
    is_reading,
    percentile,
)

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        pytest.param([7.0], 50, 7.0, id="of one value every percentile is that value"),
        pytest.param([7.0], 99, 7.0, id="likewise"),
        pytest.param([1.0, 2.0], 50, 1.0, id="half of the values are enough for the median: nothing is interpolated"),
        pytest.param([1.0, 2.0, 3.0], 50, 2.0, id="the middle one"),
        pytest.param([float(n) for n in range(1, 101)], 99, 99.0, id="of a hundred values one may be worse"),
        pytest.param([float(n) for n in range(1, 100)], 99, 99.0, id="of fewer none may be worse"),
        pytest.param([1.0, 2.0, 3.0], 0, 1.0, id="the least value, and not what lies before it"),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


@given(VALUES, st.floats(0, 100))
def test_percentile_is_a_value_that_enough_values_do_not_exceed(values: list[float], percent: float) -> None:
    found = percentile(sorted(values), percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-9


def test_there_is_no_percentile_of_no_values() -> None:
    with pytest.raises(ValueError, match="no values"):
        Spread.of([])


@given(VALUES)
def test_spread_does_not_depend_on_the_order_of_values(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread == Spread.of(reversed(values))
    assert spread.median <= spread.p99 <= spread.worst == max(values)


FAST = Limit(service="logs", operations=("CreateLogGroup",), rate=10)
SLOW = Limit(service="cloudwatch", operations=("PutMetricAlarm",), rate=3)


@pytest.mark.parametrize(
    ("calls", "objects", "limits", "expected"),
    [
        pytest.param({}, 100, [FAST], Bound(0, "none"), id="what calls nothing is bound by nothing"),
        pytest.param(CREATION, 0, [FAST, SLOW], Bound(0, "none"), id="no objects take no time"),
        pytest.param(
            {("sts", "GetCallerIdentity"): 1}, 100, [FAST], Bound(0, "none"), id="calls without a limit do not count"
        ),
        pytest.param(CREATION, 1, [FAST, SLOW], Bound(0, "none"), id="a few calls are within the bursts"),
        pytest.param(
            CREATION, 300, [FAST, SLOW], Bound(199, "PutMetricAlarm 3/s"), id="600 calls, 3 of them at once, 3 a second"
        ),
        pytest.param(
            CREATION, 300, [FAST], Bound(59, "CreateLogGroup 10/s"), id="600 calls, 10 of them at once, 10 a second"
        ),
        pytest.param(DELETION, 300, documented(), Bound(59, "DeleteLogGroup 10/s"), id="6 calls delete 600 alarms"),
        pytest.param(
            CREATION, 300, documented(), Bound(199, "PutMetricAlarm 3/s"), id="of all documented limits that one binds"
        ),
        pytest.param(
            {("apigatewayv2", "CreateRoute"): 1, ("apigatewayv2", "CreateIntegration"): 1},
            70,
            documented(),
            Bound(10, "apigatewayv2 10/s"),
            id="operations that share a limit count together: 140 calls, 40 of them at once",
        ),
    ],
)
def test_the_limit_that_takes_longest_binds(
    calls: Mapping[Operation, float], objects: int, limits: list[Limit], expected: Bound
) -> None:
    assert bound(calls, objects, limits) == expected


@given(st.integers(1, 60), st.sampled_from([1.0, 4.0, 16.0]))
def test_the_bound_is_what_the_meter_admits(objects: int, rate: float) -> None:
    """No schedule can be faster, and the one that calls as soon as the meter lets it is as fast."""
    limit = Limit(service="cloudwatch", operations=("PutMetricAlarm",), rate=rate)
    least = bound({("cloudwatch", "PutMetricAlarm"): 2}, objects, [limit]).seconds
    now = 0.0
    throttle = Throttle([limit], clock=lambda: now)
    step = 1 / (8 * rate)
    for _ in range(2 * objects):
        while throttle.admit("cloudwatch", "PutMetricAlarm") is not None:
            now += step
    assert now == least


@given(st.floats(-100, 100), st.floats(-100, 100), st.sets(st.integers(0, 2000), min_size=2, max_size=8))
def test_points_on_a_line_give_the_line(intercept: float, slope: float, at: set[int]) -> None:
    line = fit([(x, intercept + slope * x) for x in at])
    assert line.slope == pytest.approx(slope, abs=1e-6)
    assert line.intercept == pytest.approx(intercept, abs=1e-3)


@pytest.mark.parametrize("points", [[], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 3.0)]])
def test_a_line_needs_two_different_points(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="two different points"):
        fit(points)


@pytest.mark.parametrize(
    ("operation", "reads"),
    [
        (("sagemaker", "DescribeEndpoint"), True),
        (("ecr", "BatchGetImage"), True),
        (("sts", "GetCallerIdentity"), True),
        (("sts", "AssumeRole"), True),
        (("sagemaker", "UpdateEndpoint"), False),
        (("logs", "PutRetentionPolicy"), False),
    ],
)
def test_operations_are_distinguished_by_their_names(operation: Operation, reads: bool) -> None:  # noqa: FBT001 - a column
    assert is_reading(operation) is reads


def test_what_creation_and_deletion_need_only_changes() -> None:
    assert not any(is_reading(operation) for operation in (*CREATION, *DELETION))
