"""The log of a job that failed, which arrives later than the failure. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from ephemeral_endpoints.engine.backoff import delay, poll_delay
from ephemeral_endpoints.engine.errors import ReconcileError

PAUSES: Final = (2.0, 30.0)
READS: Final = 5
"""How often it is read until there is anything in it."""


@dataclass(frozen=True, slots=True)
class JobLog:
    """The last ``lines`` of it, when it is read again, in monotonic seconds, and the ``error`` of the last time.

    ``due_at`` is None if it is not read (any more).
    """

    lines: tuple[str, ...] = ()
    due_at: float | None = None
    error: ReconcileError | None = None
    reads: int = 0
    failures: int = 0

    def is_due(self, now: float) -> bool:
        """Whether to read it now."""
        return self.due_at is not None and now >= self.due_at

    def read(self, lines: tuple[str, ...], now: float) -> "JobLog":
        """The log once it was read."""
        reads = self.reads + 1
        first, longest = PAUSES
        is_done = bool(lines) or reads >= READS
        due_at = None if is_done else now + poll_delay(reads, first=first, longest=longest)
        return JobLog(lines, due_at, reads=reads)

    def unreadable(self, error: ReconcileError, now: float) -> "JobLog":
        """The log once it could not be read."""
        failures = self.failures + 1
        return replace(self, due_at=now + delay(error, failures), error=error, failures=failures)
