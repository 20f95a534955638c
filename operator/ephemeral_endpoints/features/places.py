"""Places for work that takes long, fair between namespaces."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Places:
    """At most ``most`` things are done at once, of which a quarter are never of one namespace alone.

    What hangs in a namespace so keeps no other from its turn. Of those that wait, the namespace with the fewest places
    comes first, and of these the one that had none for longest.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._share = most - most // 4
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def of(self, namespace: str) -> AsyncIterator[None]:
        """Wait for a place, and keep it meanwhile."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(place)
        self._give()
        try:
            await place
            yield
        finally:
            if place.cancelled():
                self._leave(namespace, place)
            else:
                self._taken[namespace] -= 1
                self._taken += Counter()  # forgets namespaces without any
                self._give()

    def _give(self) -> None:
        while self._taken.total() < self._most:
            ready = [each for each in self._waiting if self._taken[each] < self._share]
            if not ready:
                return
            namespace = min(ready, key=self._taken.__getitem__)
            queue = self._waiting.pop(namespace)
            place = queue.popleft()
            if queue:
                self._waiting[namespace] = queue
            if not place.cancelled():
                self._taken[namespace] += 1
                place.set_result(None)

    def _leave(self, namespace: str, place: asyncio.Future[None]) -> None:
        """Whoever waited for the place has given up."""
        queue = self._waiting.get(namespace, deque())
        if place in queue:
            queue.remove(place)
        if not queue:
            self._waiting.pop(namespace, None)
