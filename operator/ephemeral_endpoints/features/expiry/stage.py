"""The conditions of an object that has expired, or whose resources stay in AWS."""

from collections.abc import Iterable
from typing import Final

from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionType, ConditionUpdate, kstatus
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.reasons import DELETING, EVENTS, PROGRESS, READY, Finality, ReasonGroup
from ephemeral_endpoints.engine.resources import Key, ObservedResource
from ephemeral_endpoints.engine.tags import RETAINED_TAGS

REASONS: Final = ReasonGroup(READY, EVENTS)

EXPIRED: Final = REASONS.transient(
    "Expired",
    meaning="The time to live is over. The operator deletes the object's AWS resources, and the object unless a tool "
    "such as Argo CD, Flux or Helm would create it again: then it stays as a tombstone.",
    remedy="remove a tombstone where the tool reads it; to keep an object longer, raise `spec.lifecycle.ttl` before it "
    "expires",
)
EXPIRY_HELD: Final = REASONS.for_platform(
    "ExpiryHeld",
    PROGRESS,
    EVENTS,
    finality=Finality.TRANSIENT,
    meaning="The time to live is over, but the operator does not delete the object yet: its clock differs by more than "
    "a minute from that of the API server or of AWS, or too many objects have expired within a quarter of an hour.",
    remedy="set the clock of the operator's node, or see why so many objects expire. To end the object now, delete it: "
    "what somebody deletes is not held",
)
RETAINED: Final = REASONS.normal(
    "Retained",
    meaning="The object was deleted or has expired, and its AWS resources stay, as its `deletionPolicy` asks.",
)
RETAINING: Final = REASONS.transient(
    "Retaining", READY, meaning="The operator is tagging the AWS resources that stay, so that the sweep ignores them."
)

DELETED: Final = Cause(DELETING, "the operator is deleting the object's AWS resources")
_OVER: Final = "the time to live is over"

EXPIRED_EVENT: Final = f"{_OVER}: the operator deletes the object"


def expired(why_retired: str | None) -> Cause:
    """The cause of an object that has expired, and that stays as a tombstone if there is a reason."""
    return Cause(EXPIRED, f"{_OVER}; the object stays, because {why_retired}" if why_retired else _OVER)


def of_held(cause: Cause) -> tuple[ConditionUpdate, ...]:
    """The condition that changes when an object that has expired is held; what it is and serves stays as it is."""
    return (ConditionUpdate.of(ConditionType.RECONCILING, ConditionStatus.TRUE, cause),)


def of_retained(
    kept: Iterable[ObservedResource], *, is_deleted: bool, is_tagged: bool, problem: ReconcileError | None
) -> tuple[ConditionUpdate, ...]:
    """The conditions of an object whose resources stay in AWS; ``problem`` keeps the operator from tagging them."""
    why = "the object is deleted" if is_deleted else _OVER
    state = "its AWS resources stay" if is_tagged else "the operator is tagging the AWS resources that stay"
    failed = f" (failed: {problem.described})" if problem else ""
    message = f"{why}; {state}, as spec.lifecycle.deletionPolicy asks{failed}: {_names(each.key for each in kept)}"
    cause = Cause(RETAINED if is_tagged else RETAINING, message)
    ready = ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, cause)
    permanent = Cause.of(problem) if problem and problem.terminal else None
    return (ready, *kstatus(ready, done=is_tagged, permanent=permanent))


def retained_event(kept: Iterable[Key]) -> str:
    """The message of the Event about resources that stay when the object is deleted."""
    tag = "=".join(RETAINED_TAGS[0])
    return f"AWS resources stay, as spec.lifecycle.deletionPolicy asks, with the tag {tag}: {_names(kept)}"


def _names(keys: Iterable[Key]) -> str:
    return ", ".join(sorted(map(str, keys))) or "none"
