"""What people may write in a comment on a pull request, as text, such as /preview extend 24h. Pure.

Nothing of a comment is ever repeated in an answer: it could address people, or be Markdown that misleads them.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ephemeral_endpoints.api.v1alpha1.duration import parse_duration
from ephemeral_endpoints.api.v1alpha1.review_commands import ReviewCommand
from ephemeral_endpoints.features.expiry.policy import LONGEST_EXTENSION

WORD: Final = "/preview"

USAGE: Final[dict[ReviewCommand, str]] = {
    ReviewCommand.EXTEND: f"`{WORD} extend 24h`",
    ReviewCommand.REBUILD: f"`{WORD} rebuild`",
    ReviewCommand.SLEEP: f"`{WORD} sleep`",
    ReviewCommand.WAKE: f"`{WORD} wake`",
    ReviewCommand.DELETE: f"`{WORD} delete`",
}
"""How each command is written."""

# CommonMark takes a line with four spaces before it for code. The word must end: /previews is another's command.
_BEGIN: Final = re.compile(rf" {{0,3}}{WORD}(?![A-Za-z0-9_/.-])(.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_LINE_ENDS: Final = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Command:
    """A command. ``extension`` is how long from the time of the comment a preview is to live at least."""

    name: ReviewCommand
    extension: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Misspelt:
    """A comment that was meant as a command and is none; ``why`` is Markdown that says what to write."""

    why: str


def parse(body: str) -> Command | Misspelt | None:
    """The command in the first line of a comment; None if it is not meant as one.

    Words are separated by spaces and tabs, and case does not matter. Everything else has to be exact.
    """
    found = _BEGIN.fullmatch(_LINE_ENDS.split(body, maxsplit=1)[0])
    if not found:
        return None
    if not found[1].isascii():
        return Misspelt(f"{_code_point(found[1])} is no plain character, although it may look like one: {usage()}")
    words = found[1].lower().split()
    names = {each.lower(): each for each in ReviewCommand}
    if not words or words[0] not in names:
        return Misspelt(f"there is no such command: {usage()}")
    name, arguments = names[words[0]], words[1:]
    if name is ReviewCommand.EXTEND:
        return _extend(arguments)
    if arguments:
        return Misspelt(f"nothing may follow {USAGE[name]} in its line")
    return Command(name)


def usage(allowed: tuple[ReviewCommand, ...] = tuple(ReviewCommand)) -> str:
    """The commands that may be written, as Markdown."""
    return f"write {' or '.join(USAGE[each] for each in allowed)}"


def _extend(arguments: list[str]) -> Command | Misspelt:
    example = f"such as {USAGE[ReviewCommand.EXTEND]} or `{WORD} extend 1d12h`"
    if len(arguments) != 1:
        return Misspelt(f"say for how long, in one word, {example}")
    try:
        duration = parse_duration(arguments[0])
    except ValueError:
        return Misspelt(f"the time must be in weeks, days, hours, minutes and seconds, {example}")
    if not timedelta(0) < duration <= LONGEST_EXTENSION:
        return Misspelt(f"the time must be longer than 0s and at most {LONGEST_EXTENSION.days}d, {example}")
    return Command(ReviewCommand.EXTEND, duration)


def _code_point(text: str) -> str:
    """The first character that is not ASCII, by its number, since it may look like another one."""
    return f"U+{ord(next(each for each in text if not each.isascii())):04X}"
