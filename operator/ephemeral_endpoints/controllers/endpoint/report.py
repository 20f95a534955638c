"""Report: conditions, status and Events, written only when they change."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint, EphemeralEndpointStatus
from ephemeral_endpoints.controllers.endpoint import status
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.engine.resources import ObservedResources
from ephemeral_endpoints.engine.status import conditions, event_of, merge_patch, transitions
from ephemeral_endpoints.features.capacity.cost import HourlyCost
from ephemeral_endpoints.features.images.policy import image_of
from ephemeral_endpoints.features.routing.policy import PathState
from ephemeral_endpoints.features.serving.desired import describe_capacity, variants_of
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.errors import Gone

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StatusInput:
    """The fields of the status beside the conditions; None keeps the previous value if it is not known."""

    updates: tuple[ConditionUpdate, ...]
    own: ObservedResources | None = None
    subject: Subject | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    path: PathState | None = None
    serves: bool = False
    hourly_cost: HourlyCost | None = None
    keep_conditions: bool = False


class Reporter:
    """Writes changes. ``now`` returns the time of day in UTC."""

    def __init__(self, kube: Kube, store: Store, now: Callable[[], datetime]) -> None:
        self._kube = kube
        self._store = store
        self._now = now

    async def update_status(self, key: ObjectKey, endpoint: EphemeralEndpoint, inputs: StatusInput) -> None:
        """Report all transitions in one Event and write the status; does nothing for an object that is gone.

        The Event comes first: if the status is not written then, the same Event is emitted again, and exists once.
        """
        before = endpoint.status
        after = self._status(endpoint, inputs)
        if after == self._store.all(EphemeralEndpoint)[key].status:
            return
        raw = self._store.raw(key)
        patch = merge_patch(raw.get("status", {}), after.to_wire())
        if patch is None:
            return
        changed = transitions(inputs.updates, before.conditions)
        if event := event_of(changed):
            await self._kube.event(raw, type_=event.type_, reason=event.reason, message=event.message)
        try:
            self._store.put(await self._kube.write_status(raw, patch))
        except Gone:
            return
        extra = {"namespace": key.namespace, "object_name": key.name, "uid": endpoint.metadata.uid}
        for each in changed:
            logger.info("%s is %s: %s", each.type, each.status, each.reason, extra=extra)

    def _status(self, endpoint: EphemeralEndpoint, inputs: StatusInput) -> EphemeralEndpointStatus:
        before, spec = endpoint.status, endpoint.spec
        generation = endpoint.metadata.generation
        made = conditions(inputs.updates, before.conditions, generation=generation, now=self._now())
        if inputs.keep_conditions:
            updated = {each.type for each in made}
            made += tuple(each for each in before.conditions if each.type not in updated)
        subject, kept = inputs.subject, before if inputs.keep_conditions else EphemeralEndpointStatus()
        return EphemeralEndpointStatus(
            observed_generation=generation,
            conditions=made,
            url=inputs.url or kept.url,
            route=status.route(endpoint, inputs.path) if inputs.path else kept.route,
            endpoint_name=subject.names.base if subject else before.endpoint_name,
            serving=describe_capacity(subject) if subject else before.serving,
            image=(status.resolved_image(image_of(subject), inputs.digests) if subject else None) or before.image,
            variants=status.served_variants(variants_of(subject), inputs.digests) if subject else before.variants,
            revision=spec.source.revision if inputs.serves else before.revision,
            expires_at=subject.lifetime.expires_at if subject else before.expires_at,
            cost=status.cost(inputs.hourly_cost, inputs.own, before.cost),
            resources=status.inventory(inputs.own) if inputs.own is not None else before.resources,
        )
