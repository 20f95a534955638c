"""The conditions of an object that has ended, or whose resources stay in AWS."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionType, ConditionUpdate, kstatus
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.reasons import DELETING, EVENTS, PROGRESS, READY, Finality, ReasonGroup
from ephemeral_endpoints.engine.resources import Key, ObservedResource
from ephemeral_endpoints.engine.tags import RETAINED_TAGS
from ephemeral_endpoints.features.expiry.policy import EndCause

PULL_REQUEST_OPEN: Final = "PullRequestOpen"
"""The condition of an object that tells of its pull request."""

EXPIRING: Final = "Expiring"
"""The condition of an object that ends soon."""

REASONS: Final = ReasonGroup(READY, EVENTS)

EXPIRED: Final = REASONS.transient(
    "Expired",
    meaning="The time to live is over. The operator deletes the object's AWS resources, and the object unless a tool "
    "such as Argo CD, Flux or Helm would create it again: then it stays as a tombstone, with `Stalled` True.",
    remedy="remove a tombstone where the tool reads it, or revive it with `eep extend` or a new commit, as far as "
    "`maxTtl` of the class allows; to keep an object longer, extend its life before it expires",
)
_END: Final = (
    "The operator deletes the object's AWS resources after the class's `reviews.closeGrace`, and the object unless a "
    "tool such as Argo CD, Flux or Helm would create it again: then it stays as a tombstone."
)
PULL_REQUEST_CLOSED: Final = REASONS.transient(
    "PullRequestClosed",
    *(READY, PULL_REQUEST_OPEN, EVENTS),
    meaning=f"The pull request was closed. {_END}",
    remedy="reopen the pull request to keep the object, or to have a tombstone live again",
)
PULL_REQUEST_MERGED: Final = REASONS.transient(
    "PullRequestMerged",
    *(READY, PULL_REQUEST_OPEN, EVENTS),
    meaning=f"The pull request was merged. {_END}",
    remedy="nothing; remove a tombstone where the tool reads it",
)
OVER_BUDGET: Final = REASONS.transient(
    "OverBudget",
    meaning="A budget is spent so far that the object ends, see [budgets](budgets.md). The operator deletes the "
    "object's AWS resources, and the object unless a tool such as Argo CD, Flux or Helm would create it again: then it "
    "stays as a tombstone.",
    remedy="have a platform engineer raise the budget, or wait for the next month; then push a new commit or extend "
    "the life of a tombstone",
)
EXPIRY_HELD: Final = REASONS.for_platform(
    "ExpiryHeld",
    PROGRESS,
    EVENTS,
    finality=Finality.TRANSIENT,
    meaning="The time to live is over, or the pull request is closed, but the operator does not delete the object yet: "
    "its clock differs by more than a minute from that of the API server or of AWS, or too many objects have ended "
    "within a quarter of an hour.",
    remedy="set the clock of the operator's node, or see why so many objects end. To end the object now, delete it: "
    "what somebody deletes is not held",
)
EXPIRES_SOON: Final = REASONS.normal(
    "ExpiresSoon",
    EXPIRING,
    meaning="The object ends at the time that the message names. The condition exists only where the class sends "
    "notifications of it, or comments on pull requests.",
)
RETAINED: Final = REASONS.normal(
    "Retained",
    meaning="The object was deleted or has ended, and its AWS resources stay, as its `deletionPolicy` asks.",
)
RETAINING: Final = REASONS.transient(
    "Retaining", READY, meaning="The operator is tagging the AWS resources that stay, so that the sweep ignores them."
)

DELETED: Final = Cause(DELETING, "the operator is deleting the object's AWS resources")

ENDED: Final[Mapping[EndCause, Cause]] = {
    EndCause.EXPIRED: Cause(EXPIRED, "the time to live is over"),
    EndCause.CLOSED: Cause(PULL_REQUEST_CLOSED, "the pull request was closed"),
    EndCause.MERGED: Cause(PULL_REQUEST_MERGED, "the pull request was merged"),
    EndCause.OVER_BUDGET: Cause(OVER_BUDGET, "a budget is spent"),
}


_REVIVAL: Final[Mapping[EndCause, str]] = {
    EndCause.EXPIRED: "; to revive it, extend its life (eep extend) or push a new commit, as far as the class's maxTtl "
    "allows",
    EndCause.CLOSED: "; to revive it, reopen the pull request",
    EndCause.MERGED: "",
    EndCause.OVER_BUDGET: "; to revive it once the budget has room, push a new commit or extend its life (eep extend)",
}


def ended(end: EndCause, why_retired: str | None) -> Cause:
    """The cause of an object that has ended, and that stays as a tombstone if there is a reason."""
    cause = ENDED[end]
    if not why_retired:
        return cause
    return replace(cause, message=f"{cause.message}; the object stays, because {why_retired}{_REVIVAL[end]}")


def ended_event(end: EndCause) -> Cause:
    """What the Event says when an object that has ended is deleted."""
    cause = ENDED[end]
    return replace(cause, message=f"{cause.message}: the operator deletes the object")


def expires_soon(at: datetime, *, is_last: bool) -> ConditionUpdate:
    """The condition of an object that ends soon; ``is_last``: its class lets it live no longer."""
    unless = "when it is as old as its class lets an object be" if is_last else "unless its life is extended before"
    cause = Cause(EXPIRES_SOON, f"the endpoint ends at {at:%Y-%m-%d %H:%M} UTC, {unless}")
    return ConditionUpdate.of(EXPIRING, ConditionStatus.TRUE, cause)


def held(end: EndCause, why: str) -> Cause:
    """The cause of an object that has ended and is not deleted yet."""
    return Cause(EXPIRY_HELD, f"{ENDED[end].message}, but the operator does not delete the object yet: {why}")


def of_held(cause: Cause) -> tuple[ConditionUpdate, ...]:
    """The condition that changes when an object that has ended is held; what it is and serves stays as it is."""
    return (ConditionUpdate.of(ConditionType.RECONCILING, ConditionStatus.TRUE, cause),)


def of_retained(
    kept: Iterable[ObservedResource], end: EndCause | None, *, is_tagged: bool, problem: ReconcileError | None
) -> tuple[ConditionUpdate, ...]:
    """The conditions of an object whose resources stay in AWS; ``problem`` keeps the operator from tagging them.

    ``end`` is why it has ended; None if it was deleted.
    """
    why = ENDED[end].message if end else "the object is deleted"
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
