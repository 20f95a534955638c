"""AWS's cron expressions: six fields, with L, W, # and ?; pure.

Source: "Schedule recurring scaling actions using cron expressions" in the Application Auto Scaling user guide.
"""

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Self

_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
_FIELDS = 6
_MOST_YEARS = 8
_ANY = frozenset({"*", "?"})
_WEEK = 7
_FRIDAY, _SATURDAY = 4, 5
_SOME_DAY = date(2024, 1, 1)


@dataclass(frozen=True, slots=True)
class Cron:
    """A recurring time. Days are kept as text, because their meaning depends on the month."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the six fields.

        Raises:
            ValueError: The number of fields is not six, a field is out of bounds, or both kinds of day are given.
        """
        fields = text.upper().split()
        if len(fields) != _FIELDS:
            raise ValueError("a cron expression has six fields")
        minutes, hours, days, months, weekdays, years = fields
        if (days == "?") == (weekdays == "?"):
            raise ValueError("one of day-of-month and day-of-week must be ?")
        for field, read in ((days, _days), (weekdays, _weekdays)):
            if field not in _ANY:
                tuple(read(field, _SOME_DAY))
        return cls(
            _numbers(minutes, 0, 59),
            _numbers(hours, 0, 23),
            days,
            _numbers(months, 1, 12, _MONTHS),
            weekdays,
            _numbers(years, 1970, 2199),
        )

    def is_on(self, day: date) -> bool:
        """Whether it recurs on a day."""
        if day.year not in self.years or day.month not in self.months:
            return False
        of_month = self.days in _ANY or day.day in set(_days(self.days, day))
        return of_month and (self.weekdays in _ANY or day.day in set(_weekdays(self.weekdays, day)))

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The naive times after a naive moment, in order; ends after some years, because some never come."""
        last = moment.date() + timedelta(days=366 * _MOST_YEARS)
        day = moment.date()
        while day <= last:
            if self.is_on(day):
                times = (time(hour, minute) for hour in sorted(self.hours) for minute in sorted(self.minutes))
                yield from (at for at in (datetime.combine(day, each) for each in times) if at > moment)
            day += timedelta(days=1)


def _numbers(field: str, least: int, most: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, final = span.partition("-")
        if first in _ANY:
            low, high = least, most
        else:
            low = _number(first, names)
            high = _number(final, names) if dash else (most if step else low)
        if not least <= low <= high <= most or (step and int(step) < 1):
            raise ValueError(f"{part} is out of its bounds, {least} to {most}")
        found.update(range(low, high + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, names: Mapping[str, int] | None) -> int:
    return names[text] if names and text in names else int(text)


def _last(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _days(field: str, day: date) -> Iterator[int]:
    """The days of a month that match a day-of-month field."""
    for part in field.split(","):
        if part == "L":
            yield _last(day)
        elif part.endswith("W"):
            yield _nearest_workday(day, _last(day) if part == "LW" else int(part[:-1]))
        else:
            yield from _numbers(part, 1, 31)


def _nearest_workday(day: date, wanted: int) -> int:
    wanted = min(wanted, _last(day))
    weekday = day.replace(day=wanted).weekday()
    if weekday <= _FRIDAY:
        return wanted
    if weekday == _SATURDAY:
        return wanted - 1 if wanted > 1 else wanted + 2
    return wanted + 1 if wanted < _last(day) else wanted - 2


def _weekdays(field: str, day: date) -> Iterator[int]:
    """The days of a month that match a day-of-week field; 1 is Sunday."""
    for part in field.split(","):
        name, hash_, nth = part.partition("#")
        if hash_:
            yield from list(_falling_on(_number(name, _DAYS), day))[int(nth) - 1 : int(nth)]
        elif len(part) > 1 and part.endswith("L") and part not in _DAYS:
            yield list(_falling_on(_number(part[:-1], _DAYS), day))[-1]
        elif part == "L":
            yield from _falling_on(_WEEK, day)
        else:
            for weekday in _numbers(part, 1, _WEEK, _DAYS):
                yield from _falling_on(weekday, day)


def _falling_on(weekday: int, day: date) -> Iterator[int]:
    if not 1 <= weekday <= _WEEK:
        raise ValueError(f"{weekday} is not a day of the week")
    first = day.replace(day=1).isoweekday() % _WEEK + 1
    return iter(range(1 + (weekday - first) % _WEEK, _last(day) + 1, _WEEK))
