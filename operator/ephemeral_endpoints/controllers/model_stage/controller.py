"""Reconciles ModelStages: what runs, what should serve, and what is told of both."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from ephemeral_endpoints.api import (
    API_VERSION,
    APPROVED_BY_ANNOTATION,
    MANAGED_BY_LABEL,
    MANAGER,
    RECONCILE_AT_ANNOTATION,
)
from ephemeral_endpoints.api.kinds import PROMOTION
from ephemeral_endpoints.api.v1alpha1.base import ApiModel, Condition
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.model_promotion import (
    ModelPromotion,
    ModelPromotionStatus,
    Outcome,
    PromotionKind,
)
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage, ModelStageStatus
from ephemeral_endpoints.api.v1alpha1.packages import Approval
from ephemeral_endpoints.controllers.model_stage.ready import ready_of
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionType, ConditionUpdate, kstatus
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.status import conditions, event_of, merge_patch, transitions
from ephemeral_endpoints.features.notifications.notifier import Notifier
from ephemeral_endpoints.features.promotion import reasons, report
from ephemeral_endpoints.features.promotion.endpoint import desired_spec, manifest, observed, version_of, written
from ephemeral_endpoints.features.promotion.freeze import frozen_until, is_known
from ephemeral_endpoints.features.promotion.news import news_of, notification_of
from ephemeral_endpoints.features.promotion.policy import (
    Action,
    Decision,
    Offer,
    Promotion,
    Request,
    Situation,
    Step,
    awaited,
    decide,
)
from ephemeral_endpoints.features.promotion.publisher import StagePublisher
from ephemeral_endpoints.features.promotion.registry import PackageGroups
from ephemeral_endpoints.features.promotion.source import approved_by_hand, offer_of_group, offer_of_stage, past
from ephemeral_endpoints.features.promotion.versions import Version
from ephemeral_endpoints.kube.cache import ObjectKey, Store, endpoint_key, stage_key
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.errors import Conflict, Gone
from ephemeral_endpoints.kube.rest import Raw

logger = logging.getLogger(__name__)

CONFLICT_SECONDS: Final = 0.5
_AWAITING: Final = frozenset({reasons.AWAITING_APPROVAL, reasons.NOTHING_TO_PROMOTE})
_RESTING: Final = 5
_MOST_STEPS: Final = 20
"""Of one reconciliation; each is a write, and a stage that has more goes on in the next one."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a reconciliation has read: the stage with its class, and the offer of its source."""

    stage: ModelStage
    endpoint_class: EphemeralEndpointClass
    offer: Offer


