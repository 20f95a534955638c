"""What the source of a stage offers. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from ephemeral_endpoints.api import APPROVED_VERSION_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.model_promotion import Outcome
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage, PromotionMode, PromotionRecord
from ephemeral_endpoints.api.v1alpha1.packages import Approval
from ephemeral_endpoints.features.promotion.policy import Offer, Promotion, Situation
from ephemeral_endpoints.features.promotion.versions import Version

_DIGITS = 9
"""No version has more, and Python refuses to read numbers of thousands."""

Registry = Mapping[Version, Approval]


def approved_by_hand(stage: ModelStage) -> Version | None:
    """The version that a person has approved on the stage; a text that names none counts for nothing."""
    text = stage.metadata.annotations.get(APPROVED_VERSION_ANNOTATION, "")
    group, _, number = text.rpartition("/")
    is_number = number.isascii() and number.isdecimal() and len(number) <= _DIGITS
    return Version(group, int(number)) if group and is_number else None


def offer_of_group(stage: ModelStage, registry: Registry | None) -> Offer:
    """What a group offers: its packages, by their approval in the registry or by hand."""
    by_hand = approved_by_hand(stage)
    known = {version: each for version, each in (registry or {}).items() if version.group == stage.spec.source.group}
    usable = {version for version, each in known.items() if each is not Approval.REJECTED}
    approved = {version for version in usable if known[version] is Approval.APPROVED or version == by_hand}
    # By itself a stage takes approved packages only, so that others are no candidates of it.
    offered = approved if stage.spec.promotion is PromotionMode.AUTO else usable
    return Offer(
        registry,
        frozenset(approved),
        newest=max(offered, default=None, key=lambda each: each.number),
        by_hand=by_hand,
    )


def offer_of_stage(stage: ModelStage, source: ModelStage | None, registry: Registry | None, now: datetime) -> Offer:
    """What an earlier stage offers: the versions that it served for long enough, and did not take back."""
    by_hand, earlier = approved_by_hand(stage), stage.spec.source.from_
    known = registry or {}
    wanted = (earlier.verified_for if earlier else None) or timedelta(0)
    served = dict(_served(source, now)) if source else {}
    usable = {version: long for version, long in served.items() if known.get(version) is not Approval.REJECTED}
    verified = {version for version, long in usable.items() if long >= wanted}
    current = Version.parse(source.status.current.version) if source and source.status.current else None
    soaking = {current} & (usable.keys() - verified) if current else set()
    approved = verified if stage.spec.promotion is PromotionMode.AUTO else verified & {by_hand}
    return Offer(
        registry,
        frozenset(approved),
        newest=max(verified | soaking, default=None, key=lambda each: each.number),
        by_hand=by_hand,
        next_at=min((now + wanted - usable[version] for version in soaking), default=None),
    )


def past(records: Iterable[PromotionRecord]) -> tuple[Promotion, ...]:
    """The promotions that a status remembers, as far as they were begun."""
    return tuple(
        Promotion(
            each.promotion,
            Version.parse(each.version),
            each.kind,
            each.started_at,
            Version.parse(each.replaced) if each.replaced else None,
            each.outcome,
            each.finished_at,
            each.message,
            each.number,
        )
        for each in records
        if each.started_at
    )


def _served(source: ModelStage, now: datetime) -> Iterator[tuple[Version, timedelta]]:
    """For how long a stage served each version that it did not take back, the longest time in one piece last."""
    situation = Situation(Offer(None), past(source.status.history))
    good = [each for each in situation.begun if each.outcome is Outcome.SUCCEEDED]
    begins = [(each.version, each.finished_at or now) for each in good]
    ends = [*(each.started_at for each in good[1:]), now]
    times = [(version, end - begin) for (version, begin), end in zip(begins, ends, strict=False)]
    kept = ((version, long) for version, long in times if version not in situation.failed)
    yield from sorted(kept, key=lambda each: each[1])
