"""The ways in which a call can fail, how the meter causes each, and the reasons that conditions may report."""

from enum import StrEnum
from typing import Final

from eep_platform.aws.faults import Fault, FaultError
from eep_platform.aws.limits import throttling_code
from eep_platform.chaos.points import Point
from ephemeral_endpoints.engine.errors import Denied, Throttled, Transient

TIMEOUT_SECONDS: Final = 1.0
"""How long a call hangs before its connection ends: far less than the operator's own timeout."""

_PASSED_SECONDS: Final = 0.001


class FaultKind(StrEnum):
    """How one call fails, once."""

    THROTTLED = "throttled"
    FAILED = "500"
    RESET = "reset"
    TIMED_OUT = "timeout"
    DENIED = "denied"
    LOST = "answer lost"
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    ENDED = "ended"

    @property
    def ends_operator(self) -> bool:
        """Whether the operator ends during the call."""
        return self in {FaultKind.KILLED_BEFORE, FaultKind.KILLED_AFTER, FaultKind.ENDED}

    @property
    def reasons(self) -> frozenset[str]:
        """The reasons that a condition may report because of it."""
        return _REASONS.get(self, frozenset())


_REASONS: Final = {
    FaultKind.THROTTLED: frozenset({Throttled.reason.name}),
    FaultKind.FAILED: frozenset({Transient.reason.name}),
    FaultKind.RESET: frozenset({Transient.reason.name}),
    FaultKind.TIMED_OUT: frozenset({Transient.reason.name}),
    FaultKind.DENIED: frozenset({Denied.reason.name}),
    FaultKind.LOST: frozenset({Transient.reason.name}),
}

_EFFECTS: Final[dict[FaultKind, dict[str, object]]] = {
    FaultKind.FAILED: {"error": FaultError(code="InternalFailure", message="an internal error", status=500)},
    FaultKind.RESET: {"reset": True},
    FaultKind.TIMED_OUT: {"reset": True, "delay_seconds": TIMEOUT_SECONDS},
    FaultKind.DENIED: {"error": FaultError(code="AccessDeniedException", message="no permission", status=400)},
    FaultKind.LOST: {"answer_lost": True},
    FaultKind.KILLED_BEFORE: {"reset": True, "held": True},
    FaultKind.KILLED_AFTER: {"held": True},
    FaultKind.ENDED: {"held": True},
}
"""The meter's fault for each kind; throttling depends on the service. Held calls wait for ``Lane.release_calls``."""


def fault(kind: FaultKind, service: str, **chosen: object) -> Fault:
    """The meter's fault that makes calls of a service fail in this way; ``chosen`` are its fields that say which."""
    throttled = {"error": FaultError(code=throttling_code(service), message="Rate exceeded")}
    effect = throttled if kind is FaultKind.THROTTLED else _EFFECTS[kind]
    return Fault.model_validate({"service": service, **chosen, **effect})


def passing(service: str, **chosen: object) -> Fault:
    """One that lets calls pass, so that the next fault chooses later ones."""
    return Fault.model_validate({"service": service, **chosen, "delay_seconds": _PASSED_SECONDS})


def faults(point: Point, kind: FaultKind) -> list[Fault]:
    """The faults that make exactly this call fail once: earlier calls of the same operation pass."""
    chosen = {"operation": point.operation, "resource": point.part or None}
    failing = fault(kind, point.service, **chosen, times=1)
    return [failing] if point.nth == 1 else [passing(point.service, **chosen, times=point.nth - 1), failing]
