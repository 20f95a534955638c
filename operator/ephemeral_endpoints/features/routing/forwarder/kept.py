"""What a forwarder reads in Lambda at run time, and keeps for a minute: it changes without the function."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_SECONDS = 60
"""How long what was read counts, and how long after a failure nothing is read."""


@dataclass(slots=True)
class Kept(ABC):
    """A value of one function. ``client`` returns one of Lambda, ``clock`` monotonic seconds."""

    client: Callable[[], Any]
    clock: Callable[[], float] = time.monotonic
    _known: str | None = field(default=None, init=False)
    _read_at: float | None = field(default=None, init=False)

    @abstractmethod
    def read(self, function: str) -> str | None:
        """What Lambda says. Blocks for a call; may raise errors of botocore, and ValueError for an odd answer."""

    def of(self, function: str) -> str | None:
        """The value, as of the last minute; None if it is not known. Blocks for a call, and raises nothing."""
        if self._read_at is None or self.clock() - self._read_at >= KEPT_SECONDS:
            self._read_at = self.clock()
            try:
                self._known = self.read(function)
            except (BotoCoreError, ClientError, ValueError, RecursionError):
                self._known = None
        return self._known
