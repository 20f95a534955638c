"""Work that takes long, in tasks of its own: one for each object, whose result the object is enqueued for."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ephemeral_endpoints.features.places import Places
from ephemeral_endpoints.kube.cache import ObjectKey

logger = logging.getLogger(__name__)

R = TypeVar("R")


@dataclass(slots=True)
class _Run(Generic[R]):
    id: str
    task: asyncio.Task[None]
    result: R | None = None


class Runs(Generic[R]):
    """The runs of objects, at most ``most`` at once, fair between namespaces. ``enqueue`` has an object reconciled.

    ``id`` identifies what is run, such as a digest: another one replaces the run of the object. A run whose work raises
    has no result, and is begun again by ``begin``; the work itself says what goes wrong in its result.
    """

    def __init__(self, enqueue: Callable[[ObjectKey], None], *, most: int) -> None:
        self._enqueue = enqueue
        self._places = Places(most)
        self._runs: dict[str, _Run[R]] = {}

    def begin(self, key: ObjectKey, uid: str, id_: str, work: Callable[[], Coroutine[Any, Any, R]]) -> None:
        """Begin the run, unless it is under way or done; a run of another id is cancelled. Does not wait."""
        known = self._runs.get(uid)
        if known and known.id == id_ and not (known.task.done() and known.result is None):
            return
        self.cancel(uid)
        self._runs[uid] = _Run(id_, asyncio.create_task(self._work(key, uid, id_, work)))

    def result(self, uid: str, id_: str) -> R | None:
        """The result of the run of that id; None while there is none."""
        known = self._runs.get(uid)
        return known.result if known and known.id == id_ else None

    def is_running(self, uid: str) -> bool:
        """Whether the object has a run under way."""
        known = self._runs.get(uid)
        return known is not None and not known.task.done()

    def cancel(self, uid: str) -> None:
        """End and forget the run of an object, if there is one. Does not wait for its end."""
        if known := self._runs.pop(uid, None):
            known.task.cancel()

    async def stop(self) -> None:
        """End all runs, and wait for that."""
        tasks = [each.task for each in self._runs.values()]
        for uid in list(self._runs):
            self.cancel(uid)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, key: ObjectKey, uid: str, id_: str, work: Callable[[], Coroutine[Any, Any, R]]) -> None:
        try:
            # What is in no namespace is alone.
            async with self._places.of(key.namespace or key.name):
                result = await work()
        except Exception:
            logger.exception("a run failed by a fault of the operator", extra={**key.log_fields, "uid": uid})
            return
        known = self._runs.get(uid)
        if known and known.id == id_:
            known.result = result
            self._enqueue(key)
