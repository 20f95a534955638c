from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.duration import LONGEST_TEXT, format_duration, parse_duration

WHOLE_SECONDS = st.integers(0, 999_999 * 3600).map(lambda seconds: timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ("72h", timedelta(days=3), "hours"),
        ("30m", timedelta(minutes=30), "minutes"),
        ("1h30m", timedelta(minutes=90), "two units"),
        ("3d", timedelta(days=3), "days"),
        ("1w", timedelta(days=7), "a week"),
        ("1w2d3h", timedelta(days=9, hours=3), "three units"),
        ("1w2d3h4m5s", timedelta(days=9, hours=3, minutes=4, seconds=5), "all units"),
        ("1w1s", timedelta(days=7, seconds=1), "units left out between"),
        ("30d", timedelta(days=30), "more than the next unit holds: there is no month"),
        ("90m", timedelta(minutes=90), "more than the next unit holds"),
        ("007s", timedelta(seconds=7), "leading zeros, which Go allows"),
        ("0s", timedelta(0), "zero is a duration"),
    ],
)
def test_a_duration_is_read(text: str, value: timedelta, reason: str) -> None:
    assert parse_duration(text) == value, reason


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("72", id="no unit"),
        pytest.param("h", id="no amount"),
        pytest.param("5x", id="no unit of time"),
        pytest.param("1y", id="years, which are not of one length"),
        pytest.param("3D", id="upper case"),
        pytest.param("1d1w", id="days before weeks"),
        pytest.param("1.5h", id="a fraction"),
        pytest.param("-1h", id="negative"),
        pytest.param("1h 30m", id="a space"),
        pytest.param("30m1h", id="out of order"),
        pytest.param("1h1h", id="twice"),
        pytest.param("1h\n", id="a line break at the end"),
        pytest.param("\N{ARABIC-INDIC DIGIT ONE}h", id="a digit that is not ASCII"),
        pytest.param("1234567h", id="more digits than Go's arithmetic is sure to hold"),
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration: write it as 3d, 72h or 1h30m"):
        parse_duration(text)


def test_a_refusal_repeats_only_the_beginning_of_what_it_was_given() -> None:
    with pytest.raises(ValueError, match=r"^'x{32}' is"):
        parse_duration("x" * 1_000_000)


def test_a_negative_duration_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="negative"):
        format_duration(timedelta(seconds=-1))


@given(WHOLE_SECONDS)
def test_what_is_written_is_read_as_the_same(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@given(WHOLE_SECONDS, st.integers(0, 999_999))
def test_fractions_of_a_second_are_cut_off(value: timedelta, microseconds: int) -> None:
    assert format_duration(value + timedelta(microseconds=microseconds)) == format_duration(value)


@given(st.lists(st.none() | st.integers(0, 999_999), min_size=5, max_size=5).filter(any))
def test_the_parts_of_a_duration_add_up(parts: list[int | None]) -> None:
    text = "".join(f"{amount}{unit}" for amount, unit in zip(parts, "wdhms", strict=True) if amount is not None)
    weeks, days, hours, minutes, seconds = (amount or 0 for amount in parts)
    expected = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    assert parse_duration(text) == expected
    assert len(text) <= LONGEST_TEXT
