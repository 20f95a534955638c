"""The clocks of the process."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The time of day in UTC."""
    return datetime.now(UTC)


def elapsed() -> float:
    """Monotonic seconds, with those in which the machine slept where the system counts them.

    ``time.monotonic`` stands meanwhile (https://man7.org/linux/man-pages/man2/clock_gettime.2.html): a leader would
    still believe itself to be one when it wakes.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
