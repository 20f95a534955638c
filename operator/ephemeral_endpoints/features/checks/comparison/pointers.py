"""JSON pointers (RFC 6901) into answers, and patterns of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

Path = tuple[str | int, ...]
"""Names of members and indexes of arrays, from the root."""

ANY_INDEX: Final = "-"
ANY: Final = "*"


def pointer(path: Sequence[str | int]) -> str:
    """The path as a JSON pointer."""
    return "".join(f"/{_escaped(each)}" for each in path)


def folded(path: Sequence[str | int]) -> str:
    """The path as a JSON pointer, with - in place of every index: one place of all elements of an array."""
    return "".join(f"/{ANY_INDEX if isinstance(each, int) else _escaped(each)}" for each in path)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A JSON pointer in which - stands for every index of an array, and * for every index and member."""

    steps: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a pointer that the API has accepted."""
        steps = text.split("/")[1:]
        return cls(tuple(each.replace("~1", "/").replace("~0", "~") for each in steps))

    def covers(self, path: Path) -> bool:
        """Whether the path leads to what the pattern points to, or to something in it."""
        return len(path) >= len(self.steps) and all(map(_matches, self.steps, path))

    def is_at(self, path: Path) -> bool:
        """Whether the path leads to exactly what the pattern points to."""
        return len(path) == len(self.steps) and self.covers(path)


def _matches(step: str, part: str | int) -> bool:
    if isinstance(part, int):
        return step in {ANY, ANY_INDEX} or step == str(part)
    return step in {ANY, part}


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
