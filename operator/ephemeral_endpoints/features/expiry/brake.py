"""What keeps an object that has expired from being deleted for the moment: clocks that differ, or too many at once.

A lifetime that is over by mistake (a clock that is off, a maximum in a class that is too short) would otherwise delete
everything within seconds. What somebody deletes is not held.
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from math import ceil
from typing import Final

from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.features.expiry.stage import EXPIRY_HELD

WINDOW_SECONDS: Final = 900.0
"""The time in which only a share of all objects expires."""

LEAST: Final = 10
"""So many objects may expire in that time, however few there are: else the last one of two would wait."""

_HELD: Final = "the time to live is over, but the operator does not delete the object yet"

RETRY_SECONDS: Final = 15.0
"""How soon a held object is looked at again."""


class Hold(StrEnum):
    """Why objects that have expired are held."""

    CLOCK = "clock"
    SHARE = "share"


class ExpiryBrake:
    """Decides whether an object that has expired may end now.

    ``disagreement`` says which clocks differ; ``count`` is how many objects there are, ``share`` the part of them that
    may expire within the window; ``clock`` is monotonic seconds. The memory is lost with the process, and so the next
    leader begins another window.
    """

    def __init__(
        self,
        disagreement: Callable[[], str | None],
        count: Callable[[], int],
        *,
        share: float,
        clock: Callable[[], float],
    ) -> None:
        self._disagreement = disagreement
        self._count = count
        self._share = share
        self._clock = clock
        self._begun: set[str] = set()
        self._recent: deque[float] = deque()
        self._held: dict[str, Hold] = {}

    def hold(self, uid: str) -> Cause | None:
        """Why the object must wait; None if it may end, which is remembered."""
        self._held.pop(uid, None)
        if differs := self._disagreement():
            return self._hold(uid, Hold.CLOCK, f"{differs}; a platform engineer must set the clock of the node")
        if uid in self._begun:
            return None
        now = self._clock()
        while self._recent and self._recent[0] <= now - WINDOW_SECONDS:
            self._recent.popleft()
        most = max(LEAST, ceil(self._share * (self._count() + len(self._recent))))
        if len(self._recent) >= most:
            message = (
                f"as many objects as may expire within {WINDOW_SECONDS / 60:g} minutes have done so; this one follows "
                "by itself. If so many should not expire, a platform engineer must raise their time to live now; if "
                "they should, raise operator.expiry.mostShare in the chart"
            )
            return self._hold(uid, Hold.SHARE, message)
        self._recent.append(now)
        self._begun.add(uid)
        return None

    def forget(self, uid: str) -> None:
        """The object is gone, or lives on."""
        self._begun.discard(uid)
        self._held.pop(uid, None)

    def held(self) -> Mapping[str, int]:
        """How many objects are held, by reason."""
        holds = list(self._held.values())
        return {each.value: holds.count(each) for each in Hold}

    def _hold(self, uid: str, why: Hold, message: str) -> Cause:
        self._held[uid] = why
        return Cause(EXPIRY_HELD, f"{_HELD}: {message}")
