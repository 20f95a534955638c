"""How commands print: text that does no harm to a terminal, ages and tables as kubectl prints them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import click

_BEGINS_FORMULA: Final = ("=", "+", "-", "@", "\t")
_GAP: Final = "   "
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_SPANS: Final = (
    (2 * _MINUTE, (1, "s"), (0, "")),
    (10 * _MINUTE, (_MINUTE, "m"), (1, "s")),
    (3 * _HOUR, (_MINUTE, "m"), (0, "")),
    (8 * _HOUR, (_HOUR, "h"), (_MINUTE, "m")),
    (2 * _DAY, (_HOUR, "h"), (0, "")),
    (8 * _DAY, (_DAY, "d"), (_HOUR, "h")),
)
"""Up to how many seconds a span is printed in which unit, and with the rest in which other one."""

GOOD: Final = "green"
BAD: Final = "red"
WAITING: Final = "yellow"


def printable(text: str) -> str:
    """The text on one line and without what terminals take for commands: it may come from a pull request."""
    return "".join(each if each.isprintable() else " " for each in text)


def printable_lines(text: str) -> str:
    """The same for text of several lines, which may have tabs."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)


def no_formula(cell: str) -> str:
    """The cell of a CSV; one that a spreadsheet would take for a formula begins with an apostrophe."""
    return f"'{cell}" if cell.startswith(_BEGINS_FORMULA) else cell


def span(seconds: float) -> str:
    """A span of time as kubectl prints ages: more exact the shorter it is, and never more than two units."""
    whole = max(0, int(seconds))
    for end, (unit, name), (small, small_name) in _SPANS:
        if whole < end:
            rest = whole % unit // small if small else 0
            return f"{whole // unit}{name}" + (f"{rest}{small_name}" if rest else "")
    return f"{whole // _DAY}d"


def age(since: datetime | None, now: datetime) -> str:
    """How long ago it was, as kubectl prints it."""
    return span((now - since).total_seconds()) if since else "<unknown>"


def table(rows: Sequence[Sequence[str]], gap: str = _GAP) -> list[str]:
    """Lines with the cells of each column below each other, the first row being that of the titles."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [gap.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def stage_colour(status: str, *, is_stalled: bool) -> str:
    """The colour of a condition that is good when it is True."""
    return GOOD if status == "True" else BAD if is_stalled else WAITING


def styled(text: str, colour: str) -> str:
    """The text in a colour, which `click.echo` takes away where no terminal shows it."""
    return click.style(text, fg=colour)


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)
