"""Side channels: items are delivered later and in batches, so that the sender never waits."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

Item = TypeVar("Item")
_MOST = 100_000
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Delivered:
    """How many items were sent; `lost` counts those that were rejected, undeliverable or too many."""

    sent: int = 0
    lost: int = 0
    last_error: str = ""


class Outbox(Generic[Item]):
    """Items for one service.

    `deliver` sends a batch. A batch is lost if `deliver` raises one of botocore's errors; AWS delivers on a best-effort
    basis too.
    """

    def __init__(self, name: str, deliver: Callable[[list[Item]], Awaitable[None]]) -> None:
        self.name = name
        self.delivered = Delivered()
        self._deliver = deliver
        self._items: deque[Item] = deque(maxlen=_MOST)
        self._delivery = asyncio.Lock()

    def put(self, item: Item) -> None:
        """Add an item, from any thread; never blocks and never raises."""
        if len(self._items) == _MOST:
            self.delivered.lost += 1
        self._items.append(item)

    async def flush(self) -> None:
        """Deliver the items added so far, and wait for a delivery that is under way."""
        async with self._delivery:
            await self._flush()

    async def discard(self) -> None:
        """Forget the items added so far, once a delivery that is under way has ended."""
        async with self._delivery:
            self._items.clear()

    async def _flush(self) -> None:
        batch: list[Item] = []
        while self._items:
            batch.append(self._items.popleft())
        if not batch:
            return
        try:
            await self._deliver(batch)
        except (BotoCoreError, ClientError) as error:
            self.delivered.lost += len(batch)
            self._report(str(error))
        else:
            self.delivered.sent += len(batch)

    async def run(self, interval: Callable[[], float]) -> None:
        """Flush every `interval` seconds until cancelled."""
        while True:
            await asyncio.sleep(interval())
            await self.flush()

    def _report(self, error: str) -> None:
        if error != self.delivered.last_error:
            _log.warning("cannot deliver %s: %s", self.name, error)
        self.delivered.last_error = error
