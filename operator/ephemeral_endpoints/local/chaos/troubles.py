"""The ways in which a call goes wrong, what does that to it, and what may be told of it meanwhile."""

from enum import StrEnum
from typing import Final

from ephemeral_endpoints.core.errors import Denied, Throttled, Transient
from ephemeral_endpoints.local.aws.faults import Fault, FaultError
from ephemeral_endpoints.local.aws.limits import throttling_code
from ephemeral_endpoints.local.chaos.points import Point

HELD_SECONDS: Final = 1.5
"""For how long a call is held in which the operator is killed."""

TIMEOUT_SECONDS: Final = 1.0
"""After which a call times out: as a client sees it a connection that ends late, much sooner than our own patience."""

_PASSED_SECONDS: Final = 0.001


class Trouble(StrEnum):
    """What happens to one call, once."""

    THROTTLED = "throttled"
    FAILED = "500"
    RESET = "reset"
    TIMED_OUT = "timeout"
    DENIED = "denied"
    LOST = "answer lost"
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"

    @property
    def kills(self) -> bool:
        """Whether the operator dies while the call is under way."""
        return self in {Trouble.KILLED_BEFORE, Trouble.KILLED_AFTER}

    @property
    def reasons(self) -> frozenset[str]:
        """The reasons of conditions that fit it."""
        return _REASONS.get(self, frozenset())


_REASONS: Final = {
    Trouble.THROTTLED: frozenset({Throttled.reason}),
    Trouble.FAILED: frozenset({Transient.reason}),
    Trouble.RESET: frozenset({Transient.reason}),
    Trouble.TIMED_OUT: frozenset({Transient.reason}),
    Trouble.DENIED: frozenset({Denied.reason}),
    Trouble.LOST: frozenset({Transient.reason}),
}

_EFFECTS: Final[dict[Trouble, dict[str, object]]] = {
    Trouble.FAILED: {"error": FaultError(code="InternalFailure", message="an internal error", status=500)},
    Trouble.RESET: {"reset": True},
    Trouble.TIMED_OUT: {"reset": True, "delay_seconds": TIMEOUT_SECONDS},
    Trouble.DENIED: {"error": FaultError(code="AccessDeniedException", message="no permission", status=400)},
    Trouble.LOST: {"answer_lost": True},
    Trouble.KILLED_BEFORE: {"reset": True, "delay_seconds": HELD_SECONDS},
    Trouble.KILLED_AFTER: {"delay_seconds": HELD_SECONDS},
}
"""What the meter does to the call; how it throttles depends on the service."""


def faults(point: Point, trouble: Trouble) -> list[Fault]:
    """What the meter is told, so that exactly this call is struck once: what comes before it passes."""
    chosen = {"service": point.service, "operation": point.operation, "resource": point.part or None}
    throttled = {"error": FaultError(code=throttling_code(point.service), message="Rate exceeded")}
    effect = throttled if trouble is Trouble.THROTTLED else _EFFECTS[trouble]
    struck = Fault.model_validate({**chosen, **effect, "times": 1})
    if point.nth == 1:
        return [struck]
    return [Fault.model_validate({**chosen, "times": point.nth - 1, "delay_seconds": _PASSED_SECONDS}), struck]
