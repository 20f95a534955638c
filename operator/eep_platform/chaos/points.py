"""The calls of a lifecycle as a recording shows them: where a fault can be injected."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from eep_platform.aws.ledger import Call

_READING: Final = ("BatchGet", "Describe", "Filter", "Get", "List", "Receive")
_POLLED: Final = frozenset({"DeleteMessageBatch", "ListEndpoints", "ReceiveMessage"})
"""Polled while the operator waits: the number of calls means nothing."""

_MOST_OCCURRENCES: Final = 2
_NAME: Final = re.compile(r"eep-[a-z0-9]+-[a-z0-9-]*")


class Phase(StrEnum):
    """The parts of a lifecycle; each ends when nothing is left to do."""

    CREATE = "create"
    UPDATE = "update"
    START = "start"
    DRIFT = "drift"
    DELETE = "leave"


_WITH_SNAPSHOTS: Final = frozenset({Phase.START, Phase.DRIFT})


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One call of a phase: the ``nth`` of an operation whose resource's name contains ``part``."""

    phase: Phase
    service: str
    operation: str
    part: str = ""
    nth: int = 1

    def __str__(self) -> str:
        part = f" {self.part}" if self.part else ""
        return f"{self.operation}{part}{f' ({self.nth})' if self.nth > 1 else ''}"

    @property
    def is_mutating(self) -> bool:
        """Whether the call changes something in AWS."""
        return is_mutating(self.operation)

    @property
    def is_certain(self) -> bool:
        """Whether every lifecycle makes the call.

        A read may depend on timing, an event may come too late, and drift may be found by one snapshot and repaired by
        one call, or by two.
        """
        repeats_a_repair = self.phase is Phase.DRIFT and self.nth > 1
        return self.is_mutating and self.service != "sqs" and not repeats_a_repair

    @property
    def is_of_snapshot(self) -> bool:
        """Whether every snapshot of the phase repeats the call."""
        return has_snapshots(self.phase) and not self.is_mutating


def has_snapshots(phase: Phase) -> bool:
    """Whether the operator takes snapshots of AWS continuously in the phase."""
    return phase in _WITH_SNAPSHOTS


def is_mutating(operation: str) -> bool:
    """Whether an operation changes something in AWS, by its name."""
    return not operation.startswith(_READING)


def points(phase: Phase, log: Iterable[Call]) -> list[Point]:
    """The calls that a phase's recording shows, sorted.

    Calls of one operation are distinguished by the part of the resource's name that is not the object's own, and if
    that is equal by their order, of which the first two count. Of a start only reads count: its changes are those of
    an update.
    """
    forms: dict[tuple[str, str], list[str]] = defaultdict(list)
    for call in log:
        forms[call.service, call.operation].append(_NAME.sub("*", call.resource or ""))
    found = []
    for (service, operation), seen in forms.items():
        for part, count in _parted(seen).items():
            most = 1 if _is_repeated(phase, operation) else min(count, _MOST_OCCURRENCES)
            found += [Point(phase, service, operation, part, nth) for nth in range(1, most + 1)]
    return sorted(point for point in found if point.is_mutating <= (phase is not Phase.START))


def _is_repeated(phase: Phase, operation: str) -> bool:
    return operation in _POLLED or Point(phase, "", operation).is_of_snapshot


def _parted(forms: Sequence[str]) -> Counter[str]:
    """How often each distinguishing part occurs; the empty one if parts do not distinguish all calls."""
    parts = Counter(max(form.split("*"), key=len) if "*" in form else "" for form in forms)
    return parts if len(parts) > 1 and "" not in parts else Counter({"": len(forms)})
