r"""Translates the regular expressions of AWS service models from Java's syntax to Python's.

Python's `re` has no Unicode categories (`\p{L}`), so they become ranges. It takes the two halves of a surrogate pair
for two characters, so they become the one character that they mean. It repeats no anchor (`${1,128}`), so one stays. It
takes no range from a class (`[\w-/]`), so the hyphen is one.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby

_TOKEN = re.compile(
    r"\\p\{(?P<property>\w+)\}"
    r"|\\u(?P<high>[Dd][89ABab]\w\w)\\u(?P<low>[Dd][C-Fc-f]\w\w)"
    r"|(?P<end>\$)\{\d+,\d+\}"
    r"|(?P<many>\\[dswDSW])-(?!\])"
    r"|(?P<escape>\\.)|(?P<open>\[\^?)|(?P<close>\])|(?P<other>.)",
    re.DOTALL,
)
_NAMED = {"ASCII": r"\x00-\x7f", "Print": r"\x20-\x7e"}


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern for `fullmatch`, because the service matches whole values.

    Raises:
        re.error: The pattern uses syntax that neither this module nor `re` supports.
    """
    return re.compile("".join(_translated(pattern)))


def _translated(pattern: str) -> Iterator[str]:
    in_class = False
    for token in _TOKEN.finditer(pattern):
        if token["property"]:
            ranges = _ranges(token["property"])
            yield ranges if in_class else f"[{ranges}]"
        elif token["high"]:
            pair = bytes.fromhex(token["high"] + token["low"])
            yield f"\\U{ord(pair.decode('utf-16-be')):08x}"
        elif token["many"]:
            yield rf"{token['many']}\-"
        elif token["end"] or token["escape"] == r"\z":
            yield r"\Z"
        else:
            in_class = (in_class or bool(token["open"])) and not token["close"]
            yield token[0]


@cache
def _ranges(name: str) -> str:
    if name in _NAMED:
        return _NAMED[name]
    runs = groupby(_categories(), key=lambda run: run[0].startswith(name))
    joined = (list(run) for is_in, run in runs if is_in)
    return "".join(f"\\U{run[0][1]:08x}-\\U{run[-1][2]:08x}" for run in joined)


@cache
def _categories() -> tuple[tuple[str, int, int], ...]:
    """The runs of characters of one category, in their order. To look at all characters takes long."""
    found, first = [], 0
    for category, run in groupby(map(unicodedata.category, map(chr, range(sys.maxunicode + 1)))):
        after = first + sum(1 for _ in run)
        found.append((category, first, after - 1))
        first = after
    return tuple(found)
