"""Writes the statuses of stages and promotions, and the Events of what has changed in them."""

from collections.abc import Callable, Iterable
from datetime import datetime

from ephemeral_endpoints.api.v1alpha1.base import ApiModel, Condition
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.engine.status import conditions, event_of, merge_patch, transitions
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.rest import Raw


class StatusWriter:
    """Writes what has changed. ``now`` is the time of day in UTC."""

    def __init__(self, kube: Kube, store: Store, now: Callable[[], datetime]) -> None:
        self._kube = kube
        self._store = store
        self._now = now

    def conditions(
        self, updates: Iterable[ConditionUpdate], before: Iterable[Condition], generation: int
    ) -> tuple[Condition, ...]:
        """The conditions after updates."""
        return conditions(updates, before, generation=generation, now=self._now())

    async def write(self, key: ObjectKey, after: ApiModel, updates: tuple[ConditionUpdate, ...] = ()) -> bool:
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
