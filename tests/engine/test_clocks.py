from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from ephemeral_endpoints.engine.clocks import STALE_SECONDS, Clocks, Source

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
DATE = "Sat, 21 Nov 2026 12:00:00 GMT"


class Machine:
    """A machine whose clocks a test sets."""

    def __init__(self, *, ahead: timedelta = timedelta()) -> None:
        self.local = NOON + ahead
        self.elapsed = 1000.0
        self.clocks = Clocks(lambda: self.local, lambda: self.elapsed)

    def run(self, seconds: float) -> None:
        self.local += timedelta(seconds=seconds)
        self.elapsed += seconds


@pytest.mark.parametrize(
    ("ahead", "source", "words", "why"),
    [
        (timedelta(), Source.API_SERVER, None, "they agree"),
        (timedelta(seconds=60), Source.API_SERVER, None, "what an answer may take on its way"),
        (timedelta(seconds=-60), Source.AWS, None, "whole seconds, in either direction"),
        (timedelta(seconds=61), Source.API_SERVER, "1 min ahead of that of the Kubernetes API server", "too much"),
        (timedelta(days=15), Source.API_SERVER, "15 d ahead of that of the Kubernetes API server", "a bad clock"),
        (timedelta(hours=-3), Source.AWS, "3 h behind that of AWS", "the other direction, and the other source"),
    ],
)
def test_clocks_that_differ_by_more_than_a_minute_disagree(
    ahead: timedelta, source: Source, words: str | None, why: str
) -> None:
    machine = Machine(ahead=ahead)
    machine.clocks.note(source, DATE)
    assert machine.clocks.disagreement() == (words and f"the operator's clock is {words}"), why
    assert machine.clocks.skews() == {source: ahead}


def test_the_time_is_that_of_the_api_server_and_goes_on_between_its_answers() -> None:
    machine = Machine(ahead=timedelta(days=15))
    assert machine.clocks.now() == machine.local, "nothing better is known before its first answer"
    machine.clocks.note(Source.AWS, DATE)
    assert machine.clocks.now() == machine.local, "objects are created by the API server's clock, not by that of AWS"
    machine.clocks.note(Source.API_SERVER, DATE)
    machine.run(90)
    assert machine.clocks.now() == NOON + timedelta(seconds=90)


def test_a_local_clock_that_is_set_between_two_answers_is_noticed_at_once() -> None:
    machine = Machine()
    machine.clocks.note(Source.API_SERVER, DATE)
    machine.run(10 * STALE_SECONDS)
    assert machine.clocks.disagreement() is None, "it only ran"
    machine.local += timedelta(days=15)
    assert "15 d ahead" in str(machine.clocks.disagreement())
    assert machine.clocks.now() == NOON + timedelta(seconds=10 * STALE_SECONDS)


def test_a_machine_that_slept_disagrees_until_the_next_answer() -> None:
    machine = Machine()
    machine.clocks.note(Source.API_SERVER, DATE)
    machine.local += timedelta(hours=8)
    assert "8 h ahead" in str(machine.clocks.disagreement()), "its monotonic clock stood"
    machine.clocks.note(Source.API_SERVER, "Sat, 21 Nov 2026 20:00:00 GMT")
    assert machine.clocks.disagreement() is None


def test_an_account_that_is_not_asked_any_more_does_not_hold_for_ever() -> None:
    machine = Machine(ahead=timedelta(hours=1))
    machine.clocks.note(Source.AWS, DATE)
    machine.run(STALE_SECONDS)
    assert machine.clocks.disagreement()
    machine.run(1)
    assert machine.clocks.disagreement() is None


@pytest.mark.parametrize("date", [None, "", "noon", "Sat, 99 Nov 2026 12:00:00 GMT", "Sat, 21 Nov 2026 12:00:00 -0000"])
def test_a_date_that_cannot_be_read_changes_nothing(date: str | None) -> None:
    machine = Machine()
    machine.clocks.note(Source.API_SERVER, date)
    assert machine.clocks.skews() == {}


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("local", "api_server", "aws", "likely", "why"),
    [
        (NOON, NOON, NOON, NOON, "they agree"),
        (NOON, NOON + 2 * DAY, NOON, NOON, "the API server is ahead"),
        (NOON, NOON - DAY, NOON, NOON, "the API server is behind"),
        (NOON + 3 * DAY, NOON, NOON, NOON, "this machine is ahead"),
        (NOON, NOON, NOON + DAY, NOON, "AWS is"),
        (
            NOON,
            NOON + 2 * DAY,
            None,
            NOON + 2 * DAY,
            "nobody can tell: that of the API server",
        ),
        (NOON + DAY, NOON, None, NOON, "likewise"),
        (NOON + DAY, None, NOON, NOON + DAY, "it has not answered yet"),
        (NOON, None, None, NOON, "nobody has answered yet"),
    ],
)
def test_one_clock_that_is_off_does_not_change_the_likely_time(
    local: datetime, api_server: datetime | None, aws: datetime | None, likely: datetime, why: str
) -> None:
    machine = Machine(ahead=local - NOON)
    for source, date in ((Source.API_SERVER, api_server), (Source.AWS, aws)):
        machine.clocks.note(source, format_datetime(date, usegmt=True) if date else None)
    assert machine.clocks.likely() == likely, why
    machine.run(2 * STALE_SECONDS)
    assert machine.clocks.likely() == likely + timedelta(seconds=2 * STALE_SECONDS), "answers are carried on"