class StageController:
    """Reconciles ModelStages, and writes the status of their ModelPromotions. ``now`` is the time of day in UTC.

    Every ``waiting_seconds`` the registry is read while an approval is waited for, and a fifth as often otherwise.
    Promotions of a stage are begun and ended here only, one reconciliation after the other, so that at most one runs.
    """

    def __init__(  # noqa: PLR0913 - both edges, and what it has reconciled
        self,
        kube: Kube,
        store: Store,
        registry: PackageGroups,
        notifier: Notifier,
        publisher: StagePublisher,
        *,
        enqueue: Callable[[ObjectKey], None],
        now: Callable[[], datetime],
        waiting_seconds: float,
    ) -> None:
        self._kube = kube
        self._store = store
        self._registry = registry
        self._notifier = notifier
        self._publisher = publisher
        self._enqueue = enqueue
        self._now = now
        self._waiting_seconds = waiting_seconds
        self._requested: dict[ObjectKey, str] = {}

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Reconcile the stage; returns in how many seconds it is due again, None if only a change can make it so."""
        stage = self._store.get(ModelStage, key)
        if stage is None or stage.metadata.deletion_timestamp is not None:
            self._requested.pop(key, None)
            self._publisher.gone(key)
            return None
        try:
            return await self._reconcile(key, stage)
        except Conflict:
            return CONFLICT_SECONDS
        except Gone:
            return None

    async def _reconcile(self, key: ObjectKey, stage: ModelStage) -> float | None:
        if refusal := self._refusal(key, stage):
            await self._report_refused(key, stage, refusal)
            return None
        endpoint_class = self._store.named_class(stage.spec.class_name)
        if endpoint_class is None:
            return None
        known = await self._read(key, stage, endpoint_class)
        for _ in range(_MOST_STEPS):
            situation = self._situation(key, known)
            decision = decide(situation, self._now())
            if decision.action is None:
                break
            await self._act(key, known, situation, decision.action)
        await self._serve(key, known, decision.serve)
        situation = self._situation(key, known)
        await self._report_promotions(key, known, situation, decision)
        await self._report(key, known, situation, decision)
        await self._prune(key, stage)
        if decision.action is not None:
            return 0.0
        again = self._waiting_seconds * (1 if decision.state.reason in _AWAITING else _RESTING)
        due = (decision.due_at - self._now()).total_seconds() if decision.due_at else again
        return max(0.0, min(due, again))

    def _refusal(self, key: ObjectKey, stage: ModelStage) -> Cause | None:
        """Why nothing can be done about the stage before its spec or its class changes."""
        name = stage.spec.class_name
        endpoint_class = self._store.named_class(name)
        if endpoint_class is None:
            return reasons.no_class(name)
        if not endpoint_class.spec.stages.allowed:
            return reasons.not_allowed(name)
        if stage.spec.freeze and not is_known(stage.spec.freeze):
            return reasons.no_time_zone(stage.spec.freeze.time_zone)
        if self._endpoint(key) and not self._owned_endpoint(key):
            return reasons.name_taken(key.name)
        return None

    def _endpoint(self, key: ObjectKey) -> EphemeralEndpoint | None:
        return self._store.endpoint(endpoint_key(key.namespace or "", key.name))

    def _owned_endpoint(self, key: ObjectKey) -> EphemeralEndpoint | None:
        """The endpoint of the stage; None if there is none, or it is another one's."""
        endpoint = self._endpoint(key)
        if endpoint is None:
            return None
        raw = self._store.raw(endpoint_key(key.namespace or "", key.name))
        owners = (each["uid"] for each in raw["metadata"].get("ownerReferences", []) if each.get("controller"))
        return endpoint if self._store.uids().get(key) in owners else None

    async def _read(self, key: ObjectKey, stage: ModelStage, endpoint_class: EphemeralEndpointClass) -> _Known:
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
            return _Known(stage, endpoint_class, replace(offer_of_group(stage, registry), error=error))
        if source is None:
            error = reasons.no_source(earlier.stage)
        return _Known(stage, endpoint_class, replace(offer_of_stage(stage, source, registry, self._now()), error=error))

    def _max_age(self, key: ObjectKey, stage: ModelStage) -> float:
        """How old a list of the registry may be; a request for a fresh one counts once."""
        requested = stage.metadata.annotations.get(RECONCILE_AT_ANNOTATION, "")
        is_fresh = self._requested.setdefault(key, requested) != requested
        self._requested[key] = requested
        return 0.0 if is_fresh else self._waiting_seconds * (1 if _awaits(stage) else _RESTING)

    def _situation(self, key: ObjectKey, known: _Known) -> Situation:
        stage = known.stage
        spec, promotions = stage.spec, self._promotions(key)
        open_ = {name: each for name, each in promotions.items() if each.status.outcome is None}
        begun = [each for each in open_.values() if each.status.started_at]
        running = min(begun, key=lambda each: each.status.number, default=None)
        return Situation(
            known.offer,
            past(report.history(self._status(key).history, promotions.values())),
            running=_running(running) if running else None,
            requests=tuple(_request(each) for each in open_.values() if each.status.started_at is None),
            endpoint=observed(self._owned_endpoint(key)),
            auto_rollback=spec.auto_rollback,
            timeout=spec.timeout,
            suspended=spec.suspend,
            frozen_until=frozen_until(spec.freeze, self._now()),
        )

    def _status(self, key: ObjectKey) -> ModelStageStatus:
        stage = self._store.get(ModelStage, key)
        return stage.status if stage else ModelStageStatus()

    def _promotions(self, key: ObjectKey) -> dict[str, ModelPromotion]:
        """The promotions of the stage by their names, but those that are being deleted."""
        found = self._store.all(ModelPromotion).items()
        return {
            each.name: promotion
            for each, promotion in found
            if each.namespace == key.namespace
            and promotion.spec.stage == key.name
            and promotion.metadata.deletion_timestamp is None
        }

    async def _act(self, key: ObjectKey, known: _Known, situation: Situation, action: Action) -> None:
        logger.debug("%s: %s %s %s", key, action.step.name, action.name or action.version, action.message)
        if action.step is Step.MAKE and action.version:
            self._note(await self._kube.create(_made(known.stage, situation, action, action.version)))
            return
        promotion_key = ObjectKey(PROMOTION.name, key.namespace, action.name)
        promotion = self._promotions(key)[action.name]
        if action.step is Step.BEGIN and action.version:
            await self._begin(promotion_key, promotion, known, situation, action.version)
        elif action.outcome:
            await self._end(key, promotion_key, promotion, situation=situation, action=action, outcome=action.outcome)

    async def _begin(
        self, key: ObjectKey, promotion: ModelPromotion, known: _Known, situation: Situation, version: Version
    ) -> None:
        is_bypass = promotion.spec.bypass_approval and version not in situation.offer.approved
        if is_bypass:
            told = reasons.bypassed(promotion.spec.requested_by, version, promotion.spec.stage)
            for each in (key, stage_key(key.namespace, promotion.spec.stage)):
                await self._kube.event(self._store.raw(each), type_="Warning", reason=told.reason, message=told.message)
        cause = Cause(reasons.PROMOTING, f"rolling out {version}")
        updates = report.of_running(replace(situation.endpoint, is_rolled_out=False), cause, _given(promotion, known))
        fields = {
            "number": 1 + max((each.number for each in situation.begun), default=0),
            "version": str(version),
            "replaced": str(situation.intended) if situation.intended else None,
            "approved_by": _approver(promotion, known.stage, version),
            "started_at": self._now(),
        }
        await self._write_promotion(key, promotion, updates, fields)

    async def _end(  # noqa: PLR0913 - two objects, and how one of them ends
        self,
        stage: ObjectKey,
        key: ObjectKey,
        promotion: ModelPromotion,
        *,
        situation: Situation,
        action: Action,
        outcome: Outcome,
    ) -> None:
        running = situation.running
        is_about = running is not None and situation.endpoint.version == running.version
        endpoint = situation.endpoint if is_about else replace(situation.endpoint, is_rolled_out=False)
        version = (
            promotion.status.version or promotion.spec.version or (str(action.version) if action.version else None)
        )
        if promotion.status.started_at:
            is_good = outcome is Outcome.SUCCEEDED
            await self._kube.event(
                self._store.raw(stage),
                type_="Normal" if is_good else "Warning",
                reason=report.REASON_OF[outcome],
                message=f"{promotion.spec.kind} {key.name} of {version}: {action.message}",
            )
        fields = {"outcome": outcome, "finished_at": self._now(), "version": version}
        updates = report.of_ended(outcome, endpoint, action.message)
        await self._write_promotion(key, promotion, updates, fields)

    async def _serve(self, key: ObjectKey, known: _Known, version: Version | None) -> None:
        """Have the endpoint name the version, and be as the template says."""
        if version is None:
            return
        endpoint = self._owned_endpoint(key)
        if endpoint is not None and version_of(endpoint) == version:
            # What was read of a version when it was rolled out stays: without the registry nothing is rolled out anew.
            revision: str | None = endpoint.spec.source.revision
        else:
            revision = await self._revision(known, version)
        spec = desired_spec(known.stage, version, revision)
        if endpoint is None:
            self._note(await self._kube.create(manifest(known.stage, spec)))
        elif endpoint.metadata.deletion_timestamp is None:
            patch = merge_patch(written(endpoint.spec), written(spec))
            if patch:
                raw = self._store.raw(endpoint_key(key.namespace or "", key.name))
                self._note(await self._kube.change_spec(raw, patch))

    def _note(self, raw: Raw) -> None:
        """Have what was just written reconciled: the watch tells nothing new of an object that is known already."""
        self._store.put(raw)
        self._enqueue(ObjectKey.of(raw))

    async def _revision(self, known: _Known, version: Version) -> str | None:
        """The commit of a version; without the registry a rollback must be possible all the same."""
        try:
            return (await self._registry.lineage(known.endpoint_class, version)).revision or None
        except ReconcileError:
            return None

    async def _report_promotions(self, key: ObjectKey, known: _Known, situation: Situation, decision: Decision) -> None:
        """Write what the promotions that have not ended wait for."""
        promotions = self._promotions(key)
        for name, cause in decision.waits.items():
            await self._write_promotion(
                ObjectKey(PROMOTION.name, key.namespace, name), promotions[name], report.of_waiting(cause), {}
            )
        running = situation.running
        if running and decision.action is None:
            is_about = situation.endpoint.version == running.version
            endpoint = situation.endpoint if is_about else replace(situation.endpoint, is_rolled_out=False)
            promotion = promotions[running.name]
            updates = report.of_running(endpoint, decision.state, _given(promotion, known))
            await self._write_promotion(ObjectKey(PROMOTION.name, key.namespace, running.name), promotion, updates, {})

    async def _write_promotion(
        self,
        key: ObjectKey,
        promotion: ModelPromotion,
        updates: tuple[ConditionUpdate, ...],
        fields: Mapping[str, Any],
    ) -> None:
        before, generation = promotion.status, promotion.metadata.generation
        made = conditions(updates, before.conditions, generation=generation, now=self._now())
        kept = tuple(each for each in before.conditions if each.type not in {one.type for one in made})
        after = before.model_copy(update={"observed_generation": generation, "conditions": (*kept, *made), **fields})
        await self._write(key, ModelPromotionStatus.model_validate(after.to_wire()), None)

    async def _report(self, key: ObjectKey, known: _Known, situation: Situation, decision: Decision) -> None:
        endpoint = self._owned_endpoint(key)
        ready = ready_of(endpoint)
        is_settled = situation.running is None and (endpoint is None or ready.status is ConditionStatus.TRUE)
        promoted = report.promoted(decision.state)
        updates: tuple[ConditionUpdate, ...] = (ready, *kstatus(ready, done=is_settled), promoted)
        candidate, running = awaited(situation, decision), situation.running
        pinned = None if running else situation.pinned_to
        after = self._stage_status(
            known.stage,
            updates,
            current=report.current(situation),
            candidate=str(candidate) if candidate else None,
            pinned_to=str(pinned) if pinned else None,
            promotion=running.name if running else None,
            url=endpoint.status.url if endpoint else None,
            history=report.history(self._status(key).history, self._promotions(key).values()),
        )
        version = running.version if running else None
        published = await self._publisher.offer(key, known.stage, known.endpoint_class, after, version)
        updates = (*updates, *([published] if published else []))
        after = after.model_copy(
            update={
                "conditions": self._conditions(known.stage, updates),
                "deployments": self._publisher.shown(key, known.stage),
            }
        )
        before = self._status(key)
        if await self._write(key, after, updates):
            self._tell(key, known, before)
            for each in self._store.stages_after(key):
                self._enqueue(each)

    def _tell(self, key: ObjectKey, known: _Known, before: ModelStageStatus) -> None:
        """Have people notified of what is new in the status that was written."""
        stage = known.stage.model_copy(update={"status": self._status(key)})
        for news in news_of(before, stage.status):
            told, once = notification_of(news, stage), (stage.metadata.uid, news.about)
            self._notifier.tell(key, known.endpoint_class, news.event, told, once=once)

    async def _report_refused(self, key: ObjectKey, stage: ModelStage, cause: Cause) -> None:
        """Report what keeps the operator from doing anything; what is known of the stage stays."""
        ready = ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, cause)
        updates = (ready, *kstatus(ready, done=False, permanent=cause))
        kept = stage.status.model_copy(update={"conditions": ()}).to_wire()
        fields = ModelStageStatus.model_validate(kept).model_dump(exclude={"conditions", "observed_generation"})
        await self._write(key, self._stage_status(stage, updates, **fields), updates)

    def _stage_status(self, stage: ModelStage, updates: Iterable[ConditionUpdate], **fields: Any) -> ModelStageStatus:  # noqa: ANN401 - fields of the status
        made = self._conditions(stage, updates)
        return ModelStageStatus(observed_generation=stage.metadata.generation, conditions=made, **fields)

    def _conditions(self, stage: ModelStage, updates: Iterable[ConditionUpdate]) -> tuple[Condition, ...]:
        return conditions(updates, stage.status.conditions, generation=stage.metadata.generation, now=self._now())

    async def _write(self, key: ObjectKey, after: ApiModel, updates: tuple[ConditionUpdate, ...] | None) -> bool:
        """Write a status if it has changed; before it an Event of the transitions among the updates, if there are any.

        As for endpoints, the Event comes first: it exists once however often it is emitted upon the same status.
        """
        raw: Raw = self._store.raw(key)
        patch = merge_patch(raw.get("status", {}), after.to_wire())
        if patch is None:
            return False
        stage = self._store.get(ModelStage, key)
        if updates and stage and (event := event_of(transitions(updates, stage.status.conditions))):
            await self._kube.event(raw, type_=event.type_, reason=event.reason, message=event.message)
        self._store.put(await self._kube.write_status(raw, patch))
        return True

    async def _prune(self, key: ObjectKey, stage: ModelStage) -> None:
        """Delete the promotions that ended longest ago."""
        promotions = self._promotions(key)
        ended = [name for name, each in promotions.items() if each.status.outcome]
        ended.sort(key=lambda name: (promotions[name].status.finished_at, promotions[name].status.number), reverse=True)
        for name in ended[stage.spec.history_limit :]:
            promotion = ObjectKey(PROMOTION.name, key.namespace, name)
            raw = self._store.raw(promotion)
            await self._kube.delete(raw)
            self._store.remove(promotion, raw["metadata"]["uid"])


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


