"""Reconciles ModelStages: what runs, what should serve, and what is told of both."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage, ModelStageStatus
from ephemeral_endpoints.controllers.model_stage.offers import Known, Offers
from ephemeral_endpoints.controllers.model_stage.promotions import Promotions, new_promotion, request_of, running_of
from ephemeral_endpoints.controllers.model_stage.ready import ready_of
from ephemeral_endpoints.controllers.model_stage.writer import StatusWriter
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionType, ConditionUpdate, kstatus
from ephemeral_endpoints.engine.status import merge_patch
from ephemeral_endpoints.features.notifications.notifier import Notifier
from ephemeral_endpoints.features.promotion import causes, report
from ephemeral_endpoints.features.promotion.endpoint import desired_spec, manifest, observed, version_of, written
from ephemeral_endpoints.features.promotion.freeze import frozen_until, is_known
from ephemeral_endpoints.features.promotion.news import news_of, notification_of
from ephemeral_endpoints.features.promotion.policy import Action, Decision, Situation, Step, awaited, decide
from ephemeral_endpoints.features.promotion.publisher import StagePublisher
from ephemeral_endpoints.features.promotion.registry import PackageGroups
from ephemeral_endpoints.features.promotion.source import past
from ephemeral_endpoints.features.promotion.versions import Version
from ephemeral_endpoints.kube.cache import ObjectKey, Store, endpoint_key
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.errors import Conflict, Gone
from ephemeral_endpoints.kube.rest import Raw

logger = logging.getLogger(__name__)

CONFLICT_SECONDS: Final = 0.5
_MOST_STEPS: Final = 20
"""Of one reconciliation; each is a write, and a stage that has more goes on in the next one."""


class StageController:
    """Reconciles ModelStages, and writes the status of their ModelPromotions.

    ``now`` is the time of day in UTC; for ``waiting_seconds`` see ``Offers``. Promotions of a stage are begun and ended
    here only, one reconciliation after the other, so that at most one runs.
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
        self._offers = Offers(store, registry, now, waiting_seconds)
        self._writer = StatusWriter(kube, store, now)
        self._promotions = Promotions(kube, store, self._writer, now)
        self._notifier = notifier
        self._publisher = publisher
        self._enqueue = enqueue
        self._now = now

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Reconcile the stage; returns in how many seconds it is due again, None if only a change can make it so."""
        stage = self._store.get(ModelStage, key)
        if stage is None or stage.metadata.deletion_timestamp is not None:
            self._offers.forget(key)
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
        known = await self._offers.read(key, stage, endpoint_class)
        for _ in range(_MOST_STEPS):
            situation = self._situation(key, known)
            decision = decide(situation, self._now())
            if decision.action is None:
                break
            await self._act(key, known, situation, decision.action)
        await self._serve(key, known, decision.serve)
        situation = self._situation(key, known)
        await self._promotions.report_open(key, known, situation, decision)
        await self._report(key, known, situation, decision)
        await self._promotions.prune(key, stage)
        return 0.0 if decision.action else self._offers.due_in(decision)

    def _refusal(self, key: ObjectKey, stage: ModelStage) -> Cause | None:
        """Why nothing can be done about the stage before its spec or its class changes."""
        name = stage.spec.class_name
        endpoint_class = self._store.named_class(name)
        if endpoint_class is None:
            return causes.no_class(name)
        if not endpoint_class.spec.stages.allowed:
            return causes.not_allowed(name)
        if stage.spec.freeze and not is_known(stage.spec.freeze):
            return causes.no_time_zone(stage.spec.freeze.time_zone)
        if self._endpoint(key) and not self._owned_endpoint(key):
            return causes.name_taken(key.name)
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

    def _situation(self, key: ObjectKey, known: Known) -> Situation:
        stage = known.stage
        spec, promotions = stage.spec, self._promotions.of(key)
        open_ = {name: each for name, each in promotions.items() if each.status.outcome is None}
        begun = [each for each in open_.values() if each.status.started_at]
        running = min(begun, key=lambda each: each.status.number, default=None)
        return Situation(
            known.offer,
            past(report.history(self._status(key).history, promotions.values())),
            running=running_of(running) if running else None,
            requests=tuple(request_of(each) for each in open_.values() if each.status.started_at is None),
            endpoint=observed(self._owned_endpoint(key)),
            auto_rollback=spec.auto_rollback,
            timeout=spec.timeout,
            suspended=spec.suspend,
            frozen_until=frozen_until(spec.freeze, self._now()),
        )

    def _status(self, key: ObjectKey) -> ModelStageStatus:
        stage = self._store.get(ModelStage, key)
        return stage.status if stage else ModelStageStatus()

    async def _act(self, key: ObjectKey, known: Known, situation: Situation, action: Action) -> None:
        logger.debug("%s: %s %s %s", key, action.step.name, action.name or action.version, action.message)
        if action.step is Step.MAKE and action.version:
            self._note(await self._kube.create(new_promotion(known.stage, situation, action, action.version)))
        elif action.step is Step.BEGIN and action.version:
            await self._promotions.begin(key, action.name, known, situation, action.version)
        elif action.outcome:
            await self._promotions.end(key, situation, action, action.outcome)

    async def _serve(self, key: ObjectKey, known: Known, version: Version | None) -> None:
        """Have the endpoint name the version, and be as the template says."""
        if version is None:
            return
        endpoint = self._owned_endpoint(key)
        if endpoint is not None and version_of(endpoint) == version:
            # What was read of a version when it was rolled out stays: without the registry nothing is rolled out anew.
            revision: str | None = endpoint.spec.source.revision
        else:
            revision = await self._offers.revision(known, version)
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

    async def _report(self, key: ObjectKey, known: Known, situation: Situation, decision: Decision) -> None:
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
            history=report.history(self._status(key).history, self._promotions.of(key).values()),
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
        if await self._writer.write(key, after, updates):
            self._tell(key, known, before)
            for each in self._store.stages_after(key):
                self._enqueue(each)

    def _tell(self, key: ObjectKey, known: Known, before: ModelStageStatus) -> None:
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
        await self._writer.write(key, self._stage_status(stage, updates, **fields), updates)

    def _stage_status(self, stage: ModelStage, updates: Iterable[ConditionUpdate], **fields: Any) -> ModelStageStatus:  # noqa: ANN401 - fields of the status
        made = self._conditions(stage, updates)
        return ModelStageStatus(observed_generation=stage.metadata.generation, conditions=made, **fields)

    def _conditions(self, stage: ModelStage, updates: Iterable[ConditionUpdate]) -> tuple[Condition, ...]:
        return self._writer.conditions(updates, stage.status.conditions, stage.metadata.generation)
