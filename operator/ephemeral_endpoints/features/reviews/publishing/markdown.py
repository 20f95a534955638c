"""Text of others in Markdown, so that it stays text: it makes no link, mention, reference, HTML or structure. Pure.

All of it goes into code spans, in which GitHub replaces nothing: https://github.github.com/gfm/#code-spans.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from ephemeral_endpoints.engine.redaction import MASK, redacted

MOST_CHARACTERS: Final = 65_000
"""GitHub accepts 65,536 in a comment, of which some are for its hidden marker."""

_LONGEST_READ: Final = 4_000
"""More of a text is not looked at, and redaction looks at no more: the rest would pass unmasked."""

_ACCOUNTS: Final = re.compile(r"arn:aws[^\s\"',;|`]*|(?<![0-9])(?<![0-9]\.)[0-9]{12}(?![0-9])")
_BACKTICKS: Final = re.compile("`+")
_PLAIN_URL: Final = re.compile(r"https?://[A-Za-z0-9._~:/-]{1,2000}")

_EMPTY: Final = "—"
_MORE: Final = "…"


def plain(text: str, most: int) -> str:
    """One line of at most ``most`` characters, without credentials, account ids, and what cannot be seen."""
    seen = "".join(" " if character.isspace() else character for character in text[:_LONGEST_READ])
    seen = "".join(character for character in seen if unicodedata.category(character)[0] != "C")
    # What cannot be seen goes first: it could part a credential in two.
    masked = _ACCOUNTS.sub(MASK, redacted(" ".join(seen.split())))
    return shortened(masked, most)


def shortened(text: str, most: int) -> str:
    """At most ``most`` characters, with a mark where something is missing."""
    return text if len(text) <= most else f"{text[: most - len(_MORE)].rstrip()}{_MORE}"


def code(text: str, most: int = 200) -> str:
    """A code span with ``plain`` text in it."""
    shown = plain(text, most) or _EMPTY
    fence = "`" * (max((len(each) for each in _BACKTICKS.findall(shown)), default=0) + 1)
    pad = " " if "`" in (shown[0], shown[-1]) else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def cell(text: str, most: int = 200) -> str:
    """A code span for a cell of a table, whose borders are seen before code spans are: they are replaced by ``¦``."""
    return code(text.replace("|", "¦"), most)


def commit(revision: str) -> str:
    """A commit by the beginning of its SHA."""
    return code(revision, 64) if len(revision) <= _SHORT else code(revision[:_SHORT])


_SHORT: Final = 7


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = (header, ["---"] * len(header), *rows)
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)


def details(summary: str, body: str) -> str:
    """Markdown that is folded away. ``summary`` is our own text: it is read as HTML."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def link(url: str) -> str:
    """The URL as a link if it is one of the operator's own form, else as code."""
    return f"<{url}>" if is_plain_url(url) else code(url)


def is_plain_url(url: str) -> bool:
    """Whether it is a URL without query, user or anything that Markdown or a shell could take for more."""
    return _PLAIN_URL.fullmatch(url) is not None


def joined(sections: Iterable[str], most: int = MOST_CHARACTERS) -> str:
    """The sections one below the other; one that has no room is left out whole, and that is said."""
    kept, room, is_whole = list[str](), most - len(_LEFT_OUT), True
    for each in filter(None, sections):
        if len(each) + len(_GAP) > room:
            is_whole = False
        else:
            kept.append(each)
            room -= len(each) + len(_GAP)
    return _GAP.join(kept if is_whole else [*kept, _LEFT_OUT])


_GAP: Final = "\n\n"
_LEFT_OUT: Final = "*The rest is too long for a comment: see the status of the object.*"
