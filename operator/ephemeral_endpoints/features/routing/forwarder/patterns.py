"""Regular expressions of JSON Schema, which are ECMAScript's (ECMA-262, flag ``u``), for Python's ``re``. Pure.

Whatever the two would read differently is rewritten or refused.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from itertools import chain, groupby
from typing import NamedTuple

_SPACES = r"\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_NO_SPACES = (
    r"\x00-\x08\x0e-\x1f!-\x9f\xa1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u2fff"
    r"\u3001-\ufefe\uff00-\U0010ffff"
)
_SPACES_BY_LETTER = {"s": _SPACES, "S": _NO_SPACES}
_LETTERS = frozenset("dDwWtnvfr")
_LONG_NAMES = {
    "Letter": "L",
    "Lowercase_Letter": "Ll",
    "Uppercase_Letter": "Lu",
    "Mark": "M",
    "Number": "N",
    "Decimal_Number": "Nd",
    "digit": "Nd",
    "Punctuation": "P",
    "punct": "P",
    "Symbol": "S",
    "Separator": "Z",
}
_CATEGORY = re.compile("L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?")
_SPECIAL = frozenset("^$\\.*+?()[]{}|/-")
# "[]" matches nothing and "[^]" everything.
_EMPTY_SETS = {"[": "(?!)", "[^": r"[\x00-\U0010ffff]"}
# Characters that Python reserves within a set, or reads as an operator on sets one day.
_RESERVED_IN_SETS = frozenset("[&~|")
_TOKEN = re.compile(
    r"""\\(?:
        u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})
        |u(?P<unit>[0-9a-fA-F]{4})|u\{(?P<point>[0-9a-fA-F]{1,6})\}|x(?P<byte>[0-9a-fA-F]{2})
        |c(?P<control>[A-Za-z])|(?P<property>[pP])\{(?P<name>[A-Za-z_=]+)\}
        |k<(?P<back>[A-Za-z_]\w*)>|(?P<number>[1-9][0-9]?)(?![0-9])|(?P<nul>0)(?![0-9])|(?P<letter>.))
    |(?P<group>\((?:\?(?:[:=!]|<[=!]|<(?P<named>[A-Za-z_]\w*)>))?)
    |(?P<quantifier>(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??)
    |(?P<open>\[\^?)|(?P<close>\])|(?P<dot>\.)|(?P<dollar>\$)|(?P<other>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)


class _Run(NamedTuple):
    """Neighbouring characters of one general category."""

    category: str
    first: int
    last: int


class PatternError(ValueError):
    """A text is no regular expression of ECMAScript, or none that Python can match. The message says why."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern for ``search``, as ECMAScript means it. Raises PatternError."""
    try:
        return re.compile(translate(pattern), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"it is no regular expression: {error}") from error


def translate(pattern: str) -> str:
    """The same pattern in Python's syntax, with ``re.ASCII``. Raises PatternError."""
    parts: list[str] = []
    in_set, is_quantified = False, False
    for token in _TOKEN.finditer(pattern):
        if in_set:
            part = _in_set(token)
            in_set = token["close"] is None
            if not in_set and parts[-1] in _EMPTY_SETS:
                part = _EMPTY_SETS[parts.pop()]
        else:
            if token["quantifier"] and is_quantified:
                raise PatternError(f"nothing to repeat at character {token.start()}")
            part = _outside(token)
            in_set = token["open"] is not None
        is_quantified = token["quantifier"] is not None
        parts.append(part)
    if in_set:
        raise PatternError("a set of characters does not end")
    return "".join(parts)


def _outside(token: re.Match[str]) -> str:  # noqa: PLR0911 - a table
    text = token[0]
    match token.lastgroup:
        case "dollar":
            return r"\Z"
        case "dot":
            return r"[^\n\r\u2028\u2029]"
        case "group" if token["named"]:
            return f"(?P<{token['named']}>"
        case "close":
            return r"\]"
        case "other" if text in "{}":
            return f"\\{text}"
        case "back":
            return f"(?P={token['back']})"
        case "number":
            # In a group of its own, or a digit behind it would be part of the number.
            return f"(?:{text})"
    if text[0] != "\\" or token["letter"] in {"b", "B"}:
        return text
    content = _escape(token)
    return f"[{content}]" if token["property"] or token["letter"] in {"s", "S"} else content


def _in_set(token: re.Match[str]) -> str:
    text = token[0]
    if text[0] != "\\":
        return "".join(f"\\{each}" if each in _RESERVED_IN_SETS else each for each in text) if text != "]" else text
    if token["letter"] == "b":
        return r"\x08"
    return _escape(token)


def _escape(token: re.Match[str]) -> str:
    """What an escape means within a set; outside of one too, but for those that stand for several characters."""
    letter = token["letter"]
    if letter in _SPACES_BY_LETTER:
        return _SPACES_BY_LETTER[letter]
    if letter and (letter in _LETTERS or letter in _SPECIAL):
        return f"\\{letter}"
    if token["property"]:
        return _category(token["name"], token["property"] == "P")
    if letter or token["back"] or token["number"]:
        raise PatternError(f"{token[0]!r} at character {token.start()} is no escape of ECMAScript")
    return _literal(_code(token))


def _code(token: re.Match[str]) -> int:
    """The character that an escape stands for."""
    if token["high"]:
        return 0x10000 + ((int(token["high"], 16) & 0x3FF) << 10) + (int(token["low"], 16) & 0x3FF)
    if token["control"]:
        return ord(token["control"]) % 32
    return int(token["unit"] or token["point"] or token["byte"] or "0", 16)


def _literal(code: int) -> str:
    if code > sys.maxunicode:
        raise PatternError(f"there is no character {code:x}")
    return f"\\U{code:08x}"


@cache
def _category(name: str, is_negated: bool) -> str:  # noqa: FBT001 - its two values are p and P
    """The ranges of the characters of a general category."""
    wanted = name.partition("=")[2] if name.startswith(("gc=", "General_Category=")) else name
    wanted = _LONG_NAMES.get(wanted, wanted)
    if not _CATEGORY.fullmatch(wanted):
        raise PatternError(f"the Unicode property {name} is not supported: use a general category, such as L, Lu or N")
    ranges: list[str] = []
    for is_in, group in groupby(_runs(), lambda run: run.category.startswith(wanted)):
        runs = list(group)
        if is_in is not is_negated:
            ranges.append(f"\\U{runs[0].first:08x}-\\U{runs[-1].last:08x}")
    return "".join(ranges)


@cache
def _runs() -> tuple[_Run, ...]:
    """The characters in their order. Takes a tenth of a second, once for all categories."""
    # Between them there are none of the categories that have a name here.
    assigned = chain(range(0x34000), range(0xE0000, 0xE0200), (sys.maxunicode,))
    groups = groupby(assigned, lambda code: unicodedata.category(chr(code)))
    codes = ((category, list(group)) for category, group in groups)
    return tuple(_Run(category, each[0], each[-1]) for category, each in codes)
