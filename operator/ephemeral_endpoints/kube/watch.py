"""The only module that knows kopf: it watches, keeps the store, and reports changes.

Low-level event handlers only: kopf then writes nothing to the objects, neither annotations nor finalizers of its own.
It runs in a thread of its own: in the main one it would take over the signals, and cancel at its end all tasks
beside it.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextvars import Context
from typing import Any, Final

import kopf
from typing_extensions import override

from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import KINDS
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.rest import DEADLINES, TLS_CLOSE_SECONDS, Deadlines
from ephemeral_endpoints.kube.triggers import ObjectChanged, ObjectListed

logger = logging.getLogger(__name__)

RECONNECT_SECONDS: Final = 0.5
PAUSES: Final = (1.0, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between attempts of a request that fails. After the last one everything is listed again, and so on."""

_PAGE: Final = 25
"""Objects a list: each takes up to 100 KB for a moment, between those that stay, and Python returns little of it."""

_IDLE_SECONDS: Final = 0.01
"""For so long kopf keeps an event after its last one about an object: at the start, as many as come in that time, each
of which takes up to 100 KB."""

END_SECONDS: Final = 10.0
"""How long a watch may take to end."""

CANCEL_SECONDS: Final = 5.0
"""For so long kopf's tasks may end by themselves after one of them has ended."""

_IDENTITY: Final = "ephemeral-endpoints"

Event = Mapping[str, Any]


class Watch:
    """Feeds the cache from the watch, and calls ``on_change`` after it. Both in the event loop of ``run``."""

    def __init__(
        self,
        store: Store,
        on_change: Callable[[ObjectChanged | ObjectListed], None],
        *,
        deadlines: Deadlines = DEADLINES,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._store = store
        self._on_change = on_change
        self._deadlines = deadlines
        self._pauses = pauses
        self._ready = threading.Event()

    @property
    def is_up(self) -> bool:
        """Whether the watch has begun, and has not failed since."""
        return self._ready.is_set()

    async def run(self, namespaces: Collection[str], *, stop: asyncio.Event) -> None:
        """Watch until ``stop`` is set; reconnects by itself when the API server disconnects.

        Begins again with a list if kopf gives up, as it does when the API server fails or refuses it for a minute:
        the cache and what is known of AWS outlive it.
        """
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self._watch(namespaces, stopping)
                if not stop.is_set():
                    await asyncio.wait({stopping}, timeout=self._pauses[-1])
        finally:
            stopping.cancel()

    async def _watch(self, namespaces: Collection[str], stopping: "asyncio.Task[bool]") -> None:
        """Watch until the stop or a failure."""
        ended, refused = threading.Event(), asyncio.Event()
        operator = self._operator(asyncio.get_running_loop(), namespaces, ended, refused)
        watching, refusal = asyncio.wrap_future(_in_thread(operator)), asyncio.create_task(refused.wait())
        ends: set[asyncio.Future[Any]] = {watching, stopping, refusal}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.set()
            refusal.cancel()
        await asyncio.wait({watching}, timeout=END_SECONDS)
        self._ready.clear()
        if not watching.done():
            watching.cancel()
            logger.error("the watch does not end; the operator begins another one")
        elif error := watching.exception():
            logger.warning("the watch failed; the operator begins it again", extra={"error": repr(error)})

    async def _operator(
        self,
        loop: asyncio.AbstractEventLoop,
        namespaces: Collection[str],
        ended: threading.Event,
        refused: asyncio.Event,
    ) -> None:
        async def on_event(event: Event, **_: object) -> None:
            # kopf's context holds the object as it was sent, and every timer that is set in it keeps it for hours.
            loop.call_soon_threadsafe(self.take, event, context=Context())

        used: list[kopf.ConnectionInfo | None] = []

        def login(**known: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - kopf's own arguments, passed on
            found = kopf.login_via_client(**known)
            if found in used:
                # They were refused. Whatever waits for others may wait for ever, even if kopf is to end.
                loop.call_soon_threadsafe(refused.set)
                raise kopf.PermanentError("the API server refuses the credentials")
            used[:] = [found]
            return found

        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(login)
        for kind in KINDS:
            kopf.on.event(GROUP, VERSION, kind.plural, registry=registry)(on_event)
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        # It looks for new kinds and namespaces, which takes cluster-wide rights; refused, it retries for a minute.
        settings.scanning.disabled = True
        settings.persistence.diffbase_storage = _NoDiffs()
        settings.watching.reconnect_backoff = RECONNECT_SECONDS
        settings.watching.chunk_size = _PAGE
        settings.watching.inactivity_timeout = self._deadlines.silence
        settings.queueing.idle_timeout = _IDLE_SECONDS
        settings.networking.connect_timeout = self._deadlines.connect
        settings.networking.request_timeout = self._deadlines.content
        settings.networking.error_backoffs = self._pauses
        try:
            known = asyncio.all_tasks()
            tasks = await kopf.spawn_tasks(
                registry=registry,
                settings=settings,
                standalone=True,
                # Else kopf looks up the name of the user, which in a container often does not exist.
                identity=_IDENTITY,  # type: ignore[arg-type]  # a string; kopf gives its type no public name
                clusterwide=not namespaces,
                namespaces=tuple(namespaces),
                stop_flag=ended,
                ready_flag=self._ready,
            )
            await run_tasks(tasks, known)
        finally:
            # A thread of kopf waits for it, and the event loop for that thread: also where kopf has failed.
            ended.set()
        await asyncio.sleep(TLS_CLOSE_SECONDS)

    def take(self, event: Event) -> None:
        """Apply an event of the watch. Changes that cannot matter, such as our own of a status, are not reported."""
        raw = event["object"]
        key = ObjectKey.of(raw)
        before, relevant = self._store.endpoint(key), self._store.relevant_fields(key)
        if event["type"] == "DELETED":
            self._store.remove(key, raw["metadata"]["uid"])
        else:
            self._store.put(raw)
            if relevant == self._store.relevant_fields(key):
                if event["type"] is None:
                    self._on_change(ObjectListed(key))
                return
        self._on_change(ObjectChanged(key, before))


async def run_tasks(tasks: Collection["asyncio.Task[None]"], others: "set[asyncio.Task[Any]]") -> None:
    """Run kopf's tasks until the first of them ends, and all others have. Raises the error of one that failed."""
    running = asyncio.create_task(kopf.run_tasks(tasks, ignored=others))
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    if not (await asyncio.wait({running}, timeout=CANCEL_SECONDS))[0]:
        # kopf cancels a task once. One that took that for a lost connection waits for new credentials for ever.
        for each in asyncio.all_tasks() - others - {running}:
            each.cancel()
    await running


class _NoDiffs(kopf.DiffBaseStorage):
    """Keeps no earlier states: kopf would copy every object whole for handlers of changes, of which there are none."""

    @override
    def build(self, **_: object) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    @override
    def fetch(self, **_: object) -> None:
        return None

    @override
    def store(self, **_: object) -> None:
        raise NotImplementedError("there are no handlers of changes")


def _in_thread(work: Coroutine[Any, Any, None]) -> Future[None]:
    """Run it in an event loop and a thread of its own, which the process does not wait for at its end."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            done.set_result(asyncio.run(work))
        except Exception as error:  # noqa: BLE001 - whatever it is, without a watch the operator sees no change
            done.set_exception(error)

    threading.Thread(target=run, name="watch", daemon=True).start()
    return done
