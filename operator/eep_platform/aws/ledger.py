"""Counts AWS calls; tests and benchmarks measure costs with it."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from eep_platform.emulation.clock import Clock, utc_now

UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What the front did with a call."""

    FORWARDED = "forwarded"
    """The call was forwarded, and so was the service's answer."""
    THROTTLED = "throttled"
    """The call exceeded a rate; the service did not receive it."""
    FAULTED = "faulted"
    """An injected fault; the service did not receive the call."""
    DENIED = "denied"
    """The policies of the caller do not allow the call; the service did not receive it."""
    LOST = "lost"
    """The service answered, but the front closed the caller's connection instead of forwarding the answer."""


@dataclass(slots=True)
class Call:
    """A call. `status` is the HTTP status of the answer; None if there is none yet, or never will be."""

    number: int
    time: datetime
    service: str
    operation: str
    resource: str | None
    outcome: Outcome
    status: int | None = None


class Ledger:
    """Counts all calls since the last reset and keeps the latest `capacity` of them in order."""

    def __init__(self, *, clock: Clock = utc_now, capacity: int = 10_000) -> None:
        self._clock = clock
        self._calls: deque[Call] = deque(maxlen=capacity)
        self._counts: Counter[tuple[str, str, Outcome]] = Counter()
        self._number = 0

    def record(
        self,
        service: str | None,
        operation: str | None,
        resource: str | None,
        outcome: Outcome,
        status: int | None = None,
    ) -> Call:
        """Count a call when its outcome is decided; set a status that is known later on the result."""
        self._number += 1
        now = self._clock()
        call = Call(self._number, now, service or UNKNOWN, operation or UNKNOWN, resource, outcome, status)
        self._calls.append(call)
        self._counts[call.service, call.operation, outcome] += 1
        return call

    def counts(self, outcomes: Iterable[Outcome] = Outcome) -> dict[str, dict[str, int]]:
        """Calls with the given outcomes (default: all), by service and operation."""
        wanted = set(outcomes)
        result: dict[str, dict[str, int]] = {}
        for (service, operation, outcome), count in sorted(self._counts.items()):
            if outcome in wanted:
                by_operation = result.setdefault(service, {})
                by_operation[operation] = by_operation.get(operation, 0) + count
        return result

    def latest(self, count: int | None = None) -> list[Call]:
        """The latest `count` calls that are kept (default: all), oldest first."""
        calls = list(self._calls)
        return calls if count is None else calls[max(0, len(calls) - count) :]

    def reset(self) -> None:
        """Delete everything."""
        self._calls.clear()
        self._counts.clear()
        self._number = 0
