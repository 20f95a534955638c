import pytest

from ephemeral_endpoints.cli.output import printable, printable_lines, span, table

DAY = 24 * 3600


@pytest.mark.parametrize(
    ("seconds", "printed"),
    [
        (-1, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (10 * 60, "10m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 61, "3h1m"),
        (47 * 3600, "47h"),
        (2 * DAY + 3600, "2d1h"),
        (9 * DAY + 3600, "9d"),
    ],
)
def test_a_span_is_printed_as_by_kubectl(seconds: float, printed: str) -> None:
    assert span(seconds) == printed


def test_a_terminal_gets_no_commands() -> None:
    assert printable("a\x1b[2Jb\r\nc\u202ed") == "a [2Jb  c d"
    assert printable_lines("a\n\tb\x1bc") == "a\n\tb\N{REPLACEMENT CHARACTER}c"


def test_columns_stand_below_each_other() -> None:
    assert table([["A", "LONG", "B"], ["abc", "x", ""]]) == ["A     LONG   B", "abc   x"]
