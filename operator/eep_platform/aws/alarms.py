"""The state of a CloudWatch alarm, evaluated as CloudWatch does; pure.

Sources: "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data" in the CloudWatch user guide. Not
evaluated, and left in their state: alarms on metric math, and on anomaly detection bands.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from pydantic import PositiveFloat, TypeAdapter

Point = TypeVar("Point")
_MINUTE: Final = 60
_PACE: Final[TypeAdapter[float]] = TypeAdapter(PositiveFloat)
_EXTRA_PERIODS: Final = 2
"""The guide's example looks at 5 periods for 3 evaluation periods; the exact number is not documented."""

_COMPARISONS: Final[Mapping[str, tuple[Callable[[float, float], bool], str]]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


class State(StrEnum):
    """`StateValue`."""

    ALARM = "ALARM"
    OK = "OK"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Missing(StrEnum):
    """`TreatMissingData`."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alarm on one metric is in which state: the members of PutMetricAlarm that decide it."""

    comparison: str
    threshold: float
    period_seconds: int
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: Missing

    @classmethod
    def of(cls, alarm: Mapping[str, Any]) -> "Rule | None":
        """The rule of an alarm as it was put; None for one that is not evaluated."""
        if not alarm.get("MetricName") or alarm.get("ComparisonOperator") not in _COMPARISONS:
            return None
        periods = alarm["EvaluationPeriods"]
        return cls(
            alarm["ComparisonOperator"],
            alarm["Threshold"],
            alarm["Period"],
            periods,
            alarm.get("DatapointsToAlarm") or periods,
            Missing(alarm.get("TreatMissingData") or Missing.MISSING),
        )

    def state(self, now: State, values: Sequence[float | None]) -> tuple[State, str]:
        """The state after `now`, with its reason, for the values of the last periods: newest first, None is missing."""
        compare, words = _COMPARISONS[self.comparison]
        found = [value for value in values if value is not None][: self.evaluation_periods]
        breaching = [compare(value, self.threshold) for value in found]
        state = self._state(now, breaching, oldest=_oldest(values))
        if state is State.INSUFFICIENT_DATA:
            return state, f"Insufficient Data: {self.evaluation_periods} datapoints were unknown."
        if not found:
            return state, (
                f"Threshold Crossed: no datapoints were received for {self.evaluation_periods} periods and "
                f"{self.evaluation_periods} missing datapoints were treated as [{self.missing}]."
            )
        are = "were" if state is State.ALARM else "were not"
        count = breaching.count(state is State.ALARM)
        return state, (
            f"Threshold Crossed: {count} out of the last {len(found)} datapoints {found} {are} {words} the threshold "
            f"({self.threshold})."
        )

    def _state(self, now: State, breaching: Sequence[bool], oldest: int) -> State:
        absent = self.evaluation_periods - len(breaching)
        count = sum(breaching) + (absent if self.missing is Missing.BREACHING else 0)
        if count >= self.datapoints_to_alarm:
            return State.ALARM
        if not absent or self.missing in (Missing.BREACHING, Missing.NOT_BREACHING) or not all(breaching):
            return State.OK
        if self.missing is Missing.IGNORE:
            return now
        if not breaching:
            return State.INSUFFICIENT_DATA
        # A breach that nothing contradicted for as many periods as it takes to alarm.
        return State.ALARM if oldest >= self.datapoints_to_alarm else State.OK


@dataclass(slots=True)
class Pace:
    """How many seconds of the periods of alarms pass in one second."""

    seconds_per_second: float = 1.0

    def set(self, text: bytes) -> None:
        """Let time pass at another pace from now on. Raises ValidationError if the text is no positive number."""
        self.seconds_per_second = _PACE.validate_json(text)

    def at(self, moment: float) -> float:
        """A moment in the time of the alarms."""
        return moment * self.seconds_per_second


@dataclass(frozen=True, slots=True)
class Windows(Generic[Point]):
    """The periods that an alarm looks at, newest first; the one that has not ended is none of them.

    They end with a minute, or with a period if it is shorter.
    """

    end: float
    seconds: int
    count: int

    @classmethod
    def of(cls, rule: Rule, now: float) -> "Windows[Point]":
        """Those of a rule."""
        step = min(rule.period_seconds, _MINUTE)
        return cls(now // step * step, rule.period_seconds, rule.evaluation_periods + _EXTRA_PERIODS)

    def fill(self, points: Iterable[tuple[float, Point]]) -> list[list[Point]]:
        """The points of each, by their times."""
        filled: list[list[Point]] = [[] for _ in range(self.count)]
        for at, point in points:
            number = -(-(self.end - at) // self.seconds) - 1
            if 0 <= number < self.count:
                filled[int(number)].append(point)
        return filled


def _oldest(values: Sequence[float | None]) -> int:
    """How many periods ago the oldest value was, counted from 1; 0 without any."""
    return max((number for number, value in enumerate(values, 1) if value is not None), default=0)
