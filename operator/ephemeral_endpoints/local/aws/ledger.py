"""The count of AWS calls: what each cost is asserted from."""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What the front did with a call."""

    FORWARDED = "forwarded"
    """Passed on; the service's answer was passed back."""
    THROTTLED = "throttled"
    """Refused for its rate; the service never saw it."""
    FAULTED = "faulted"
    """Failed on purpose before the service saw it."""
    DENIED = "denied"
    """Refused because the policies that the key is held to do not allow it; the service never saw it."""
    LOST = "lost"
    """Passed on and answered, but the answer was withheld: the caller saw its connection end."""


@dataclass(slots=True)
class Call:
    """One call. `status` is the HTTP status of the answer, None while there is none (or never will be)."""

    number: int
    time: datetime
    service: str
    operation: str
    resource: str | None
    outcome: Outcome
    status: int | None = None


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Ledger:
    """Counts every call since the last reset and remembers the latest `capacity` of them in order."""

    def __init__(self, *, clock: Callable[[], datetime] = utc_now, capacity: int = 10_000) -> None:
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
        """Count a call at the moment its fate is decided; a status known only later is set on the result."""
        self._number += 1
        now = self._clock()
        call = Call(self._number, now, service or UNKNOWN, operation or UNKNOWN, resource, outcome, status)
        self._calls.append(call)
        self._counts[call.service, call.operation, outcome] += 1
        return call

    def counts(self, outcomes: Iterable[Outcome] = Outcome) -> dict[str, dict[str, int]]:
        """Calls by service and operation, of the given outcomes (all by default)."""
        wanted = set(outcomes)
        result: dict[str, dict[str, int]] = {}
        for (service, operation, outcome), count in sorted(self._counts.items()):
            if outcome in wanted:
                by_operation = result.setdefault(service, {})
                by_operation[operation] = by_operation.get(operation, 0) + count
        return result

    def latest(self, count: int | None = None) -> list[Call]:
        """The latest calls, oldest first: all that are remembered, or the last `count`."""
        calls = list(self._calls)
        return calls if count is None else calls[max(0, len(calls) - count) :]

    def reset(self) -> None:
        """Forget everything."""
        self._calls.clear()
        self._counts.clear()
        self._number = 0
