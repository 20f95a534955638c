"""Report: conditions, status and Events, written only when they say something new."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.base import Condition
from ephemeral_endpoints.api.endpoint import EphemeralEndpoint, EphemeralEndpointStatus
from ephemeral_endpoints.core import status
from ephemeral_endpoints.core.conditions import Type, Verdict
from ephemeral_endpoints.core.cost import Bill
from ephemeral_endpoints.core.desired import Subject
from ephemeral_endpoints.core.resources import Haves
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.rest import Gone
from ephemeral_endpoints.kube.store import ObjectKey, Store

logger = logging.getLogger(__name__)

_UNTOLD: Final = frozenset({Type.RECONCILING, Type.STALLED})


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the status tells beside the conditions; None where it is not known and what was told before stands."""

    verdicts: tuple[Verdict, ...]
    own: Haves | None = None
    subject: Subject | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    serves: bool = False
    bill: Bill | None = None
    keep_conditions: bool = False


class Reporter:
    """Writes what changed. ``now`` gives the time of day in UTC."""

    def __init__(self, kube: Kube, store: Store, now: Callable[[], datetime]) -> None:
        self._kube = kube
        self._store = store
        self._now = now

    async def tell(self, key: ObjectKey, endpoint: EphemeralEndpoint, facts: Facts) -> None:
        """Tell all transitions by one Event and write the status; an object that is gone is left alone.

        The Event goes first: whatever comes between, it is told again, and being the same it is there once.
        """
        before = endpoint.status
        after = self._status(endpoint, facts)
        raw = self._store.raw(key)
        patch = status.merge_patch(raw.get("status", {}), after.to_wire())
        if patch is None:
            return
        transitions = status.transitions(before, after)
        if event := _event(transitions):
            await self._kube.event(raw, kind=event.kind, reason=event.reason, message=event.message)
        try:
            self._store.put(await self._kube.write_status(raw, patch))
        except Gone:
            return
        extra = {"namespace": key.namespace, "object_name": key.name, "uid": endpoint.metadata.uid}
        for each in transitions:
            logger.info("%s is %s: %s", each.type, each.status, each.reason, extra=extra)

    def _status(self, endpoint: EphemeralEndpoint, facts: Facts) -> EphemeralEndpointStatus:
        before, spec = endpoint.status, endpoint.spec
        generation = endpoint.metadata.generation
        made = status.conditions(facts.verdicts, before.conditions, generation=generation, now=self._now())
        if facts.keep_conditions:
            told = {each.type for each in made}
            made += tuple(each for each in before.conditions if each.type not in told)
        subject = facts.subject
        return EphemeralEndpointStatus(
            observed_generation=generation,
            conditions=made,
            url=facts.url or (before.url if facts.keep_conditions else None),
            endpoint_name=subject.names.base if subject else before.endpoint_name,
            serving=subject.serving if subject else before.serving,
            image=(status.resolved_image(subject.image, facts.digests) if subject else None) or before.image,
            variants=status.served_variants(subject.variants, facts.digests) if subject else before.variants,
            revision=spec.source.revision if facts.serves else before.revision,
            expires_at=subject.lifetime.expires_at if subject else before.expires_at,
            cost=status.cost(facts.bill, facts.own, before.cost),
            resources=status.inventory(facts.own) if facts.own is not None else before.resources,
        )


def _event(transitions: Collection[Condition]) -> _Event | None:
    """One Event for what changed at once: each costs a write, and many of them say the same."""
    stalls = [each for each in transitions if each.type == Type.STALLED and each.status == "True"]
    told = stalls + [each for each in transitions if each.type not in _UNTOLD]
    if not told:
        return None
    by_message = {each.message: each for each in reversed(told)}
    told = list(reversed(by_message.values()))
    first, rest = told[0], [f"{each.type}: {each.message}" for each in told[1:]]
    return _Event("Warning" if stalls else "Normal", first.reason, "; ".join([first.message, *rest]))
