"""The requests of a lifecycle as a recording shows them: where a fault can be injected."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """The parts of a lifecycle, in their order."""

    CONNECT = "connect"
    BUILD = "build"
    SERVE = "serve"
    PUSH = "push"
    COMMAND = "command"
    START = "start"
    MERGE = "merge"


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """The first request of an operation in a phase; an operation has GitHub's id for it."""

    phase: Phase
    operation: str


def points(phase: Phase, counts: Mapping[str, int]) -> list[Point]:
    """The requests of a phase, of which each operation was sent so many times."""
    return [Point(phase, operation) for operation in sorted(counts)]
