"""How long to wait before trying again."""

from typing import Final

from ephemeral_endpoints.core.errors import InProgress, Problem, QuotaExceeded, Unauthenticated

SOON_SECONDS: Final = 2.0
FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 300.0
_LONGEST_BY_KIND: Final = ((Unauthenticated, 15.0), (QuotaExceeded, 60.0))


def delay(error: Problem, attempts: int) -> float:
    """Seconds until the next try after ``attempts`` (at least 1) tries in a row have failed with errors like this one.

    What is busy is asked again soon; everything else at doubling intervals. Even what no retry should help is tried
    again at the longest interval: permissions and roles are repaired without the object changing.
    """
    if isinstance(error, InProgress):
        return SOON_SECONDS
    if error.final:
        return LONGEST_SECONDS
    longest = next((longest for kind, longest in _LONGEST_BY_KIND if isinstance(error, kind)), LONGEST_SECONDS)
    return min(longest, FIRST_SECONDS * 2.0 ** min(attempts - 1, 16))


def poll_delay(attempts: int, *, first: float, longest: float) -> float:
    """Seconds until the next look at something that we wait for, after ``attempts`` (at least 1) looks."""
    return min(longest, first * 2.0 ** min(attempts - 1, 16))
