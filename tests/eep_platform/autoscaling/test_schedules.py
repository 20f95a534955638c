from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.autoscaling.action_operations import next_due
from eep_platform.autoscaling.cron import Cron
from eep_platform.autoscaling.schedules import schedule

START = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday


def times(cron: str, count: int = 3, after: datetime = START) -> list[str]:
    return [f"{time:%m-%d %H:%M}" for time in islice(Cron.parse(cron).after(after.replace(tzinfo=None)), count)]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        pytest.param("0 8 ? * MON-FRI *", ["01-01 08:00", "01-02 08:00", "01-05 08:00"], id="workdays"),
        pytest.param("*/30 9,17 1 * ? *", ["01-01 09:00", "01-01 09:30", "01-01 17:00"], id="steps and lists"),
        pytest.param("0 0 L * ? *", ["01-31 00:00", "02-28 00:00", "03-31 00:00"], id="the last of the month"),
        pytest.param("0 0 31W * ? *", ["01-30 00:00", "02-27 00:00", "03-31 00:00"], id="the workday next to the 31st"),
        pytest.param("0 0 1W 8 ? *", ["08-03 00:00"], id="never a workday of the month before"),
        pytest.param("0 0 LW 2,5 ? 2026", ["02-27 00:00", "05-29 00:00"], id="the last workday"),
        pytest.param("0 6 ? * 2#1 *", ["01-05 06:00", "02-02 06:00", "03-02 06:00"], id="the first Monday"),
        pytest.param("0 6 ? * FRI#5 *", ["01-30 06:00", "05-29 06:00", "07-31 06:00"], id="a fifth Friday"),
        pytest.param("0 6 ? * 6L *", ["01-30 06:00", "02-27 06:00", "03-27 06:00"], id="the last Friday"),
        pytest.param("0 6 ? 2 L *", ["02-07 06:00", "02-14 06:00", "02-21 06:00"], id="L alone is Saturday"),
        pytest.param("0 0 29 2 ? *", ["02-29 00:00", "02-29 00:00"], id="leap days"),
        pytest.param("0 0 1 1 ? 2025", [], id="a year that is over"),
    ],
)
def test_cron_expressions_mean_what_aws_says(cron: str, expected: list[str]) -> None:
    assert times(cron, count=min(3, max(1, len(expected)))) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "every day",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "at(2026-01-01)",
        "at(2026-13-01T00:00:00)",
        "cron(0 8 * * *)",
        "cron(0 8 * * * *)",
        "cron(0 8 ? * ? *)",
        "cron(60 8 ? * MON *)",
        "cron(0 8 32 * ? *)",
        "cron(0 8 ? * 8 *)",
        "cron(0 8 ? * 8#1 *)",
        "cron(5-1 8 ? * MON *)",
        "cron(*/0 8 ? * MON *)",
        "cron(a 8 ? * MON *)",
    ],
)
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        schedule(expression, None)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone Mars/Olympus"):
        schedule("rate(1 day)", "Mars/Olympus")


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("cron(0 8 ? * * *)", "America/New_York", "2026-01-01T12:59", "2026-01-01T13:00"),
        ("cron(0 8 ? * * *)", "America/New_York", "2026-07-01T12:00", "2026-07-02T12:00"),
        ("cron(30 2 ? * * *)", "Europe/Berlin", "2026-03-28T02:00", "2026-03-30T00:30"),  # no 02:30 on the 29th
        ("cron(30 2 ? * * *)", "Europe/Berlin", "2026-10-25T00:00", "2026-10-25T00:30"),  # the first of two
        ("at(2026-06-01T08:00:00)", "Europe/Berlin", "2026-01-01T00:00", "2026-06-01T06:00"),
        ("at(2026-06-01T08:00:00)", None, "2026-06-01T08:00", None),
        ("rate(5 minutes)", None, "2026-01-01T00:07", "2026-01-01T00:10"),
        ("rate(1 day)", None, "2025-12-01T00:00", "2026-01-01T00:00"),
    ],
)
def test_schedules_follow_their_time_zone(expression: str, zone: str | None, after: str, expected: str | None) -> None:
    due = schedule(expression, zone).next_after(datetime.fromisoformat(f"{after}+00:00"), START)
    assert due == (expected and datetime.fromisoformat(f"{expected}+00:00"))


def test_start_and_end_bound_a_recurring_action() -> None:
    hourly = schedule("cron(0 * ? * * *)", None)
    limits = {"StartTime": START + timedelta(minutes=90), "EndTime": START + timedelta(hours=3)}
    assert next_due(hourly, limits, START, START) == START + timedelta(hours=2)
    assert next_due(hourly, limits, START, START + timedelta(hours=2)) == START + timedelta(hours=3)
    assert next_due(hourly, limits, START, START + timedelta(hours=3)) is None


FIELDS = st.tuples(
    st.sampled_from(["*", "0", "*/7", "5,50"]),
    st.sampled_from(["*", "3", "8-17"]),
    st.sampled_from([("?", "*"), ("*", "?"), ("?", "MON-FRI"), ("L", "?"), ("?", "3#2")]),
    st.sampled_from(["*", "2", "JAN-MAR"]),
)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001 - drawn naive, as cron's times are


@given(FIELDS, MOMENTS)
def test_cron_times_come_in_order_after_the_moment_and_match_their_day(
    fields: tuple[str, str, tuple[str, str], str], moment: datetime
) -> None:
    minutes, hours, (days, weekdays), months = fields
    cron = Cron.parse(f"{minutes} {hours} {days} {months} {weekdays} *")
    found = list(islice(cron.after(moment), 5))
    assert len(found) == 5
    assert [moment, *found] == sorted({moment, *found})
    for time in found:
        assert cron.is_on(time.date())
        assert (time.minute in cron.minutes, time.hour in cron.hours, time.second) == (True, True, 0)
