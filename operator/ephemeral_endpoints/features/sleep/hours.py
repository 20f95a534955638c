"""The hours of a schedule around a moment, in UTC. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from ephemeral_endpoints.api.v1alpha1.sleep import DAYS, AwakeSchedule

_DAY: Final = timedelta(days=1)
_MIDNIGHT: Final = "24:00"

_REACH_DAYS: Final = 15
"""Within two weeks all hours begin, even those of one day that daylight saving time skips once."""


@dataclass(frozen=True, slots=True)
class Hours:
    """What a schedule says of a moment: when hours began last, end if they last still, and when the next ones begin.

    Hours that touch or overlap are one; those that never end never began either.
    """

    opened_at: datetime | None
    closes_at: datetime | None
    opens_at: datetime | None


@cache
def zone(name: str) -> ZoneInfo | None:
    """The time zone of that name; None if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # not found; the name of a folder; one that leads out of the database
        return None


def hours_at(schedule: AwakeSchedule, now: datetime) -> Hours | None:
    """The hours around ``now``; None if there is no such time zone.

    The hours are those of a clock on the wall. What daylight saving time skips is as long after the skip, as RFC 5545
    has it; of a time that there is twice, hours begin with the first and end with the second one.
    """
    if (local := zone(schedule.time_zone)) is None:
        return None
    today = now.astimezone(local).date()
    spans = _merged(sorted(span for each in schedule.awake for span in _spans(each, today, local)))
    begins, known = [begin for begin, _ in spans], now - _REACH_DAYS * _DAY
    return Hours(
        opened_at=max((each for each in begins if known < each <= now), default=None),
        closes_at=next((end for begin, end in spans if begin <= now < end), None),
        opens_at=min((each for each in begins if each > now), default=None),
    )


def _spans(text: str, today: date, local: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    days, _, times = text.partition(" ")
    begin, _, end = times.partition("-")
    wanted = {day for each in days.split(",") for day in _days(each)}
    for day in (today + offset * _DAY for offset in range(-_REACH_DAYS, _REACH_DAYS + 1)):
        if day.weekday() in wanted:
            begins, ends = _moment(day, begin, local), max(_moment(day, end, local, fold=fold) for fold in (0, 1))
            # What daylight saving time skips in part may be over before it begins.
            if begins < ends:
                yield begins, ends


def _days(text: str) -> Iterator[int]:
    first, _, last = text.partition("-")
    begin = DAYS.index(first)
    count = (DAYS.index(last or first) - begin) % len(DAYS)
    return ((begin + offset) % len(DAYS) for offset in range(count + 1))


def _moment(day: date, text: str, local: ZoneInfo, *, fold: int = 0) -> datetime:
    if text == _MIDNIGHT:
        day, text = day + _DAY, "00:00"
    return datetime.combine(day, time.fromisoformat(text), local).replace(fold=fold).astimezone(UTC)


def _merged(spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for begin, end in spans:
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return merged
