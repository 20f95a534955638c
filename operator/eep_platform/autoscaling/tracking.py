"""Target tracking: computes the capacity that a policy wants from its metric; pure.

Source: "Target tracking scaling policies" in the Application Auto Scaling user guide. The policy's two alarms watch
periods of a minute: the high one needs 3 above the target in a row, the low one 15 below 90 % of it.
"""

import math
from dataclasses import dataclass

PERIOD_SECONDS = 60
HIGH_PERIODS = 3
LOW_PERIODS = 15
LOW_PART = 0.9


@dataclass(frozen=True, slots=True)
class Streak:
    """How many of the latest consecutive periods were above the target, or below the low threshold."""

    above: int = 0
    below: int = 0

    def then(self, metric: float, target: float) -> "Streak":
        """The streak with one more period."""
        return Streak(
            self.above + 1 if metric > target else 0,
            self.below + 1 if metric < target * LOW_PART else 0,
        )


@dataclass(frozen=True, slots=True)
class Brake:
    """What prevents scaling in one direction: a suspension or a cooldown.

    Times are in seconds; `since` is the time since the last change of capacity that counts.
    """

    suspended: bool
    since: float
    cooldown: float

    @property
    def holds(self) -> bool:
        """Whether the capacity must stay the same."""
        return self.suspended or self.since < self.cooldown


def wanted(capacity: int, metric: float, target: float, streak: Streak) -> int:
    """The capacity that brings the metric, per unit of capacity, to its target; unchanged without a full streak.

    With a capacity of 0 the metric counts as that of one unit.
    """
    needed = math.ceil(max(1, capacity) * metric / target)
    if streak.above >= HIGH_PERIODS:
        return max(capacity, needed)
    if streak.below >= LOW_PERIODS:
        return min(capacity, needed)
    return capacity
