"""Reconciles ModelPromotions: has their stages take them up, and reports those whose stage does not exist."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.v1alpha1.model_promotion import ModelPromotion
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage
from ephemeral_endpoints.engine.status import conditions, merge_patch
from ephemeral_endpoints.features.promotion import causes, report
from ephemeral_endpoints.kube.cache import ObjectKey, Store, stage_key
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.errors import Conflict, Gone

CONFLICT_SECONDS: Final = 0.5


class PromotionController:
    """Reconciles ModelPromotions. ``enqueue`` has a stage reconciled; ``now`` is the time of day in UTC."""

    def __init__(
        self, kube: Kube, store: Store, *, enqueue: Callable[[ObjectKey], None], now: Callable[[], datetime]
    ) -> None:
        self._kube = kube
        self._store = store
        self._enqueue = enqueue
        self._now = now

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Have the stage reconciled; all of the namespace where a promotion is gone, since it is not known whose."""
        promotion = self._store.get(ModelPromotion, key)
        if promotion is None:
            for each in self._store.all(ModelStage):
                if each.namespace == key.namespace:
                    self._enqueue(each)
            return None
        stage = stage_key(key.namespace, promotion.spec.stage)
        if self._store.get(ModelStage, stage):
            self._enqueue(stage)
            return None
        try:
            await self._report_orphan(key, promotion)
        except Conflict:
            return CONFLICT_SECONDS
        except Gone:
            return None
        return None

    async def _report_orphan(self, key: ObjectKey, promotion: ModelPromotion) -> None:
        """It waits for its stage, which a tool may create after it; one that has ended stays as it is."""
        if promotion.status.outcome is not None or promotion.metadata.deletion_timestamp is not None:
            return
        updates = report.of_waiting(causes.no_stage(promotion.spec.stage))
        before, generation = promotion.status, promotion.metadata.generation
        made = conditions(updates, before.conditions, generation=generation, now=self._now())
        kept = tuple(each for each in before.conditions if each.type not in {one.type for one in made})
        after = before.model_copy(update={"observed_generation": generation, "conditions": (*kept, *made)})
        raw = self._store.raw(key)
        if patch := merge_patch(raw.get("status", {}), after.to_wire()):
            self._store.put(await self._kube.write_status(raw, patch))
