"""What keeps endpoints from service, as AWS shows it: failures, rollouts that were taken back, changes that hang."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.core.creation import Tries
from ephemeral_endpoints.core.resources import FAILURES, IN_FLIGHT, Have, Haves, Key, Phase, Want

STUCK: Final = "Stuck"
_FAILED: Final = "EndpointFailed"
_NO_REASON: Final = "SageMaker gave no reason"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """How an object's endpoints do, beside what the inventory shows.

    ``given_up`` are those whose rollout SageMaker gave up, ``tries`` how often the others were tried, and ``stuck``
    says what takes too long.
    """

    given_up: frozenset[Key] = frozenset()
    tries: Mapping[Key, Tries] = field(default_factory=dict)
    stuck: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is the matter; ``final`` if it is not tried again by itself."""

    reason: str
    message: str
    final: bool


def worst(endpoints: Endpoints, wants: Iterable[Want], own: Haves) -> Failure | None:
    """The failure that matters most; None if there is none."""
    rolled_back = (_rolled_back(own.get(key)) for key in sorted(endpoints.given_up))
    judged = (_judged(own.get(want.key), want, endpoints.tries.get(want.key, Tries())) for want in wants)
    failed = [failure for failure in judged if failure]
    stuck = [Failure(STUCK, endpoints.stuck, final=True)] if endpoints.stuck else []
    return min((*rolled_back, *stuck, *failed), key=lambda failure: not failure.final, default=None)


def _rolled_back(endpoint: Have | None) -> Failure:
    why = endpoint.detail if endpoint and endpoint.detail else _NO_REASON
    if endpoint and endpoint.phase is Phase.IMPAIRED:
        message = f"the new revision failed and could not be taken back, both serve: {why}"
        return Failure(endpoint.status or "RolledBack", message, final=True)
    return Failure("RolledBack", f"the new revision failed and the previous one goes on serving: {why}", final=True)


def _judged(endpoint: Have | None, want: Want, tries: Tries) -> Failure | None:
    """How an endpoint does; what failed and is not as wanted gets replaced without further ado."""
    if endpoint is None or endpoint.phase in IN_FLIGHT:
        if not tries.failures:
            return None
        return Failure(_FAILED, f"{tries.detail or _NO_REASON} (tried {_times(tries)}, and now again)", final=False)
    if endpoint.phase not in FAILURES or not endpoint.matches(want):
        return None
    reason = (endpoint.phase is Phase.IMPAIRED and endpoint.status) or _FAILED
    return Failure(reason, f"{endpoint.detail or _NO_REASON} ({_prospect(tries)})", tries.is_over)


def _prospect(tries: Tries) -> str:
    if tries.is_over:
        again = f"not again before the spec changes or the annotation {RECONCILE_AT_ANNOTATION} does"
        return f"tried {_times(tries)}, {again}"
    if tries.next_at and tries.failures:
        return f"tried {_times(tries)}, again at {tries.next_at:%H:%M:%S} UTC"
    return "it is tried again"


def _times(tries: Tries) -> str:
    return "once" if tries.failures == 1 else f"{tries.failures} times"
