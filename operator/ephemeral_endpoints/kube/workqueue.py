"""Which object is reconciled when: one at a time each, at once when something happened, again when it is due."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


class Queue(Generic[K]):
    """Runs ``handler`` for keys. The handler returns in how many seconds the key is due again, None for not by itself.

    A key that is enqueued while it runs runs once more, right after. A handler that raises is logged and tried again
    after a growing pause. ``clock`` is monotonic seconds; ``waited`` is called with each key that begins to be handled,
    and the seconds since it was enqueued.
    """

    FIRST_PAUSE_SECONDS = 1.0
    LONGEST_PAUSE_SECONDS = 60.0

    def __init__(
        self,
        handler: Callable[[K], Awaitable[float | None]],
        *,
        clock: Callable[[], float],
        waited: Callable[[K, float], None] = lambda *_: None,
    ) -> None:
        self._handler = handler
        self._clock = clock
        self._waited = waited
        self._enqueued: dict[K, float] = {}
        self._began: dict[K, float] = {}
        self._running: dict[K, asyncio.Task[None]] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._next_triggers: dict[K, dict[str, None]] = {}
        self._triggers: dict[K, tuple[str, ...]] = {}
        self._stopped = False

    def __len__(self) -> int:
        """How many keys are being worked on."""
        return len(self._running)

    @property
    def depth(self) -> int:
        """How many keys wait to be worked on."""
        return len(self._enqueued)

    @property
    def longest_running(self) -> float:
        """For how many seconds the key that has been worked on longest has been so; 0 without any."""
        return self._clock() - min(self._began.values()) if self._began else 0.0

    def triggers(self, key: K) -> tuple[str, ...]:
        """Why the key that is being handled was enqueued, each trigger once; empty if it is not being handled."""
        return self._triggers.get(key, ())

    def enqueue(self, key: K, trigger: str = "") -> None:
        """Have the key handled now, or once more if it is being handled. ``trigger`` is the cause, in a word."""
        if self._stopped:
            return
        self._next_triggers.setdefault(key, {})[trigger] = None
        self._enqueued.setdefault(key, self._clock())
        self._cancel_timer(key)
        if key not in self._running:
            self._begin(key)

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more keys, and let running handlers finish the call in hand; then cancel them."""
        self._stopped = True
        for key in list(self._timers):
            self._cancel_timer(key)
        running = list(self._running.values())
        if running:
            await asyncio.wait(running, timeout=grace_seconds)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _begin(self, key: K) -> None:
        self._running[key] = asyncio.get_running_loop().create_task(self._run(key), name=str(key))

    async def _run(self, key: K) -> None:
        self._triggers[key] = tuple(self._next_triggers.pop(key, ()))
        self._began[key] = now = self._clock()
        self._waited(key, now - self._enqueued.pop(key))
        try:
            due = await self._handle(key)
        finally:
            del self._running[key], self._triggers[key], self._began[key]
        if key in self._next_triggers and not self._stopped:
            self._begin(key)
        elif due is not None and not self._stopped:
            self._timers[key] = asyncio.get_running_loop().call_later(due, self.enqueue, key, "due")

    async def _handle(self, key: K) -> float | None:
        try:
            due = await self._handler(key)
        except Exception:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            logger.exception(
                "reconciliation failed; the operator tries again", extra={"object": str(key), "failures": failures}
            )
            return min(self.FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16), self.LONGEST_PAUSE_SECONDS)
        self._failures.pop(key, None)
        return due

    def _cancel_timer(self, key: K) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
