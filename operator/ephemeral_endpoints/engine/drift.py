"""Drift: a resource had its desired state and lost it, because another actor changed or deleted it.

Drift is repaired. If the actor reverts the repairs, they become rarer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Self

from ephemeral_endpoints.engine.errors import Contested
from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Step, Update, is_ready
from ephemeral_endpoints.engine.resources import Key, ObservedResources, Phase

AT_ONCE: Final = 2
"""Number of repairs of one resource without a pause."""

FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(minutes=30)
CALM: Final = timedelta(hours=1)
"""Time without a repair after which earlier ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Repairs:
    """How often in a row one resource was repaired, and when last."""

    count: int
    last_at: datetime

    def next_at(self) -> datetime:
        """When the resource may be repaired again."""
        if self.count < AT_ONCE:
            return self.last_at
        return self.last_at + min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.count - AT_ONCE, 16))


@dataclass(frozen=True, slots=True)
class Drift:
    """The drift of one object.

    ``settled`` holds the resources seen ready in their desired state since the object has its generation, with a hash
    of that state.
    """

    generation: int | None = None
    settled: Mapping[Key, int] = field(default_factory=dict)
    repairs: Mapping[Key, Repairs] = field(default_factory=dict)

    def of_generation(self, generation: int) -> Self:
        """The same for a generation: nothing is settled while a changed object is being applied."""
        return self if generation == self.generation else replace(self, generation=generation, settled={})

    def seen(self, desired: DesiredState, observed_resources: ObservedResources) -> Self:
        """Record the resources that have their desired state now."""
        settled = {
            # The key that the inventory keeps anyway: the desired ones are made anew each time.
            observed_resources[resource.key].key: hash(resource.spec)
            for resource in desired.resources
            if is_ready(resource, observed_resources)
        }
        return self if settled.items() <= self.settled.items() else replace(self, settled={**self.settled, **settled})

    def is_repair(self, step: Step) -> bool:
        """Whether a step reverts a change by another actor, as opposed to an impairment by AWS."""
        if isinstance(step, Delete) or (isinstance(step, Update) and step.observed.phase is Phase.IMPAIRED):
            return False
        return self.settled.get(step.key) == hash(step.resource.spec)

    def refusal(self, step: Step, now: datetime) -> Contested | None:
        """Why a step must wait; None if it may be taken."""
        repairs = self.repairs.get(step.key)
        if repairs is None or not self.is_repair(step) or _is_forgotten(repairs, now) or now >= repairs.next_at():
            return None
        again = f"{repairs.next_at():%H:%M:%S} UTC"
        return Contested(
            f"{step.key} {_change(step)} again after {repairs.count} repairs: find the caller in CloudTrail; "
            f"the operator repairs it again at {again}"
        )

    def taken(self, step: Step, now: datetime) -> Self:
        """Record a step: its resource is no longer settled."""
        settled = {key: content for key, content in self.settled.items() if key != step.key}
        if not self.is_repair(step):
            return replace(self, settled=settled)
        before = self.repairs.get(step.key)
        count = 0 if before is None or _is_forgotten(before, now) else before.count
        kept = {key: each for key, each in self.repairs.items() if not _is_forgotten(each, now)}
        return replace(self, settled=settled, repairs={**kept, step.key: Repairs(count + 1, now)})


def repair_message(steps: Iterable[Step], repairs: Mapping[Key, Repairs]) -> str:
    """A description of the repairs just made, with how often they were made in a row."""
    return "the operator repaired drift in AWS: " + "; ".join(
        _described(step, repairs[step.key].count) for step in steps
    )


def _described(step: Step, count: int) -> str:
    return f"{step.key} {_change(step)}" + (f" (repair {count} in a row)" if count > 1 else "")


def _change(step: Step) -> str:
    return "was deleted" if isinstance(step, Create) else "was changed"


def _is_forgotten(repairs: Repairs, now: datetime) -> bool:
    return now - repairs.last_at >= CALM
