"""How long to wait before a retry."""

from typing import Final

from ephemeral_endpoints.engine.errors import InProgress, QuotaExceeded, QuotaTooLow, ReconcileError, Unauthenticated

SOON_SECONDS: Final = 2.0
SOON_ATTEMPTS: Final = 3
"""So often a busy resource is tried again soon; one that is busy for longer is not just finishing something."""

FIRST_SECONDS: Final = 1.0
BUSY_SECONDS: Final = 60.0
LONGEST_SECONDS: Final = 300.0
QUOTA_TOO_LOW_SECONDS: Final = 1800.0
"""Quotas are raised within hours or days, on request."""

_LONGEST_BY_KIND: Final = ((Unauthenticated, 15.0), (QuotaExceeded, 60.0))


def delay(error: ReconcileError, attempts: int) -> float:
    """Seconds until the next attempt after ``attempts`` (at least 1) consecutive failures with errors like this one.

    Busy resources are retried soon at first, everything else at doubling intervals. Even terminal errors are retried at
    long intervals, because permissions, roles and quotas can be repaired without a change of the object.
    """
    if isinstance(error, InProgress):
        return min(BUSY_SECONDS, SOON_SECONDS * 2.0 ** min(max(0, attempts - SOON_ATTEMPTS), 16))
    if error.terminal:
        return QUOTA_TOO_LOW_SECONDS if isinstance(error, QuotaTooLow) else LONGEST_SECONDS
    longest = next((longest for kind, longest in _LONGEST_BY_KIND if isinstance(error, kind)), LONGEST_SECONDS)
    return min(longest, FIRST_SECONDS * 2.0 ** min(attempts - 1, 16))


def poll_delay(attempts: int, *, first: float, longest: float) -> float:
    """Seconds until the next poll of something that we wait for, after ``attempts`` (at least 1) polls."""
    return min(longest, first * 2.0 ** min(attempts - 1, 16))
