"""Until when a stage is frozen. Pure."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ephemeral_endpoints.api.v1alpha1.promotion_types import Freeze
from ephemeral_endpoints.api.v1alpha1.sleep import AwakeSchedule
from ephemeral_endpoints.features.sleep.hours import hours_at, zone

_DAY: Final = timedelta(days=1)
_MOST_PERIODS: Final = 100


def is_known(freeze: Freeze | None) -> bool:
    """Whether there is such a time zone."""
    return freeze is None or zone(freeze.time_zone) is not None


def frozen_until(freeze: Freeze | None, now: datetime) -> datetime | None:
    """When the freeze around ``now`` ends, in UTC; None if there is none.

    Hours and days that touch or overlap are one freeze. Of one that lasts for weeks this is an earlier time, at which
    it is to be asked again.
    """
    if freeze is None or (local := zone(freeze.time_zone)) is None:
        return None
    until = now
    for _ in range(_MOST_PERIODS):
        later = max(_ends(freeze, local, until), default=until)
        if later <= until:
            break
        until = later
    return until if until > now else None


def _ends(freeze: Freeze, local: ZoneInfo, at: datetime) -> Iterator[datetime]:
    """The ends of the periods that contain a moment."""
    for each in freeze.days:
        end = _midnight(date.fromisoformat(each.to) + _DAY, local)
        if _midnight(date.fromisoformat(each.from_), local) <= at < end:
            yield end
    if freeze.hours:
        hours = hours_at(AwakeSchedule(awake=freeze.hours, time_zone=freeze.time_zone), at)
        if hours and hours.closes_at:
            yield hours.closes_at


def _midnight(day: date, local: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), local).astimezone(UTC)
