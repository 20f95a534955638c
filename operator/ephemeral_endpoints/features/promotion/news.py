"""What people are told of a stage: what is new in a status, compared with the one before. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api.v1alpha1.model_promotion import Outcome, PromotionKind
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage, ModelStageStatus, PromotionRecord
from ephemeral_endpoints.api.v1alpha1.notifications import NotificationEvent
from ephemeral_endpoints.features.notifications.messages import Notification, safe, shown_url
from ephemeral_endpoints.features.promotion import reasons

_WAITS: Final[Mapping[str, NotificationEvent]] = {
    reasons.AWAITING_APPROVAL.name: NotificationEvent.AWAITING_APPROVAL,
    reasons.FROZEN.name: NotificationEvent.FROZEN,
}
_ENDS: Final[Mapping[tuple[PromotionKind, Outcome], NotificationEvent]] = {
    (PromotionKind.PROMOTION, Outcome.SUCCEEDED): NotificationEvent.PROMOTED,
    (PromotionKind.PROMOTION, Outcome.ROLLED_BACK): NotificationEvent.ROLLED_BACK,
    (PromotionKind.PROMOTION, Outcome.FAILED): NotificationEvent.PROMOTION_FAILED,
    (PromotionKind.ROLLBACK, Outcome.SUCCEEDED): NotificationEvent.ROLLED_BACK,
    (PromotionKind.ROLLBACK, Outcome.FAILED): NotificationEvent.PROMOTION_FAILED,
}


@dataclass(frozen=True, slots=True)
class News:
    """Something that has happened to a stage. ``about`` is the promotion, or the version, of which it is told once."""

    event: NotificationEvent
    about: str
    version: str
    detail: str = ""
    back_to: str = ""


def news_of(before: ModelStageStatus, after: ModelStageStatus) -> tuple[News, ...]:
    """What has happened between two statuses, in its order."""
    known = {each.promotion for each in before.history}
    ended = (each for each in reversed(after.history) if each.promotion not in known)
    return *filter(None, map(_end, ended)), *_begin(before, after), *_wait(before, after)


def notification_of(news: News, stage: ModelStage) -> Notification:
    """The notification of it."""
    metadata = stage.metadata
    is_served = news.event is NotificationEvent.PROMOTED
    return Notification(
        title=f"{metadata.namespace}/{metadata.name} {_title(news)}",
        about=f"{stage.spec.repository}, version {news.version}",
        detail=safe(news.detail),
        url=shown_url(stage.status.url or "") if is_served else "",
        advice=_advice(news, metadata.name, f"-n {metadata.namespace}"),
    )


def _end(record: PromotionRecord) -> News | None:
    event = _ENDS.get((record.kind, record.outcome))
    if event is None:
        return None
    back_to = record.version if record.kind is PromotionKind.ROLLBACK else record.replaced or ""
    by = f" (by {record.by})" if record.by else ""
    return News(event, record.promotion, record.version, f"{record.message}{by}", back_to)


def _begin(before: ModelStageStatus, after: ModelStageStatus) -> Iterator[News]:
    """The beginning of a promotion; of a rollback, its end alone is told."""
    is_new = after.promotion and after.promotion != before.promotion
    if is_new and after.promotion and after.candidate and _reason(after) != reasons.ROLLING_BACK.name:
        yield News(NotificationEvent.PROMOTING, after.promotion, after.candidate)


def _wait(before: ModelStageStatus, after: ModelStageStatus) -> Iterator[News]:
    event = _WAITS.get(_reason(after))
    is_known = (_reason(before), before.candidate) == (_reason(after), after.candidate)
    if event and after.candidate and not is_known:
        yield News(event, after.candidate, after.candidate, _message(after))


def _reason(status: ModelStageStatus) -> str:
    found = (each.reason for each in status.conditions if each.type == reasons.PROMOTED_CONDITION)
    return next(found, "")


def _message(status: ModelStageStatus) -> str:
    return next(each.message for each in status.conditions if each.type == reasons.PROMOTED_CONDITION)


def _title(news: News) -> str:
    match news.event:
        case NotificationEvent.AWAITING_APPROVAL:
            return f"waits for an approval of {news.version}"
        case NotificationEvent.FROZEN:
            return f"is frozen, and {news.version} waits"
        case NotificationEvent.PROMOTING:
            return f"begins to roll out {news.version}"
        case NotificationEvent.PROMOTED:
            return f"serves {news.version}"
        case NotificationEvent.ROLLED_BACK:
            return f"went back to {news.back_to}"
    is_rollback = news.back_to == news.version
    return f"could not go back to {news.version}" if is_rollback else f"failed to promote {news.version}"


def _advice(news: News, stage: str, namespace: str) -> str:
    match news.event:
        case NotificationEvent.AWAITING_APPROVAL:
            return f"Approve it: `eep stage approve {stage} {news.version} {namespace}`"
        case NotificationEvent.ROLLED_BACK:
            return (
                "Nothing is promoted by itself until a person promotes a version: `eep stage promote "
                f"{stage} VERSION {namespace}`"
            )
        case NotificationEvent.PROMOTION_FAILED:
            return f"To go back: `eep stage rollback {stage} {namespace}`"
    return f"More: `eep stage history {stage} {namespace}`"
