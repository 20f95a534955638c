"""The ways in which a request to the forge can go wrong, and how the embedded GitHub causes each."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from eep_platform.chaos.forge.points import Point

LIMIT_SECONDS: Final = 60
"""For how long GitHub asks to be left alone where a limit is reached."""

TIMEOUT_SECONDS: Final = 0.25
"""How long the operator waits for an answer where one never comes: less than otherwise, to save time."""


class FaultKind(StrEnum):
    """How one request goes wrong, once."""

    FAILED = "500"
    NOT_FOUND = "404"
    FORBIDDEN = "403"
    UNAUTHORIZED = "401"
    LIMITED = "limit"
    SECONDARY = "secondary limit"
    HTML = "HTML"
    EMPTY = "empty"
    RESET = "reset"
    TIMED_OUT = "timeout"
    LOST = "answer lost"
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"

    @property
    def ends_operator(self) -> bool:
        """Whether the operator ends during the request."""
        return self in {FaultKind.KILLED_BEFORE, FaultKind.KILLED_AFTER}


_EFFECTS: Final[Mapping[FaultKind, Mapping[str, Any]]] = {
    FaultKind.FAILED: {"effect": "error", "status": 500},
    FaultKind.NOT_FOUND: {"effect": "error", "status": 404},
    FaultKind.FORBIDDEN: {"effect": "error", "status": 403},
    FaultKind.UNAUTHORIZED: {"effect": "error", "status": 401},
    FaultKind.LIMITED: {"effect": "primary_limit", "retry_after": LIMIT_SECONDS},
    FaultKind.SECONDARY: {"effect": "secondary_limit", "retry_after": LIMIT_SECONDS},
    FaultKind.HTML: {"effect": "html"},
    FaultKind.EMPTY: {"effect": "empty"},
    FaultKind.RESET: {"effect": "reset"},
    FaultKind.TIMED_OUT: {"held": True},
    FaultKind.LOST: {"effect": "answer_lost"},
    FaultKind.KILLED_BEFORE: {"effect": "reset"},
    FaultKind.KILLED_AFTER: {"effect": "answer_lost"},
}


def trouble(point: Point, kind: FaultKind) -> Mapping[str, Any]:
    """The trouble that makes exactly this request of a phase go wrong once."""
    return {"operation": point.operation, "times": 1, **_EFFECTS[kind]}
