"""Keeps what objects have cost that are gone, in the status of their class: a budget by the month counts them too."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from ephemeral_endpoints.api.v1alpha1.budgets import EndedCosts
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.engine.status import merge_patch
from ephemeral_endpoints.features.capacity.always_on import always_on
from ephemeral_endpoints.features.capacity.spending import with_ended
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import Store, class_key
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.errors import Gone


class Ledger:
    """Counts objects that end, each once, before they are forgotten. ``now`` is the time of day in UTC.

    Those that end while a write is under way are counted together by the next one.
    """

    def __init__(self, kube: Kube, store: Store, shard: Shard, now: Callable[[], datetime]) -> None:
        self._kube = kube
        self._store = store
        self._shard = shard
        self._now = now
        self._pending: defaultdict[str, dict[str, EphemeralEndpoint]] = defaultdict(dict)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def count(self, endpoint: EphemeralEndpoint) -> None:
        """Note what the object has cost in the month, if a budget of its class counts it. May be repeated.

        Raises a ``KubernetesError``, of which a Conflict has to be tried again.
        """
        uid, name = endpoint.metadata.uid, self._store.class_name_of(endpoint) or ""
        pending = self._pending[name]
        pending[uid] = endpoint
        try:
            async with self._locks[name]:
                endpoint_class = self._store.named_class(name)
                if uid in pending and endpoint_class and endpoint_class.spec.budgets.is_monthly:
                    with suppress(Gone):  # without its class nothing is counted any more
                        await self._write(endpoint_class, pending)
        finally:
            pending.pop(uid, None)

    async def _write(self, endpoint_class: EphemeralEndpointClass, pending: dict[str, EphemeralEndpoint]) -> None:
        taken, raw = dict(pending), self._store.raw(class_key(endpoint_class.metadata.name))
        before = after = endpoint_class.status.ended_costs
        still_there = self._still_there(before) | taken.keys()
        for each in taken.values():
            subject = Subject("", each, endpoint_class)
            stays = None if subject.is_retained else always_on(subject, self._now())
            after = with_ended(after, each, self._now(), still_there=still_there, always_on=stays)
        patch = merge_patch(raw.get("status", {}).get("endedCosts", {}), after.to_wire() if after else {})
        if patch is not None:
            self._store.put(await self._kube.write_status(raw, {"endedCosts": patch}))
        for uid in taken:
            pending.pop(uid, None)

    def _still_there(self, before: EndedCosts | None) -> frozenset[str]:
        """The counted objects that may end again, as those of another shard may."""
        return frozenset(
            each.uid
            for each in (before.counted if before else ())
            if not self._shard.takes(each.namespace) or self._store.by_owner(owner_hash(each.uid))
        )