def _running(promotion: ModelPromotion) -> Promotion | None:
    status = promotion.status
    if not status.version or not status.started_at:
        return None
    replaced = Version.parse(status.replaced) if status.replaced else None
    version = Version.parse(status.version)
    name, kind = promotion.metadata.name, promotion.spec.kind
    return Promotion(name, version, kind, status.started_at, replaced, number=status.number)


def _request(promotion: ModelPromotion) -> Request:
    spec, metadata = promotion.spec, promotion.metadata
    if metadata.creation_timestamp is None:
        raise ValueError("the API server sets creationTimestamp on every object")
    return Request(
        metadata.name,
        Version.parse(spec.version) if spec.version else None,
        spec.kind,
        metadata.creation_timestamp,
        bypasses=spec.bypass_approval,
        is_own=_is_own(promotion),
    )


def _is_own(promotion: ModelPromotion) -> bool:
    """Whether the operator made it. One that claims so by its label is treated less kindly, not better."""
    return promotion.metadata.labels.get(MANAGED_BY_LABEL) == MANAGER


def _given(promotion: ModelPromotion, known: _Known) -> Cause:
    """How a promotion came to begin."""
    spec = promotion.spec
    return reasons.given(
        is_rollback=spec.kind is PromotionKind.ROLLBACK,
        is_bypassed=spec.bypass_approval,
        is_from_stage=known.stage.spec.source.from_ is not None,
    )


