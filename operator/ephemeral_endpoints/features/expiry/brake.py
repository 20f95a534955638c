"""What keeps an object that has ended from being deleted for the moment: clocks that differ, or too many at once.

A lifetime that is over by mistake (a clock that is off, a maximum in a class that is too short) would otherwise delete
everything within seconds. What somebody deletes is not held.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.conditions import Cause, ConditionType
from ephemeral_endpoints.engine.shares import most_at_once
from ephemeral_endpoints.features.expiry.policy import End, EndCause
from ephemeral_endpoints.features.expiry.stage import ENDED, held

WINDOW_SECONDS: Final = 900.0
"""The time in which only a share of all objects ends."""

LEAST: Final = 10
"""So many objects may end in that time, however few there are: else the last one of two would wait."""

_MANY: Final = (
    f"as many objects as may end within {WINDOW_SECONDS / 60:g} minutes have done so; this one follows by itself"
)
_REMEDY: Final = "if they should, raise operator.expiry.mostShare in the chart"
_CLOSED: Final = f"{_MANY}. If so many pull requests should not be closed, reopen them now; {_REMEDY}"
_TOO_MANY: Final[Mapping[EndCause, str]] = {
    EndCause.EXPIRED: f"{_MANY}. If so many should not expire, a platform engineer must raise their time to live now; "
    f"{_REMEDY}",
    EndCause.CLOSED: _CLOSED,
    EndCause.MERGED: _CLOSED,
    EndCause.OVER_BUDGET: f"{_MANY}. If so many should not end, a platform engineer must raise their budget now; "
    f"{_REMEDY}",
}
_BY_TIME: Final = frozenset({EndCause.EXPIRED, EndCause.OVER_BUDGET})
"""The ends that clocks decide: what is spent is counted by hours."""

_ENDED: Final = frozenset(cause.reason.name for cause in ENDED.values())

RETRY_SECONDS: Final = 15.0
"""How soon a held object is looked at again."""


class Hold(StrEnum):
    """Why objects that have ended are held."""

    CLOCK = "clock"
    SHARE = "share"


class ExpiryBrake:
    """Decides whether an object that has ended may be deleted now.

    ``disagreement`` says which clocks differ; ``count`` is how many objects there are, ``share`` the part of them that
    may end within the window; ``clock`` is monotonic seconds. ``ended`` gives what ``recently_ended`` finds: a new
    leader begins with it, since a process that crashes time and again would else have a whole share each time.
    """

    def __init__(
        self,
        disagreement: Callable[[], str | None],
        count: Callable[[], int],
        *,
        ended: Callable[[], Iterable[tuple[str, float]]],
        share: float,
        clock: Callable[[], float],
    ) -> None:
        self._disagreement = disagreement
        self._count = count
        self._ended = ended
        self._is_informed = False
        self._share = share
        self._clock = clock
        self._begun: set[str] = set()
        self._recent: deque[float] = deque()
        self._held: dict[str, Hold] = {}

    def hold(self, uid: str, end: EndCause) -> Cause | None:
        """Why the object must wait; None if it may be deleted, which is remembered."""
        self._held.pop(uid, None)
        if end in _BY_TIME and (differs := self._disagreement()):
            self._held[uid] = Hold.CLOCK
            return held(end, f"{differs}; a platform engineer must set the clock of the node")
        now = self._clock()
        self._learn(now)
        if uid in self._begun:
            return None
        while self._recent and self._recent[0] <= now - WINDOW_SECONDS:
            self._recent.popleft()
        most = most_at_once(self._count() + len(self._recent), self._share, LEAST)
        if len(self._recent) >= most:
            self._held[uid] = Hold.SHARE
            return held(end, _TOO_MANY[end])
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

    def _learn(self, now: float) -> None:
        """Count once what ended under earlier leaders."""
        if not self._is_informed:
            ended = dict(self._ended())
            self._begun |= ended.keys()
            self._recent.extend(sorted(now - seconds for seconds in ended.values()))
            self._is_informed = True


def recently_ended(
    endpoints: Iterable[tuple[EphemeralEndpoint, End]], now: datetime, counted_at: datetime
) -> Iterator[tuple[str, float]]:
    """The UIDs of objects that ended within the window, and how many seconds ago, as the API server shows them.

    They are being deleted, since a time of the API server, which is ``now``, or stay as tombstones, since one of
    conditions, which is ``counted_at``. One that is gone shows nowhere; its deletion in SageMaker took a while.
    """
    for endpoint, end in endpoints:
        ago = _ended_ago(endpoint, end, now, counted_at)
        if ago is not None and (seconds := ago.total_seconds()) < WINDOW_SECONDS:
            yield endpoint.metadata.uid, max(0.0, seconds)


def _ended_ago(endpoint: EphemeralEndpoint, end: End, now: datetime, counted_at: datetime) -> timedelta | None:
    deleted_at = endpoint.metadata.deletion_timestamp
    if deleted_at is not None:
        return now - deleted_at if end.is_over(deleted_at) else None
    ready = (each for each in endpoint.status.conditions if each.type == ConditionType.READY)
    return next((counted_at - each.last_transition_time for each in ready if each.reason in _ENDED), None)
