"""Which object is reconciled when: one at a time each, at once when something happened, again when it is due."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


class Queue(Generic[K]):
    """Runs ``handler`` for keys. The handler returns in how many seconds the key is due again, None for not by itself.

    A key that is woken while it runs runs once more, right after. A handler that raises is logged and tried again
    after a growing pause.
    """

    FIRST_PAUSE_SECONDS = 1.0
    LONGEST_PAUSE_SECONDS = 60.0

    def __init__(self, handler: Callable[[K], Awaitable[float | None]]) -> None:
        self._handler = handler
        self._running: dict[K, asyncio.Task[None]] = {}
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._stopped = False

    def __len__(self) -> int:
        """How many keys are being worked on."""
        return len(self._running)

    def wake(self, key: K) -> None:
        """Have the key handled now, or once more if it is being handled."""
        if self._stopped:
            return
        self._cancel_timer(key)
        if key in self._running:
            self._again.add(key)
        else:
            self._running[key] = asyncio.get_running_loop().create_task(self._run(key), name=str(key))

    async def stop(self, grace_seconds: float) -> None:
        """Take nothing more in, and give what runs the time to finish the call in hand; then cancel it."""
        self._stopped = True
        for key in list(self._timers):
            self._cancel_timer(key)
        running = list(self._running.values())
        if running:
            await asyncio.wait(running, timeout=grace_seconds)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, key: K) -> None:
        try:
            due = await self._handle(key)
        finally:
            del self._running[key]
        if key in self._again:
            self._again.discard(key)
            self.wake(key)
        elif due is not None and not self._stopped:
            self._timers[key] = asyncio.get_running_loop().call_later(due, self.wake, key)

    async def _handle(self, key: K) -> float | None:
        try:
            due = await self._handler(key)
        except Exception:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            logger.exception("reconciliation failed", extra={"object": str(key), "failures": failures})
            return min(self.FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16), self.LONGEST_PAUSE_SECONDS)
        self._failures.pop(key, None)
        return due

    def _cancel_timer(self, key: K) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
