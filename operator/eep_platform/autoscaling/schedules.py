"""Schedules of scheduled actions: `at(...)`, `rate(...)` and `cron(...)`; pure.

Source: PutScheduledAction in the Application Auto Scaling API reference.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from eep_platform.autoscaling.cron import Cron

_EXPRESSION = re.compile(r"(at|rate|cron)\((.+)\)")
_RATE = re.compile(r"([1-9]\d*) (minute|hour|day)s?")
_AT = "%Y-%m-%dT%H:%M:%S"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A moment, an interval or a recurring time, in a time zone."""

    when: datetime | timedelta | Cron
    zone: ZoneInfo

    def next_after(self, moment: datetime, begin: datetime) -> datetime | None:
        """The first time after a moment; None if there is none. Intervals count from `begin`."""
        if isinstance(self.when, datetime):
            return self.when if self.when > moment else None
        if isinstance(self.when, timedelta):
            return begin + self.when * max(0, (moment - begin) // self.when + 1)
        local = moment.astimezone(self.zone).replace(tzinfo=None)
        times = (self._instant(naive) for naive in self.when.after(local - timedelta(hours=1)))
        return next((instant for instant in times if instant is not None and instant > moment), None)

    def _instant(self, naive: datetime) -> datetime | None:
        """The instant of a local time; None in the hour that the change to summer time skips."""
        instant = naive.replace(tzinfo=self.zone).astimezone(UTC)
        return instant if instant.astimezone(self.zone).replace(tzinfo=None) == naive else None


def schedule(expression: str, timezone: str | None) -> Schedule:
    """Parse a schedule.

    Raises:
        ValueError: The expression is malformed, or there is no such time zone.
    """
    try:
        zone = ZoneInfo(timezone or "UTC")
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"there is no time zone {timezone}") from error
    match = _EXPRESSION.fullmatch(expression.strip())
    if match is None:
        raise ValueError("a schedule is at(...), rate(...) or cron(...)")
    kind, text = match.groups()
    return Schedule(_when(kind, text, zone), zone)


def _when(kind: str, text: str, zone: ZoneInfo) -> datetime | timedelta | Cron:
    if kind == "cron":
        return Cron.parse(text)
    if kind == "at":
        return datetime.strptime(text, _AT).replace(tzinfo=zone).astimezone(UTC)
    rate = _RATE.fullmatch(text)
    if rate is None:
        raise ValueError("a rate is a positive integer and minutes, hours or days")
    return timedelta(**{f"{rate[2]}s": int(rate[1])})
