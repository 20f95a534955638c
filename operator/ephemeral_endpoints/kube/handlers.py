"""The only module that knows kopf: it watches, keeps the store, and wakes what a change concerns.

Low-level event handlers only: kopf then writes nothing to the objects, neither annotations nor finalizers of its own.
It runs in a thread of its own: in the main one it would take over the signals, and cancel at its end whatever runs
beside it.
"""

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import kopf

from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.core.paths import path_of
from ephemeral_endpoints.kube.client import CLASSES, ENDPOINTS
from ephemeral_endpoints.kube.store import ObjectKey, Store

RECONNECT_SECONDS: Final = 0.5
TLS_CLOSE_SECONDS: Final = 0.25
_IDENTITY: Final = "ephemeral-endpoints"

Event = Mapping[str, Any]


class Watch:
    """Feeds the store from the watch. ``wake`` has something reconciled; both are used in the event loop of ``run``."""

    def __init__(self, store: Store, wake: Callable[[ObjectKey], None]) -> None:
        self._store = store
        self._wake = wake
        self._ready = threading.Event()

    @property
    def is_up(self) -> bool:
        """Whether the operator has begun to watch."""
        return self._ready.is_set()

    async def run(self, namespaces: Collection[str], *, stop: asyncio.Event) -> None:
        """Watch until ``stop`` is set; reconnects by itself when the API server goes away."""
        ended = threading.Event()
        operator = self._operator(asyncio.get_running_loop(), namespaces, ended)
        watching = asyncio.create_task(asyncio.to_thread(asyncio.run, operator))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.set()
            stopping.cancel()
        await watching

    async def _operator(
        self, loop: asyncio.AbstractEventLoop, namespaces: Collection[str], ended: threading.Event
    ) -> None:
        async def on_endpoint(event: Event, **_: object) -> None:
            loop.call_soon_threadsafe(self._endpoint_changed, event)

        async def on_class(event: Event, **_: object) -> None:
            loop.call_soon_threadsafe(self._class_changed, event)

        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(_login)
        kopf.on.event(GROUP, VERSION, ENDPOINTS, registry=registry)(on_endpoint)
        kopf.on.event(GROUP, VERSION, CLASSES, registry=registry)(on_class)
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        # It looks for kinds and namespaces to come, which takes cluster-wide rights; refused, it asks for a minute.
        settings.scanning.disabled = True
        settings.watching.reconnect_backoff = RECONNECT_SECONDS
        await kopf.operator(
            registry=registry,
            settings=settings,
            standalone=True,
            # Else kopf looks up the name of the user, who in a container often has none.
            identity=_IDENTITY,  # type: ignore[arg-type]  # a string; kopf gives its type no public name
            clusterwide=not namespaces,
            namespaces=tuple(namespaces),
            stop_flag=ended,
            ready_flag=self._ready,
        )
        # TLS connections close a little later: https://docs.aiohttp.org/en/stable/client_advanced.html
        await asyncio.sleep(TLS_CLOSE_SECONDS)

    def _endpoint_changed(self, event: Event) -> None:
        before = self._store.endpoint(_key(event["object"]["metadata"]))
        key, relevant = self._take_in(event)
        if not relevant:
            return
        self._wake(key)
        endpoint = self._store.endpoint(key)
        if before and endpoint is None:
            for other, _ in self._store.sharing_path(path_of(before), self._store.class_name_of(before)):
                self._wake(other)
        names = self._store.class_names() if endpoint is None else [self._store.class_name_of(endpoint)]
        for name in names:
            if name:
                self._wake(ObjectKey(None, name))

    def _class_changed(self, event: Event) -> None:
        key, relevant = self._take_in(event)
        if not relevant:
            return
        self._wake(key)
        for user in self._store.affected_by_class(key.name):
            self._wake(user)

    def _take_in(self, event: Event) -> tuple[ObjectKey, bool]:
        """Update the store; the second value says whether the change can matter: our own status writes do not."""
        raw = event["object"]
        key = _key(raw["metadata"])
        if event["type"] == "DELETED":
            self._store.remove(key, raw["metadata"]["uid"])
            return key, True
        before = self._store.essence(key)
        self._store.put(raw)
        return key, event["type"] is None or before != self._store.essence(key)


def _key(metadata: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(metadata.get("namespace"), metadata["name"])


def _login(**known: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - kopf's own arguments, passed on
    return kopf.login_via_client(**known)
