from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.promotion_types import Freeze
from ephemeral_endpoints.api.v1alpha1.sleep import DAYS
from ephemeral_endpoints.features.promotion.freeze import frozen_until, is_known

BERLIN = "Europe/Berlin"
WEEKEND = ["Fri 16:00-24:00", "Sat,Sun 00:00-24:00"]
HOLIDAYS = [{"from": "2026-12-23", "to": "2027-01-03"}]


def freeze(zone: str = BERLIN, **members: Any) -> Freeze:  # noqa: ANN401 - members of a freeze
    return Freeze.model_validate({**members, "timeZone": zone})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("frozen", "now", "until", "reason"),
    [
        (freeze(hours=WEEKEND), "2026-12-04T14:59:59", None, "a second before"),
        (freeze(hours=WEEKEND), "2026-12-04T15:00", "2026-12-06T23:00", "the hours of three days are one freeze"),
        (freeze(hours=WEEKEND), "2026-12-06T23:00", None, "it ends with the minute"),
        (freeze(hours=WEEKEND), "2026-03-28T12:00", "2026-03-29T22:00", "over the begin of summer, an hour shorter"),
        (freeze(hours=WEEKEND), "2026-10-24T12:00", "2026-10-25T23:00", "over its end, an hour longer"),
        (freeze(days=HOLIDAYS), "2026-12-22T22:59:59", None, "the day before, in Berlin"),
        (freeze(days=HOLIDAYS), "2026-12-22T23:00", "2027-01-03T23:00", "from midnight in Berlin, the last day too"),
        (freeze("UTC", days=HOLIDAYS), "2027-01-03T23:30", "2027-01-04T00:00", "UTC is an hour behind"),
        (
            freeze(days=[{"from": "2026-03-29", "to": "2026-03-29"}]),
            "2026-03-29T12:00",
            "2026-03-29T22:00",
            "a day of 23 hours",
        ),
        (
            freeze(days=[{"from": "2026-12-07", "to": "2026-12-07"}], hours=WEEKEND),
            "2026-12-05T12:00",
            "2026-12-07T23:00",
            "a Monday after a weekend prolongs it",
        ),
        (freeze("No/Where", hours=WEEKEND), "2026-12-05T12:00", None, "told elsewhere: there is no such time zone"),
        (None, "2026-12-05T12:00", None, "no freeze"),
    ],
)
def test_a_freeze_ends_when_the_wall_clock_says_so(
    frozen: Freeze | None, now: str, until: str | None, reason: str
) -> None:
    assert frozen_until(frozen, utc(now)) == (utc(until) if until else None), reason


def test_time_zones_that_do_not_exist_are_known_as_such() -> None:
    assert is_known(None)
    assert is_known(freeze(hours=WEEKEND))
    assert not is_known(freeze("No/Where", hours=WEEKEND))


def test_a_freeze_without_an_end_is_asked_for_again_later() -> None:
    now = utc("2026-12-05T12:00")
    until = frozen_until(freeze(hours=["Mon-Sun 00:00-24:00"]), now)
    assert until is not None
    assert until >= now + timedelta(days=7)


@given(
    hours=st.lists(st.tuples(st.sampled_from(DAYS), st.integers(0, 22)), min_size=1, max_size=4),
    minutes=st.integers(0, 60 * 24 * 365),
)
def test_what_a_freeze_ends_at_is_later_and_not_frozen(hours: list[tuple[str, int]], minutes: int) -> None:
    frozen = freeze(hours=[f"{day} {hour:02}:00-{hour + 1:02}:30" for day, hour in hours])
    now = utc("2026-01-01T00:00") + timedelta(minutes=minutes)
    until = frozen_until(frozen, now)
    assert until is None or (until > now and frozen_until(frozen, until) is None)
