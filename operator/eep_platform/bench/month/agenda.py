"""The fake clock: what is to happen happens in its order, and no time passes in between."""

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

START: Final = datetime(2026, 6, 1, tzinfo=UTC)
"""A Monday."""

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0


def moment(seconds: float) -> datetime:
    """The time of day so many seconds after the start."""
    return START + timedelta(seconds=seconds)


def seconds(at: datetime) -> float:
    """The reverse of ``moment``."""
    return (at - START).total_seconds()


class Agenda:
    """Actions by their time, in seconds since the start. Those of the same time happen in the order of their entry."""

    def __init__(self) -> None:
        self.now = 0.0
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Have an action happen; at once if its time is past."""
        heapq.heappush(self._entries, (max(self.now, when), next(self._numbers), action))

    def after(self, wait: float, action: Callable[[], None]) -> None:
        """Have an action happen so many seconds later."""
        self.at(self.now + wait, action)

    def every(self, interval: float, action: Callable[[], None]) -> None:
        """Have an action happen again and again."""

        def again() -> None:
            action()
            self.after(interval, again)

        self.after(interval, again)

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._entries and self._entries[0][0] <= until:
            self.now, _, action = heapq.heappop(self._entries)
            action()
        self.now = until
