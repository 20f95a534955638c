"""Which written transitions people are notified of."""

from collections.abc import Collection
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.notifications import NotificationEvent
from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionType, ConditionUpdate
from ephemeral_endpoints.engine.errors import QuotaExceeded
from ephemeral_endpoints.engine.reasons import Finality
from ephemeral_endpoints.features.capacity.budget_stage import WITHIN_BUDGET
from ephemeral_endpoints.features.capacity.limits import LIMIT_REACHED
from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED
from ephemeral_endpoints.features.expiry.policy import is_abandoned, is_retained
from ephemeral_endpoints.features.expiry.stage import ENDED, EXPIRING
from ephemeral_endpoints.features.images.reasons import ImageProblem

_ENDED: Final = frozenset(cause.reason.name for cause in ENDED.values())
_LASTING: Final = frozenset({Finality.RECOVERABLE, Finality.PERMANENT})
_AWAITED: Final = frozenset({ImageProblem.NOT_FOUND.value, QuotaExceeded.reason, LIMIT_REACHED})
"""What in most cases ends by itself: an image that a workflow is about to push, a turn in the queue for capacity."""


def events_of(changed: Collection[ConditionUpdate]) -> dict[NotificationEvent, str]:
    """What has happened by the conditions that changed, each with the message that explains it.

    A failure that resolves by itself, such as a throttled call, is none that people have to know.
    """
    found: dict[NotificationEvent, str] = {}
    for update in changed:
        if event := _event_of(update):
            found.setdefault(event, update.message)
    return found


def is_tombstone(endpoint: EphemeralEndpoint) -> bool:
    """Whether nothing is left in AWS of an object that has ended and stays, because a tool would create it again."""
    ready = next((each for each in endpoint.status.conditions if each.type == ConditionType.READY), None)
    return ready is not None and ready.reason in _ENDED and not endpoint.status.resources


def left_of(endpoint: EphemeralEndpoint, endpoint_class: EphemeralEndpointClass) -> str:
    """What is left in AWS of an object that is gone; empty for nothing."""
    if is_abandoned(endpoint):
        return (
            "the object was abandoned: AWS resources of it may be left, and keep costing until the sweep deletes them"
        )
    if is_retained(endpoint, endpoint_class):
        return "its AWS resources stay, as its deletionPolicy asks, and keep costing: nobody deletes them but you"
    return ""


def _is_lasting_failure(update: ConditionUpdate) -> bool:
    reason = update.reason
    return update.is_failure and reason.finality in _LASTING and reason not in _AWAITED


def _event_of(update: ConditionUpdate) -> NotificationEvent | None:
    holds = update.status is ConditionStatus.TRUE
    match update.type:
        case ConditionType.READY if holds:
            return NotificationEvent.READY
        case ConditionType.READY | ConditionType.STALLED if _is_lasting_failure(update):
            return NotificationEvent.FAILED
        case type_ if type_ == CHECKS_PASSED and update.status is ConditionStatus.FALSE and update.is_failure:
            return NotificationEvent.CHECKS_FAILED
        case type_ if type_ == EXPIRING and holds:
            return NotificationEvent.EXPIRING
        case type_ if type_ == WITHIN_BUDGET and update.is_failure:
            return NotificationEvent.BUDGET
    return None
