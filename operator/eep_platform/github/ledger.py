"""Counts requests by operation, so that tests and benchmarks can tell what a reconciliation costs."""

from collections import Counter, deque
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

_MOST: Final = 10_000


@dataclass(slots=True)
class Entry:
    """A request. ``status`` is that of the answer; None while there is none, and where the answer was lost."""

    time: datetime
    operation: str
    method: str
    path: str
    repository: str | None
    login: str | None
    status: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The entry as the control API shows it."""
        return {**asdict(self), "time": self.time.isoformat()}


class Ledger:
    """Counts all requests since the last reset, and keeps the latest in order."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=_MOST)
        self.counts: Counter[str] = Counter()

    def record(self, entry: Entry) -> Entry:
        """Count a request when it arrives; its status is set later."""
        self.entries.append(entry)
        self.counts[entry.operation] += 1
        return entry

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self.counts.clear()
