"""Puts the clock of a Python process off by ``SKEW_SECONDS``, as a machine without time synchronisation has it.

Only the time of day: what is measured by monotonic clocks is right on such a machine too.
"""

import datetime as dt
import os
import time

_SKEW = float(os.environ.get("SKEW_SECONDS", "0"))
_time = time.time


class _Skewed(dt.datetime):
    """A time of day that is off."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> "_Skewed":
        """The time of day as this machine has it."""
        return cls.fromtimestamp(_time() + _SKEW, tz)

    @classmethod
    def utcnow(cls) -> "_Skewed":
        """The time of day in UTC as this machine has it."""
        return cls.now(dt.UTC).replace(tzinfo=None)


if _SKEW:
    time.time = lambda: _time() + _SKEW
    dt.datetime = _Skewed  # type: ignore[misc]  # that is what it is for