def _approver(promotion: ModelPromotion, stage: ModelStage, version: Version) -> str | None:
    """Who approved the version, as far as Kubernetes knows."""
    is_by_hand = approved_by_hand(stage) == version and promotion.spec.kind is PromotionKind.PROMOTION
    by = stage.metadata.annotations.get(APPROVED_BY_ANNOTATION) if is_by_hand else None
    return by or promotion.spec.requested_by


def _made(stage: ModelStage, situation: Situation, action: Action, version: Version) -> Raw:
    """A promotion that the operator makes. Its name is that of the first attempt, whose answer may have been lost."""
    metadata, last = stage.metadata, situation.last
    identity = f"{metadata.uid}/{action.kind}/{version}/{last.name if last else ''}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    return {
        "apiVersion": API_VERSION,
        "kind": PROMOTION.name,
        "metadata": {
            "name": f"{metadata.name}-{version.number}-{digest}",
            "namespace": metadata.namespace,
            "labels": {MANAGED_BY_LABEL: MANAGER},
            "ownerReferences": [
                {
                    "apiVersion": stage.api_version,
                    "kind": stage.kind,
                    "name": metadata.name,
                    "uid": metadata.uid,
                    "controller": True,
                }
            ],
        },
        "spec": {"stage": metadata.name, "version": str(version), "kind": str(action.kind), "message": action.message},
    }
