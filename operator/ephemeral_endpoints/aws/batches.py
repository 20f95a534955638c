"""Batches of requests: a request that arrives while a call waits or runs becomes part of the next call."""

import asyncio
from collections import ChainMap
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Generic, TypeVar

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.engine.errors import AwsError, Invalid, NotFound

K = TypeVar("K")
V = TypeVar("V")

Fill = Callable[[], Collection[K]]
"""Returns the keys of the call. Called right before every attempt, since more requests may have arrived."""

Send = Callable[[Calls, Fill[K]], Awaitable[Mapping[K, V | AwsError]]]
"""Makes the call; returns the answer or the error of each key.

A key without an answer in a call for several is requested alone, as are all keys of a call that raises NotFound or
Invalid: one of them may have failed it for the others. Any other ``AwsError`` applies to all keys.
"""

_Batch = dict[K, list[asyncio.Future[V]]]
"""The keys of a call, each with those who wait for its answer."""


class Batches(Generic[K, V]):
    """Calls of one operation with up to ``most`` keys each.

    ``pause_seconds`` separate two calls: a single request is answered at once, a burst of them by few calls.
    """

    def __init__(self, send: Send[K, V], *, most: int, pause_seconds: float = 0.0) -> None:
        self._send = send
        self._most = most
        self._pause_seconds = pause_seconds
        self._waiting: dict[K, asyncio.Future[V]] = {}
        self._flushing: asyncio.Task[None] | None = None

    async def ask(self, calls: Calls, key: K) -> V:
        """Request one key, together with keys that are requested meanwhile. Raises an ``AwsError``."""
        done = self._waiting.setdefault(key, asyncio.get_running_loop().create_future())
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush(calls))
        return await asyncio.shield(done)

    async def _flush(self, calls: Calls) -> None:
        while self._waiting:
            batch: _Batch[K, V] = {}
            try:
                answers: Mapping[K, V | Exception] = await self._answered(calls, batch)
            except Exception as error:  # noqa: BLE001 - a bug of ours must not block the waiting callers
                self._fill(batch)
                answers = dict.fromkeys(batch, error)
            for key, waiting in batch.items():
                for done in waiting:
                    _settle(done, answers[key])
            if self._pause_seconds:
                await calls.sleep(self._pause_seconds)

    async def _answered(self, calls: Calls, batch: _Batch[K, V]) -> dict[K, V | Exception]:
        together = await self._answers(calls, partial(self._fill, batch), batch)
        rest = batch.keys() - together.keys()
        alone = await asyncio.gather(*(self._answers(calls, partial(tuple, [key]), [key]) for key in rest))
        answers = ChainMap(together, *alone)
        return {key: answers[key] for key in batch}

    async def _answers(self, calls: Calls, fill: Fill[K], batch: Collection[K]) -> dict[K, V | Exception]:
        try:
            return dict(await self._send(calls, fill))
        except AwsError as error:
            is_for_all = len(batch) == 1 or not isinstance(error, NotFound | Invalid)
            return dict.fromkeys(batch, error) if is_for_all else {}

    def _fill(self, batch: _Batch[K, V]) -> Collection[K]:
        for key in list(self._waiting)[: self._most - len(batch)]:
            # A key may be requested again between two attempts of its call.
            batch.setdefault(key, []).append(self._waiting.pop(key))
        return batch.keys()


def _settle(done: asyncio.Future[V], answer: V | Exception) -> None:
    if isinstance(answer, Exception):
        done.set_exception(answer)
    else:
        done.set_result(answer)
