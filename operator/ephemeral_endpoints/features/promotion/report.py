"""What is written of stages and promotions. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from ephemeral_endpoints.api.v1alpha1.model_promotion import ModelPromotion, Outcome
from ephemeral_endpoints.api.v1alpha1.model_stage import MOST_HISTORY, PromotionRecord, StagedVersion
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.features.promotion import reasons
from ephemeral_endpoints.features.promotion.policy import Endpoint, Situation

REASON_OF: Final[Mapping[Outcome, Reason]] = {
    Outcome.SUCCEEDED: reasons.SUCCEEDED,
    Outcome.ROLLED_BACK: reasons.WENT_BACK,
    Outcome.FAILED: reasons.PROMOTION_FAILED,
    Outcome.SUPERSEDED: reasons.SUPERSEDED,
    Outcome.REFUSED: reasons.REFUSED,
}


def of_waiting(cause: Cause) -> tuple[ConditionUpdate, ...]:
    """The conditions of a promotion that has not begun."""
    complete = _update(reasons.COMPLETE_CONDITION, ConditionStatus.UNKNOWN, cause)
    if cause.reason is not reasons.AWAITING_APPROVAL:
        return (complete,)
    return _update(reasons.APPROVED_CONDITION, ConditionStatus.FALSE, cause), complete


def of_running(endpoint: Endpoint, cause: Cause, given: Cause) -> tuple[ConditionUpdate, ...]:
    """The conditions of the promotion that runs; ``given`` says how it came to begin."""
    updates = [_update(reasons.APPROVED_CONDITION, ConditionStatus.TRUE, given)]
    if endpoint.is_rolled_out:
        done = Cause(reasons.ROLLOUT_DONE, "the endpoint serves the version")
        updates.append(_update(reasons.ROLLED_OUT_CONDITION, ConditionStatus.TRUE, done))
        updates.append(_update(reasons.VERIFIED_CONDITION, ConditionStatus.UNKNOWN, cause))
    return *updates, _update(reasons.COMPLETE_CONDITION, ConditionStatus.UNKNOWN, cause)


def of_ended(outcome: Outcome, endpoint: Endpoint, message: str) -> tuple[ConditionUpdate, ...]:
    """The conditions that change when a promotion has ended."""
    cause = Cause(REASON_OF[outcome], message)
    status = ConditionStatus.TRUE if outcome is Outcome.SUCCEEDED else ConditionStatus.FALSE
    complete = _update(reasons.COMPLETE_CONDITION, status, cause)
    if outcome in {Outcome.REFUSED, Outcome.SUPERSEDED}:
        return (complete,)
    rolled_out = ConditionStatus.TRUE if endpoint.is_rolled_out else ConditionStatus.FALSE
    why = Cause(reasons.ROLLOUT_DONE, "the endpoint served the version") if endpoint.is_rolled_out else cause
    return (
        _update(reasons.ROLLED_OUT_CONDITION, rolled_out, why),
        _update(reasons.VERIFIED_CONDITION, status, cause),
        complete,
    )


def promoted(cause: Cause) -> ConditionUpdate:
    """The condition ``Promoted`` of a stage."""
    status = ConditionStatus.TRUE if cause.reason is reasons.PROMOTED else ConditionStatus.FALSE
    return _update(reasons.PROMOTED_CONDITION, status, cause)


def record(promotion: ModelPromotion) -> PromotionRecord | None:
    """What a stage remembers of a promotion; None if it has not ended, or never began."""
    status, spec, metadata = promotion.status, promotion.spec, promotion.metadata
    if not (status.outcome and status.finished_at and status.started_at and status.version):
        return None
    complete = (each.message for each in status.conditions if each.type == reasons.COMPLETE_CONDITION)
    words = [spec.message, next(complete, "")]
    return PromotionRecord(
        promotion=metadata.name,
        number=status.number,
        version=status.version,
        replaced=status.replaced,
        kind=spec.kind,
        outcome=status.outcome,
        started_at=status.started_at,
        finished_at=status.finished_at,
        by=status.approved_by or spec.requested_by or "",
        message=": ".join(filter(None, words)),
    )


def history(known: Iterable[PromotionRecord], promotions: Iterable[ModelPromotion]) -> tuple[PromotionRecord, ...]:
    """The last promotions that were begun, the newest first: those that a stage remembers, and those there are."""
    records = {each.promotion: each for each in known}
    records |= {each.promotion: each for each in filter(None, map(record, promotions))}
    newest = sorted(records.values(), key=lambda each: each.number)
    return tuple(newest[::-1][:MOST_HISTORY])


def current(situation: Situation) -> StagedVersion | None:
    """The version that is promoted: while a promotion runs the one before."""
    running = situation.running
    version = running.replaced if running else situation.intended
    brought = (each for each in reversed(situation.begun) if each.outcome is Outcome.SUCCEEDED)
    found = next((each for each in brought if each.version == version), None)
    if found is None or found.finished_at is None:
        return None
    return StagedVersion(version=str(found.version), since=found.finished_at, promotion=found.name)


def _update(type_: str, status: ConditionStatus, cause: Cause) -> ConditionUpdate:
    return ConditionUpdate.of(type_, status, cause)
