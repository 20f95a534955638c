"""Drift: what had been as wanted and is not any more, because somebody else changed or deleted it.

It is repaired. Where somebody works against us, the repairs become rarer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Self

from ephemeral_endpoints.core.errors import Contested
from ephemeral_endpoints.core.plan import Create, Delete, Desired, Step, Update, is_ready
from ephemeral_endpoints.core.resources import Haves, Key, Phase

AT_ONCE: Final = 2
"""So many repairs of one thing are made without a pause."""

FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(minutes=30)
CALM: Final = timedelta(hours=1)
"""After so long without a repair the earlier ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Repairs:
    """How often in a row one thing was repaired, and when last."""

    count: int
    last_at: datetime

    def next_at(self) -> datetime:
        """When it may be repaired again."""
        if self.count < AT_ONCE:
            return self.last_at
        return self.last_at + min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.count - AT_ONCE, 16))


@dataclass(frozen=True, slots=True)
class Drift:
    """What is known of one object's drift.

    ``settled`` holds what was seen ready and as wanted since the object has its generation, by a hash of how it was
    wanted.
    """

    generation: int | None = None
    settled: Mapping[Key, int] = field(default_factory=dict)
    repairs: Mapping[Key, Repairs] = field(default_factory=dict)

    def of_generation(self, generation: int) -> Self:
        """Nothing is settled before a changed object has been carried out."""
        return self if generation == self.generation else replace(self, generation=generation, settled={})

    def seen(self, desired: Desired, haves: Haves) -> Self:
        """Note what is as wanted now."""
        settled = {want.key: hash(want.spec) for want in desired.wants if is_ready(want, haves)}
        return self if settled.items() <= self.settled.items() else replace(self, settled={**self.settled, **settled})

    def is_repair(self, step: Step) -> bool:
        """Whether a step brings back what somebody else took away; what AWS itself impaired is something else."""
        if isinstance(step, Delete) or (isinstance(step, Update) and step.have.phase is Phase.IMPAIRED):
            return False
        return self.settled.get(step.key) == hash(step.want.spec)

    def refusal(self, step: Step, now: datetime) -> Contested | None:
        """Why a step must wait; None if it may be taken."""
        repairs = self.repairs.get(step.key)
        if repairs is None or not self.is_repair(step) or _is_forgotten(repairs, now) or now >= repairs.next_at():
            return None
        again = f"{repairs.next_at():%H:%M:%S} UTC"
        return Contested(
            f"{step.key} {_what_happened(step)} again after it was repaired {repairs.count} times: "
            f"find out who does it; the next repair is at {again}"
        )

    def taken(self, step: Step, now: datetime) -> Self:
        """A step was taken: what it touched is not settled any more."""
        settled = {key: content for key, content in self.settled.items() if key != step.key}
        if not self.is_repair(step):
            return replace(self, settled=settled)
        before = self.repairs.get(step.key)
        count = 0 if before is None or _is_forgotten(before, now) else before.count
        kept = {key: each for key, each in self.repairs.items() if not _is_forgotten(each, now)}
        return replace(self, settled=settled, repairs={**kept, step.key: Repairs(count + 1, now)})


def told(steps: Iterable[Step], repairs: Mapping[Key, Repairs]) -> str:
    """What was repaired just now, in words, with how often it was in a row."""
    return "repaired: " + "; ".join(_told(step, repairs[step.key].count) for step in steps)


def _told(step: Step, count: int) -> str:
    return f"{step.key} {_what_happened(step)}" + (f", repair {count} in a row" if count > 1 else "")


def _what_happened(step: Step) -> str:
    return "was deleted" if isinstance(step, Create) else "was changed"


def _is_forgotten(repairs: Repairs, now: datetime) -> bool:
    return now - repairs.last_at >= CALM
