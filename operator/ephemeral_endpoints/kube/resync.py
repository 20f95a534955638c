"""Lists of all objects: the first one, before the watch begins, and later ones that find what the watch missed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection

from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.errors import KubernetesError
from ephemeral_endpoints.kube.rest import Raw
from ephemeral_endpoints.kube.triggers import ObjectChanged

logger = logging.getLogger(__name__)


class Resync:
    """Compares the cache with lists of all classes and of the objects in ``namespaces``, all if there are none."""

    def __init__(
        self,
        kube: KubeClient,
        store: Store,
        namespaces: Collection[str],
        on_change: Callable[[ObjectChanged], None],
    ) -> None:
        """``on_change`` is called for each object that is gone although the watch did not report its deletion."""
        self._kube = kube
        self._store = store
        self._namespaces = namespaces
        self._on_change = on_change

    async def initial_list(self, on_object: Callable[[ObjectKey], None]) -> None:
        """Fill the cache: no object must be judged while others, or its class, are unknown. May be repeated.

        ``on_object`` is called for each object while listing. Raises what ``KubeClient.objects`` raises.
        """
        async for raw in self._kube.objects(self._namespaces):
            on_object(self._store.put(raw))

    async def objects(self) -> AsyncIterator[Raw]:
        """List all objects, and forget those that are known and do not exist any more.

        No event reports an object that is deleted between a list and the watch that follows it, at the start and after
        a lost connection: an object whose finalizer is removed by hand just then would be kept for ever.
        """
        known = self._store.uids()
        async for raw in self._kube.objects(self._namespaces):
            key = ObjectKey.of(raw)
            if known.get(key) == raw["metadata"]["uid"]:
                del known[key]
            yield raw
        for key, uid in known.items() & self._store.uids().items():
            extra = {**key.log_fields, "uid": uid}
            logger.warning("the watch missed the deletion of an object; a list has found it", extra=extra)
            before = self._store.endpoint(key)
            self._store.remove(key, uid)
            self._on_change(ObjectChanged(key, before))

    async def run(self, seconds: float) -> None:
        """Compare every so many seconds, until cancelled: where no sweep lists the objects."""
        while True:
            await asyncio.sleep(seconds)
            try:
                async for _ in self.objects():
                    pass
            except KubernetesError as error:
                logger.warning("the operator cannot list the objects; it tries again", extra={"error": str(error)})
