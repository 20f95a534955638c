"""Failures, and the times of their retries."""

from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ephemeral_endpoints.engine.backoff import delay
from ephemeral_endpoints.engine.errors import ReconcileError

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that holds until ``retry_at`` (monotonic seconds) or until the object changes."""

    error: ReconcileError
    attempts: int
    retry_at: float


@dataclass(slots=True)
class Retries(Generic[K]):
    """The failures of the last attempts, by subject. ``now`` is monotonic seconds."""

    failures: dict[K, Failure] = field(default_factory=dict)

    def note(self, subject: K, error: ReconcileError, now: float) -> None:
        """Record that attempting ``subject`` failed."""
        before = self.failures.get(subject)
        attempts = before.attempts + 1 if before else 1
        self.failures[subject] = Failure(error, attempts, now + delay(error, attempts))

    def clear(self, subject: K) -> None:
        """Forget the failures of ``subject``, which succeeded."""
        self.failures.pop(subject, None)

    def keep_only(self, subjects: Collection[K]) -> None:
        """Forget the failures of everything else."""
        self.failures = {subject: failure for subject, failure in self.failures.items() if subject in subjects}

    def blocked(self, now: float) -> dict[K, ReconcileError]:
        """The errors of subjects that must not be attempted again yet."""
        return {subject: failure.error for subject, failure in self.failures.items() if failure.retry_at > now}

    def error(self, subject: K) -> ReconcileError | None:
        """The error that attempting ``subject`` failed with, None if it did not fail."""
        failure = self.failures.get(subject)
        return failure.error if failure else None

    def due(self, now: float) -> float | None:
        """Seconds until the next attempt is due, None if nothing failed."""
        at = min((failure.retry_at for failure in self.failures.values()), default=None)
        return None if at is None else max(0.0, at - now)
