"""Versions of models. Pure."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version of a model package group."""

    group: str
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The version that a valid text names. Raises ValueError for another one."""
        group, _, number = text.rpartition("/")
        return cls(group, int(number))

    def __str__(self) -> str:
        return f"{self.group}/{self.number}"

    def is_newer_than(self, other: "Version | None") -> bool:
        """Whether it comes after the other one; versions of another group do, as when the source was changed."""
        return other is None or self.group != other.group or self.number > other.number
