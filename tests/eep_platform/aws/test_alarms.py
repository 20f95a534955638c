"""The tables of "Configuring how CloudWatch alarms treat missing data" in the CloudWatch user guide, and beyond."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.platform import Aws
from tests.fixtures.waiting import eventually

from eep_platform.aws.alarms import Missing, Rule, State, Windows
from eep_platform.errors import PlatformError

SIGNS = {"0": 0.0, "X": 9.0, "-": None}
OK, ALARM, INSUFFICIENT = State.OK, State.ALARM, State.INSUFFICIENT_DATA
KEPT = "kept"


def rule(missing: Missing, *, of: int = 3, to_alarm: int = 3, comparison: str = "GreaterThanThreshold") -> Rule:
    return Rule(comparison, 1.0, 60, of, to_alarm, missing)


def values(drawn: str) -> list[float | None]:
    """What a row of the guide draws: oldest first."""
    return [SIGNS[each] for each in reversed(drawn.split())]


@pytest.mark.parametrize(
    ("drawn", "to_alarm", "states"),
    [
        pytest.param("0 - X - X", 3, (OK, OK, OK, OK), id="three real values are enough"),
        pytest.param("- - - - 0", 3, (OK, OK, OK, OK), id="one good value, two missing"),
        pytest.param("- - - - -", 3, (INSUFFICIENT, KEPT, ALARM, OK), id="nothing"),
        pytest.param("0 X X - X", 3, (ALARM, ALARM, ALARM, ALARM), id="older values instead of missing ones"),
        pytest.param("- - X - -", 3, (ALARM, KEPT, ALARM, OK), id="a breach that nothing contradicts any more"),
        pytest.param("- - - - X", 3, (OK, KEPT, ALARM, OK), id="a breach that may yet be contradicted"),
        pytest.param("0 - X - X", 2, (ALARM, ALARM, ALARM, ALARM), id="two of three"),
        pytest.param("0 0 X 0 X", 2, (ALARM, ALARM, ALARM, ALARM), id="two of three, none missing"),
        pytest.param("0 - X - -", 2, (OK, OK, ALARM, OK), id="two of three, one missing"),
        pytest.param("- - - - 0", 2, (OK, OK, ALARM, OK), id="two of three, two missing"),
        pytest.param("- - - X -", 2, (ALARM, KEPT, ALARM, OK), id="two of three, a breach that nothing contradicts"),
        pytest.param("X X X - -", 3, (ALARM, ALARM, ALARM, ALARM), id="the errors have just stopped"),
        pytest.param("X X - - -", 3, (ALARM, KEPT, ALARM, OK), id="the errors stopped three minutes ago"),
    ],
)
def test_missing_data_is_treated_as_the_guide_says(
    drawn: str, to_alarm: int, states: tuple[State | str, State | str, State | str, State | str]
) -> None:
    order = (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)
    for before in State:
        found = [rule(each, to_alarm=to_alarm).state(before, values(drawn))[0] for each in order]
        assert found == [before if state is KEPT else state for state in states]


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [
        ("GreaterThanThreshold", OK, OK, ALARM),
        ("GreaterThanOrEqualToThreshold", OK, ALARM, ALARM),
        ("LessThanThreshold", ALARM, OK, OK),
        ("LessThanOrEqualToThreshold", ALARM, ALARM, OK),
    ],
)
def test_comparisons_with_the_threshold(comparison: str, below: State, at: State, above: State) -> None:
    judged = rule(Missing.MISSING, of=1, to_alarm=1, comparison=comparison)
    assert [judged.state(OK, [value])[0] for value in (0.9, 1.0, 1.1)] == [below, at, above]


@pytest.mark.parametrize(
    ("drawn", "missing", "reason"),
    [
        (
            "X X X",
            Missing.MISSING,
            "Threshold Crossed: 3 out of the last 3 datapoints [9.0, 9.0, 9.0] were greater than the threshold (1.0).",
        ),
        (
            "X 0 X",
            Missing.MISSING,
            (
                "Threshold Crossed: 1 out of the last 3 datapoints [9.0, 0.0, 9.0] were not greater than the threshold "
                "(1.0)."
            ),
        ),
        ("- - -", Missing.MISSING, "Insufficient Data: 3 datapoints were unknown."),
        (
            "- - -",
            Missing.NOT_BREACHING,
            (
                "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as "
                "[notBreaching]."
            ),
        ),
    ],
)
def test_a_state_has_a_reason(drawn: str, missing: Missing, reason: str) -> None:
    assert rule(missing).state(OK, values(drawn))[1] == reason


@given(st.lists(st.sampled_from([0.0, 9.0]), min_size=3, max_size=5), st.sampled_from(Missing), st.sampled_from(State))
def test_where_enough_is_known_neither_the_state_before_nor_missing_data_matter(
    known: list[float], missing: Missing, before: State
) -> None:
    assert rule(missing).state(before, known)[0] is (ALARM if all(known[:3]) else OK)


@given(st.floats(min_value=0, max_value=1e9), st.sampled_from([10, 30, 60, 300]))
def test_every_moment_of_the_periods_is_in_one_of_them(now: float, seconds: int) -> None:
    looked_at: Windows[float] = Windows.of(Rule("LessThanThreshold", 1, seconds, 3, 3, Missing.MISSING), now)
    assert 0 <= now - looked_at.end < min(seconds, 60)
    moments = [looked_at.end - part * seconds / 2 for part in range(12)]
    filled = looked_at.fill((moment, moment) for moment in moments)
    assert filled[0] == moments[1:3], "a period has its first moment, and not that of the next"
    assert [moment for part in filled for moment in part] == moments[1:11]


@pytest.mark.parametrize(
    "alarm",
    [
        pytest.param({"ComparisonOperator": "GreaterThanThreshold"}, id="metric math"),
        pytest.param({"MetricName": "M", "ComparisonOperator": "GreaterThanUpperThreshold"}, id="anomaly detection"),
    ],
)
def test_other_alarms_are_not_evaluated(alarm: dict[str, Any]) -> None:
    assert Rule.of(alarm) is None


class Alarms:
    """Alarms on the errors of endpoints, as the operator has them."""

    def __init__(self, aws: Aws) -> None:
        self.client = aws.client("cloudwatch")
        self.minute = time.time() // 60 * 60

    def put(self, endpoint: str, **members: Any) -> None:  # noqa: ANN401 - members of a request
        usual = {
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocation5XXErrors",
            "Dimensions": dimensions(endpoint),
            "Statistic": "Average",
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0.05,
            "Period": 60,
            "EvaluationPeriods": 3,
            "TreatMissingData": "notBreaching",
        }
        asked = {name: value for name, value in (usual | members).items() if value is not None}
        self.client.put_metric_alarm(AlarmName=endpoint, **asked)

    def measure(self, endpoint: str, value: float, *minutes_ago: int, count: int = 1) -> None:
        data = [
            {
                "MetricName": "Invocation5XXErrors",
                "Dimensions": dimensions(endpoint),
                "Timestamp": datetime.fromtimestamp(self.minute - 60 * ago + 1, UTC),
                "Values": [value],
                "Counts": [float(count)],
            }
            for ago in minutes_ago
        ]
        self.client.put_metric_data(Namespace="AWS/SageMaker", MetricData=data)

    def states(self) -> dict[str, str]:
        return {each["AlarmName"]: each["StateValue"] for each in self.client.describe_alarms()["MetricAlarms"]}


def dimensions(endpoint: str) -> list[dict[str, str]]:
    return [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}]


@pytest.fixture
def alarms(fresh_aws: Aws) -> Alarms:
    return Alarms(fresh_aws)


def test_the_errors_of_one_preview_alarm_no_other_and_end(alarms: Alarms) -> None:
    alarms.put("good")
    alarms.put("bad")
    assert alarms.states() == {"good": "OK", "bad": "OK"}
    alarms.measure("bad", 1.0, *range(6))
    alarms.measure("good", 0.0, *range(6))
    assert alarms.states() == {"good": "OK", "bad": "ALARM"}
    alarms.measure("bad", 0.0, *range(6), count=1000)
    assert alarms.states() == {"good": "OK", "bad": "OK"}, "one of a thousand in each of the same minutes"


def test_the_present_minute_does_not_count_yet(alarms: Alarms) -> None:
    alarms.put("pr", EvaluationPeriods=1)
    alarms.measure("pr", 1.0, -1, 0)
    # At the end of a minute that ended meanwhile, it does.
    assert alarms.states()["pr"] == "OK" or time.time() // 60 * 60 > alarms.minute
    alarms.measure("pr", 1.0, 1)
    assert alarms.states()["pr"] == "ALARM"


@pytest.mark.parametrize(
    ("statistic", "state"),
    [
        pytest.param({"Statistic": "Average"}, "OK", id="the average is low"),
        pytest.param({"Statistic": "Maximum"}, "ALARM", id="the maximum is not"),
        pytest.param({"ExtendedStatistic": "p99", "Statistic": None}, "ALARM", id="nor is a percentile"),
        pytest.param({"ExtendedStatistic": "p50", "Statistic": None}, "OK", id="but the median is"),
        pytest.param({"ExtendedStatistic": "tm99", "Statistic": None}, "OK", id="not computed: missing"),
        pytest.param({"Statistic": "Maximum", "Unit": "Seconds"}, "OK", id="no data of that unit"),
    ],
)
def test_each_statistic_is_of_one_period(alarms: Alarms, statistic: dict[str, Any], state: str) -> None:
    alarms.put("pr", EvaluationPeriods=1, Threshold=0.5, **statistic)
    for value in (0.0, 0.0, 0.0, 1.0):
        alarms.measure("pr", value, 1)
    assert alarms.states()["pr"] == state


def test_a_state_that_somebody_sets_lasts_until_the_next_evaluation(alarms: Alarms) -> None:
    alarms.put("pr")
    alarms.client.set_alarm_state(AlarmName="pr", StateValue="ALARM", StateReason="a drill")
    eventually(lambda: alarms.states()["pr"] == "OK", "evaluated without any data arriving")


def test_the_minutes_of_alarms_can_pass_faster(alarms: Alarms, fresh_aws: Aws) -> None:
    def last_minute() -> str:
        series, now = {"MetricName": "Invocation5XXErrors", "Dimensions": dimensions("pr")}, time.time()
        moments = (datetime.fromtimestamp(now - ago, UTC) for ago in range(1, 60, 2))
        data = [{**series, "Timestamp": moment, "Value": 1.0} for moment in moments]
        alarms.client.put_metric_data(Namespace="AWS/SageMaker", MetricData=data)
        return alarms.states()["pr"]

    alarms.put("pr")
    assert last_minute() == "OK", "three minutes are asked for"
    fresh_aws.control.set_alarm_pace(6)
    assert last_minute() == "ALARM"
    fresh_aws.control.set_alarm_pace()
    assert last_minute() == "OK"
    with pytest.raises(PlatformError, match="greater than 0"):
        fresh_aws.control.set_alarm_pace(0)
