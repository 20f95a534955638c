"""Reads what the sources of stages offer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage
from ephemeral_endpoints.api.v1alpha1.packages import Approval
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.features.promotion import causes, reasons
from ephemeral_endpoints.features.promotion.policy import Decision, Offer
from ephemeral_endpoints.features.promotion.registry import PackageGroups
from ephemeral_endpoints.features.promotion.source import approved_by_hand, offer_of_group, offer_of_stage
from ephemeral_endpoints.features.promotion.versions import Version
from ephemeral_endpoints.kube.cache import ObjectKey, Store, stage_key

_AWAITING: Final = frozenset({reasons.AWAITING_APPROVAL, reasons.NOTHING_TO_PROMOTE})
_RESTING: Final = 5


@dataclass(frozen=True, slots=True)
class Known:
    """What a reconciliation has read: the stage with its class, and the offer of its source."""

    stage: ModelStage
    endpoint_class: EphemeralEndpointClass
    offer: Offer


class Offers:
    """The offers of sources, which are in the registry.

    Every ``waiting_seconds`` the registry is read while an approval is waited for, and a fifth as often otherwise.
    ``now`` is the time of day in UTC.
    """

    def __init__(
        self, store: Store, registry: PackageGroups, now: Callable[[], datetime], waiting_seconds: float
    ) -> None:
        self._store = store
        self._registry = registry
        self._now = now
        self._waiting_seconds = waiting_seconds
        self._requested: dict[ObjectKey, str] = {}

    def forget(self, key: ObjectKey) -> None:
        """The stage is gone."""
        self._requested.pop(key, None)

    async def read(self, key: ObjectKey, stage: ModelStage, endpoint_class: EphemeralEndpointClass) -> Known:
        """The stage with what its registry and its source have."""
        earlier = stage.spec.source.from_
        source = self._store.get(ModelStage, stage_key(key.namespace, earlier.stage)) if earlier else None
        registry: Mapping[Version, Approval] | None = None
        error: Cause | None = None
        max_age = self._max_age(key, stage)
        try:
            groups = sorted(_groups(stage, source))
            lists = [await self._registry.versions(endpoint_class, group, max_age=max_age) for group in groups]
            registry = {version: each for versions in lists for version, each in versions.items()}
        except ReconcileError as problem:
            error = Cause(reasons.REGISTRY_UNAVAILABLE, problem.described)
        if earlier is None:
            return Known(stage, endpoint_class, replace(offer_of_group(stage, registry), error=error))
        if source is None:
            error = causes.no_source(earlier.stage)
        return Known(stage, endpoint_class, replace(offer_of_stage(stage, source, registry, self._now()), error=error))

    def _max_age(self, key: ObjectKey, stage: ModelStage) -> float:
        """How old a list of the registry may be; a request for a fresh one counts once."""
        requested = stage.metadata.annotations.get(RECONCILE_AT_ANNOTATION, "")
        is_fresh = self._requested.setdefault(key, requested) != requested
        self._requested[key] = requested
        return 0.0 if is_fresh else self._waiting_seconds * (1 if _awaits(stage) else _RESTING)

    async def revision(self, known: Known, version: Version) -> str | None:
        """The commit of a version; without the registry a rollback must be possible all the same."""
        try:
            return (await self._registry.lineage(known.endpoint_class, version)).revision or None
        except ReconcileError:
            return None

    def due_in(self, decision: Decision) -> float:
        """In how many seconds a stage is looked at again."""
        again = self._waiting_seconds * (1 if decision.state.reason in _AWAITING else _RESTING)
        due = (decision.due_at - self._now()).total_seconds() if decision.due_at else again
        return max(0.0, min(due, again))


def _awaits(stage: ModelStage) -> bool:
    names = {each.name for each in _AWAITING}
    return any(each.type == reasons.PROMOTED_CONDITION and each.reason in names for each in stage.status.conditions)


def _groups(stage: ModelStage, source: ModelStage | None) -> set[str]:
    """The groups of all versions that a stage may be about."""
    groups = {stage.spec.source.group} if stage.spec.source.group else set()
    for status in (stage.status, *([source.status] if source else [])):
        groups |= {Version.parse(each.version).group for each in status.history}
    by_hand = approved_by_hand(stage)
    return groups | ({by_hand.group} if by_hand and not groups else set())
