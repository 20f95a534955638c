"""Report: conditions, status and Events, written only when they change."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_status import EphemeralEndpointStatus
from ephemeral_endpoints.api.v1alpha1.reviews import ReviewStatus
from ephemeral_endpoints.controllers.endpoint import status
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.engine.resources import ObservedResources
from ephemeral_endpoints.engine.status import conditions, event_of, merge_patch, transitions
from ephemeral_endpoints.features.capacity.cost import HourlyCost
from ephemeral_endpoints.features.expiry.policy import is_pinned
from ephemeral_endpoints.features.images.policy import image_of
from ephemeral_endpoints.features.listener import Listener
from ephemeral_endpoints.features.routing.policy import PathState
from ephemeral_endpoints.features.routing.stage import URL_CHANGED, url_change
from ephemeral_endpoints.features.routing.streaming import openai_base_url
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
    auth: AuthType | None = None
    serves: bool = False
    hourly_cost: HourlyCost | None = None
    keep_conditions: bool = False
    kept_types: frozenset[str] = frozenset()
    """The types of conditions that stay as they are."""

    told: frozenset[Reason] = frozenset()
    """The reasons of which an Event exists already."""

    fields: Mapping[str, object] = field(default_factory=dict)
    """Further fields, by name; those that are not among them keep their values."""

    review: Mapping[str, object] = field(default_factory=dict)
    """Likewise those of ``review``."""


class Reporter:
    """Writes changes, and tells the listeners.

    ``counted_at`` is the time by which costs are counted, and of transitions: sleep counts from these, so that a clock
    that was off for a while must not stay in them.
    """

    def __init__(
        self,
        kube: Kube,
        store: Store,
        counted_at: Callable[[], datetime],
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._kube = kube
        self._store = store
        self._counted_at = counted_at
        self._listeners = listeners

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
        if event := event_of([each for each in changed if each.reason not in inputs.told]):
            await self._kube.event(raw, type_=event.type_, reason=event.reason, message=event.message)
        if message := url_change(before.url, after.url):
            await self._kube.event(raw, type_="Normal", reason=URL_CHANGED, message=message)
        try:
            self._store.put(await self._kube.write_status(raw, patch))
        except Gone:
            return
        extra = {"namespace": key.namespace, "object_name": key.name, "uid": endpoint.metadata.uid}
        for each in changed:
            logger.info("%s is %s: %s", each.type, each.status, each.reason, extra=extra)
        written = self._store.endpoint(key) or endpoint
        for listener in self._listeners:
            listener.reported(key, written, changed)

    def gone(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> None:
        """Tell the listeners that the finalizer of an object is removed."""
        for listener in self._listeners:
            listener.gone(key, endpoint)

    def _status(self, endpoint: EphemeralEndpoint, inputs: StatusInput) -> EphemeralEndpointStatus:
        before = endpoint.status
        generation, now = endpoint.metadata.generation, self._counted_at()
        made = conditions(inputs.updates, before.conditions, generation=generation, now=now)
        updated = {each.type for each in made}
        made += tuple(
            each
            for each in before.conditions
            if each.type not in updated and (inputs.keep_conditions or each.type in inputs.kept_types)
        )
        subject, kept = inputs.subject, before if inputs.keep_conditions else EphemeralEndpointStatus()
        written = EphemeralEndpointStatus(
            observed_generation=generation,
            conditions=made,
            url=inputs.url or kept.url,
            open_ai_base_url=openai_base_url(subject) if subject else before.open_ai_base_url,
            route=status.route(endpoint, inputs.path, inputs.auth) if inputs.path else kept.route,
            endpoint_name=subject.names.base if subject else before.endpoint_name,
            serving=describe_capacity(subject) if subject else before.serving,
            image=(status.resolved_image(image_of(subject), inputs.digests) if subject else None) or before.image,
            package=before.package if endpoint.spec.model.package else None,
            variants=status.served_variants(variants_of(subject), inputs.digests) if subject else before.variants,
            revision=endpoint.revision if inputs.serves else before.revision,
            latest_revision=status.latest_revision(subject.activity) if subject else before.latest_revision,
            last_used_at=subject.activity.used_at if subject else before.last_used_at,
            expires_at=subject.expires_at if subject else before.expires_at,
            pinned=is_pinned(endpoint) or None,
            cost=status.cost(inputs.hourly_cost, inputs.own, before.cost, now),
            resources=status.inventory(inputs.own) if inputs.own is not None else before.resources,
            checks=before.checks,
            comparison=before.comparison,
            feedback=before.feedback,
            postprocess=before.postprocess,
            training=before.training,
            review=_reviewed(before.review, inputs.review),
        )
        return written.model_copy(update=dict(inputs.fields)) if inputs.fields else written


def _reviewed(before: ReviewStatus | None, fields: Mapping[str, object]) -> ReviewStatus | None:
    return (before or ReviewStatus()).model_copy(update=dict(fields)) if fields else before
