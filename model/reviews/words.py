"""Texts as words, and back."""

import re
from collections.abc import Iterable

_WORD = re.compile(r"\w+(?:['-]\w+)*|[.,!?;]")
_BEFORE_MARK = re.compile(r" ([.,!?;])")


def split(text: str) -> list[str]:
    """The words and punctuation marks of a text."""
    return _WORD.findall(text)


def join(words: Iterable[str]) -> str:
    """The text of such words."""
    return _BEFORE_MARK.sub(r"\1", " ".join(words))
