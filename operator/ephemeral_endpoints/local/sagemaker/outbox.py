"""Side channels: what is delivered later, in batches, and never at the cost of who hands it in."""

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
    """What became of the items: `lost` were refused, undeliverable or too many."""

    sent: int = 0
    lost: int = 0
    last_error: str = ""


class Outbox(Generic[Item]):
    """Items on their way to one service.

    `deliver` sends a batch and may raise botocore's errors: the batch is lost then, as it is on AWS, where delivery is
    on a best-effort basis too.
    """

    def __init__(self, name: str, deliver: Callable[[list[Item]], Awaitable[None]]) -> None:
        self.name = name
        self.delivered = Delivered()
        self._deliver = deliver
        self._items: deque[Item] = deque(maxlen=_MOST)

    def put(self, item: Item) -> None:
        """Hand in an item, from any thread; never blocks and never raises."""
        if len(self._items) == _MOST:
            self.delivered.lost += 1
        self._items.append(item)

    async def flush(self) -> None:
        """Deliver what was handed in so far."""
        batch: list[Item] = []
        while self._items:
            batch.append(self._items.popleft())
        if not batch:
            return
        try:
            await self._deliver(batch)
        except (BotoCoreError, ClientError) as error:
            self.delivered.lost += len(batch)
            self._tell(str(error))
        else:
            self.delivered.sent += len(batch)

    async def run(self, interval: Callable[[], float]) -> None:
        """Flush again and again, `interval` seconds apart, until cancelled."""
        while True:
            await asyncio.sleep(interval())
            await self.flush()

    def _tell(self, error: str) -> None:
        if error != self.delivered.last_error:
            _log.warning("%s cannot be delivered: %s", self.name, error)
        self.delivered.last_error = error
