from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.sleep import DAYS, AwakeSchedule
from ephemeral_endpoints.features.sleep.hours import hours_at, zone

BERLIN = "Europe/Berlin"
WEEK = "Mon-Fri 08:00-19:00"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("awake", "zone_name", "now", "opened", "closes", "opens", "reason"),
    [
        (WEEK, BERLIN, "12-02T07:00", "12-02T07:00", "12-02T18:00", "12-03T07:00", "they begin with the minute"),
        (WEEK, BERLIN, "12-02T06:59:59", "12-01T07:00", None, "12-02T07:00", "a second before"),
        (WEEK, BERLIN, "12-02T18:00", "12-02T07:00", None, "12-03T07:00", "they end with the minute"),
        (WEEK, BERLIN, "12-05T12:00", "12-04T07:00", None, "12-07T07:00", "a weekend passes"),
        (WEEK, BERLIN, "07-01T06:30", "07-01T06:00", "07-01T17:00", "07-02T06:00", "in summer, an hour earlier"),
        (WEEK, "UTC", "12-02T07:00", "12-01T08:00", None, "12-02T08:00", "UTC has no summer"),
        (WEEK, BERLIN, "03-27T17:00", "03-27T07:00", "03-27T18:00", "03-30T06:00", "from winter on to summer"),
        (WEEK, BERLIN, "10-23T16:00", "10-23T06:00", "10-23T17:00", "10-26T07:00", "from summer on to winter"),
        ("Sun 02:30-04:00", BERLIN, "03-29T01:15", "03-22T01:30", None, "03-29T01:30", "what is skipped comes after"),
        ("Sun 02:10-02:50", BERLIN, "03-29T01:15", "03-29T01:10", "03-29T01:50", "04-05T00:10", "skipped as a whole"),
        ("Sun 02:50-03:10", BERLIN, "03-29T01:15", "03-22T01:50", None, "04-05T00:50", "over before they begin"),
        ("Sun 01:00-02:30", BERLIN, "10-25T01:00", "10-24T23:00", "10-25T01:30", "11-01T00:00", "ends with the second"),
        (
            "Sun 02:30-03:30",
            BERLIN,
            "10-25T01:00",
            "10-25T00:30",
            "10-25T02:30",
            "11-01T01:30",
            "begins with the first",
        ),
        ("Fri-Mon 20:00-24:00", "UTC", "12-01T00:00", "11-30T20:00", None, "12-04T20:00", "days over the weekend"),
        ("Mon,Wed-Thu,Sun 09:00-10:00", "UTC", "12-01T00:00", "11-30T09:00", None, "12-02T09:00", "several days"),
        ("Mon-Sun 00:00-24:00", BERLIN, "12-01T00:00", None, "12-16T23:00", None, "always: they began and end never"),
        (WEEK, "Pacific/Kiritimati", "12-06T19:00", "12-06T18:00", "12-07T05:00", "12-07T18:00", "14 hours ahead"),
        (WEEK, "Pacific/Pago_Pago", "12-07T18:59", "12-04T19:00", None, "12-07T19:00", "11 hours behind"),
        (WEEK, "Asia/Kathmandu", "12-01T02:15", "12-01T02:15", "12-01T13:15", "12-02T02:15", "a quarter of an hour"),
    ],
)
def test_hours_are_those_of_a_clock_on_the_wall(  # noqa: PLR0917 - a table
    awake: str, zone_name: str, now: str, opened: str | None, closes: str | None, opens: str | None, reason: str
) -> None:
    found = hours_at(AwakeSchedule(awake=(awake,), time_zone=zone_name), utc(now))
    assert found is not None
    expected = [each and utc(each) for each in (opened, closes, opens)]
    assert [found.opened_at, found.closes_at, found.opens_at] == expected, reason


def test_hours_that_touch_are_one() -> None:
    night = AwakeSchedule(awake=("Mon 22:00-24:00", "Tue 00:00-06:00", "Tue 05:00-07:00"))
    found = hours_at(night, utc("12-01T03:00"))
    assert found is not None
    assert (found.opened_at, found.closes_at) == (utc("11-30T22:00"), utc("12-01T07:00"))


@pytest.mark.parametrize("name", ["Europe/Berln", "Europe", "America/Argentina", "posixrules/x", "CON"])
def test_an_unknown_zone_has_no_hours(name: str) -> None:
    assert zone(name) is None
    assert hours_at(AwakeSchedule(awake=(WEEK,), time_zone=name), utc("12-01T03:00")) is None


TIMES = st.times().map(lambda each: f"{each:%H:%M}")
HOURS = (
    st.tuples(st.sampled_from(DAYS), TIMES, TIMES)
    .filter(lambda each: each[1] < each[2])
    .map(lambda each: f"{each[0]} {each[1]}-{each[2]}")
)


@given(
    st.lists(HOURS, min_size=1, max_size=4),
    st.sampled_from((BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC")),
    st.integers(0, 365 * 24 * 60).map(lambda minutes: utc("01-01") + timedelta(minutes=minutes)),
)
def test_whenever_they_change_the_other_side_holds_and_they_always_do(
    awake: list[str], zone_name: str, now: datetime
) -> None:
    schedule = AwakeSchedule(awake=tuple(awake), time_zone=zone_name)
    found = hours_at(schedule, now)
    assert found
    assert found.opened_at
    assert found.opens_at
    assert found.opened_at <= now < found.opens_at
    opened = hours_at(schedule, found.opens_at)
    assert opened
    assert opened.closes_at
    closed = hours_at(schedule, opened.closes_at)
    assert closed
    assert closed.closes_at is None
    if found.closes_at is None:
        last = hours_at(schedule, found.opened_at)
        assert last
        assert last.closes_at
        assert last.closes_at <= now
    assert found.opens_at - now <= timedelta(days=14, hours=2)
