"""Reads and writes the ModelPromotions of stages."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ephemeral_endpoints.api import API_VERSION, APPROVED_BY_ANNOTATION, MANAGED_BY_LABEL, MANAGER
from ephemeral_endpoints.api.kinds import PROMOTION
from ephemeral_endpoints.api.v1alpha1.model_promotion import (
    ModelPromotion,
    ModelPromotionStatus,
    Outcome,
    PromotionKind,
)
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage
from ephemeral_endpoints.controllers.model_stage.offers import Known
from ephemeral_endpoints.controllers.model_stage.writer import StatusWriter
from ephemeral_endpoints.engine.conditions import Cause, ConditionUpdate
from ephemeral_endpoints.features.promotion import causes, reasons, report
from ephemeral_endpoints.features.promotion.policy import Action, Decision, Endpoint, Promotion, Request, Situation
from ephemeral_endpoints.features.promotion.source import approved_by_hand
from ephemeral_endpoints.features.promotion.versions import Version
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.rest import Raw


class Promotions:
    """The promotions of stages. ``now`` is the time of day in UTC."""

    def __init__(self, kube: Kube, store: Store, writer: StatusWriter, now: Callable[[], datetime]) -> None:
        self._kube = kube
        self._store = store
        self._writer = writer
        self._now = now

    def of(self, key: ObjectKey) -> dict[str, ModelPromotion]:
        """The promotions of the stage by their names, but those that are being deleted."""
        found = self._store.all(ModelPromotion).items()
        return {
            each.name: promotion
            for each, promotion in found
            if each.namespace == key.namespace
            and promotion.spec.stage == key.name
            and promotion.metadata.deletion_timestamp is None
        }

    async def begin(self, stage: ObjectKey, name: str, known: Known, situation: Situation, version: Version) -> None:
        """Begin a promotion. An Event says if it bypasses the approval that it would need."""
        key, promotion = _key(stage, name), self.of(stage)[name]
        is_bypass = promotion.spec.bypass_approval and version not in situation.offer.approved
        if is_bypass:
            told = causes.bypassed(promotion.spec.requested_by, version, promotion.spec.stage)
            for each in (key, stage):
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

    async def end(self, stage: ObjectKey, situation: Situation, action: Action, outcome: Outcome) -> None:
        """End a promotion. An Event of the stage says so if it had begun."""
        key, promotion = _key(stage, action.name), self.of(stage)[action.name]
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
        updates = report.of_ended(outcome, _endpoint_of(situation), action.message)
        await self._write_promotion(key, promotion, updates, fields)

    async def report_open(self, key: ObjectKey, known: Known, situation: Situation, decision: Decision) -> None:
        """Write what the promotions that have not ended wait for."""
        promotions = self.of(key)
        for name, cause in decision.waits.items():
            await self._write_promotion(_key(key, name), promotions[name], report.of_waiting(cause), {})
        running = situation.running
        if running and decision.action is None:
            promotion = promotions[running.name]
            updates = report.of_running(_endpoint_of(situation), decision.state, _given(promotion, known))
            await self._write_promotion(_key(key, running.name), promotion, updates, {})

    async def prune(self, key: ObjectKey, stage: ModelStage) -> None:
        """Delete the promotions that ended longest ago."""
        promotions = self.of(key)
        ended = [name for name, each in promotions.items() if each.status.outcome]
        ended.sort(key=lambda name: (promotions[name].status.finished_at, promotions[name].status.number), reverse=True)
        for name in ended[stage.spec.history_limit :]:
            promotion = _key(key, name)
            raw = self._store.raw(promotion)
            await self._kube.delete(raw)
            self._store.remove(promotion, raw["metadata"]["uid"])

    async def _write_promotion(
        self,
        key: ObjectKey,
        promotion: ModelPromotion,
        updates: tuple[ConditionUpdate, ...],
        fields: Mapping[str, Any],
    ) -> None:
        before, generation = promotion.status, promotion.metadata.generation
        made = self._writer.conditions(updates, before.conditions, generation)
        kept = tuple(each for each in before.conditions if each.type not in {one.type for one in made})
        after = before.model_copy(update={"observed_generation": generation, "conditions": (*kept, *made), **fields})
        await self._writer.write(key, ModelPromotionStatus.model_validate(after.to_wire()))


def _key(stage: ObjectKey, name: str) -> ObjectKey:
    return ObjectKey(PROMOTION.name, stage.namespace, name)


def running_of(promotion: ModelPromotion) -> Promotion | None:
    """A promotion that has begun; None if it does not say with which version."""
    status = promotion.status
    if not status.version or not status.started_at:
        return None
    replaced = Version.parse(status.replaced) if status.replaced else None
    version = Version.parse(status.version)
    name, kind = promotion.metadata.name, promotion.spec.kind
    return Promotion(name, version, kind, status.started_at, replaced, number=status.number)


def request_of(promotion: ModelPromotion) -> Request:
    """A promotion that has not begun. Raises ValueError for an object that no API server gave."""
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


def _endpoint_of(situation: Situation) -> Endpoint:
    """The endpoint as far as it is about the promotion that runs."""
    running = situation.running
    is_about = running is not None and situation.endpoint.version == running.version
    return situation.endpoint if is_about else replace(situation.endpoint, is_rolled_out=False)


def _given(promotion: ModelPromotion, known: Known) -> Cause:
    """How a promotion came to begin."""
    spec = promotion.spec
    return causes.given(
        is_rollback=spec.kind is PromotionKind.ROLLBACK,
        is_bypassed=spec.bypass_approval,
        is_from_stage=known.stage.spec.source.from_ is not None,
    )


def _approver(promotion: ModelPromotion, stage: ModelStage, version: Version) -> str | None:
    """Who approved the version, as far as Kubernetes knows."""
    is_by_hand = approved_by_hand(stage) == version and promotion.spec.kind is PromotionKind.PROMOTION
    by = stage.metadata.annotations.get(APPROVED_BY_ANNOTATION) if is_by_hand else None
    return by or promotion.spec.requested_by


def new_promotion(stage: ModelStage, situation: Situation, action: Action, version: Version) -> Raw:
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
