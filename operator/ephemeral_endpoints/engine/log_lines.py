"""Which lines of a log tell why a program failed."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

_MARKS: Final = re.compile(r"[\s~^\-=*_|]*")
"""A line of marks, such as the carets below an expression in a traceback (https://peps.python.org/pep-0657/)."""

_EXCEPTION: Final = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning)\b(?::.*)?")
"""The last line of a traceback: https://docs.python.org/3/library/traceback.html."""

_QUOTED: Final = "; last lines of the log: "
_SEPARATOR: Final = " | "


def telling(lines: Iterable[str], *, count: int) -> tuple[str, ...]:
    """The last ``count`` lines that say something, oldest first, with the newest exception in them.

    Servers write more after a traceback: the exception then takes the place of the oldest line.
    """
    said = [line.rstrip() for line in lines]
    said = [line for line in said if not _MARKS.fullmatch(line)]
    tail = said[-count:]
    exception = next((line for line in reversed(said) if _EXCEPTION.fullmatch(line.strip())), None)
    if exception is None or exception in tail:
        return tuple(tail)
    return (exception, *tail[len(tail) - count + 1 :])


def quoting(message: str, lines: Sequence[str]) -> str:
    """The message, and what a program said at its end; only the message if it said nothing."""
    return f"{message}{_QUOTED}{_SEPARATOR.join(lines)}" if lines else message


def summarized(message: str) -> str:
    """A message of ``quoting`` with the one line that says most: for records that outlive what they are about."""
    text, _, said = message.partition(_QUOTED)
    return quoting(text, telling(said.split(_SEPARATOR), count=1))
