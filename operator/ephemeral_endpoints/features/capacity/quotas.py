"""The lines for quotas of accounts: who need not wait retries; the others wait without AWS calls."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.engine.errors import QuotaExceeded, QuotaTooLow
from ephemeral_endpoints.engine.resources import Key
from ephemeral_endpoints.features.capacity.policy import (
    CLAIM_SECONDS,
    LOOK_SECONDS,
    Claim,
    Demand,
    Waiting,
    asked_of,
    concerns,
    line,
    may_try,
    refusal,
    too_low,
)
from ephemeral_endpoints.kube.cache import ObjectKey

_KEPT: Final = "Another endpoint is being recreated, and the room that it has given up is kept for it."


@dataclass(frozen=True, slots=True)
class _Reservation:
    """Room that an endpoint gives up only to take it again."""

    claim: Claim
    demand: Demand
    seen_at: float


@dataclass(slots=True)
class _Lines:
    """What is known of the quotas of one account and region, by endpoint."""

    waiting: dict[Key, Waiting] = field(default_factory=dict)
    reserved: dict[Key, _Reservation] = field(default_factory=dict)


class Quotas:
    """The claims that wait for quotas, by account and region.

    ``find`` returns the object with a UID, None once it is gone; ``enqueue`` reconciles it; ``clock`` returns monotonic
    seconds. Nothing must survive the process: AWS refuses the next attempts again.
    """

    def __init__(
        self,
        find: Callable[[str], ObjectKey | None],
        enqueue: Callable[[ObjectKey], None],
        clock: Callable[[], float],
    ) -> None:
        self._find = find
        self._enqueue = enqueue
        self._clock = clock
        self._lines: dict[Scope, _Lines] = {}

    def refusal(self, scope: Scope, claim: Claim, demand: Demand, *, holds: bool = False) -> QuotaExceeded | None:
        """Why an endpoint with this demand must wait; None if it may be tried.

        A claim behind another one that waits for the same quota waits too, unless it asks for less or ``holds`` room.
        """
        lines, now = self._current(scope), self._clock()
        mine = lines.waiting.get(claim.endpoint)
        if mine is None or mine.demand != demand:
            self._leave(scope, [claim.endpoint])
            mine = self._joining(lines, claim, demand, holds=holds)
            if mine is None:
                return None
        elif now >= mine.retry_at and self._is_free(lines, mine):
            return None
        mine = lines.waiting[claim.endpoint] = replace(mine, seen_at=now)
        return refusal(mine, lines.waiting.values())

    def refused(
        self, scope: Scope, claim: Claim, demand: Demand, error: QuotaExceeded, *, holds: bool = False
    ) -> QuotaExceeded | QuotaTooLow:
        """Record that AWS refused the endpoint for a quota; returns the error to report.

        A claim that can never be met does not wait: nobody stands behind it.
        """
        lines = self._current(scope)
        before = lines.waiting.get(claim.endpoint) or Waiting(claim, demand, "")
        mine = replace(before, demand=demand, holds=holds).refused(error, self._clock())
        if hopeless := too_low(mine):
            self._leave(scope, [claim.endpoint])
            return hopeless
        lines.waiting[claim.endpoint] = mine
        return refusal(mine, lines.waiting.values())

    def reserve(self, scope: Scope, claim: Claim, demand: Demand) -> None:
        """Keep the room that the endpoint is about to give up until it takes it again, see ``keep_only``."""
        self._current(scope).reserved[claim.endpoint] = _Reservation(claim, demand, self._clock())

    def reserved(self, scope: Scope, uid: str) -> frozenset[Key]:
        """The endpoints of the object for which room is kept."""
        return frozenset(key for key, each in self._current(scope).reserved.items() if each.claim.uid == uid)

    def keep_only(self, scope: Scope, uid: str, endpoints: Collection[Key], reserved: Collection[Key] = ()) -> None:
        """Drop the object's claims and reservations except for these, and enqueue the claims whose turn it is now."""
        lines, now = self._current(scope), self._clock()
        given_back = [key for key, each in lines.reserved.items() if each.claim.uid == uid and key not in reserved]
        for key in given_back:
            del lines.reserved[key]
        for key, each in lines.reserved.items():
            if each.claim.uid == uid:
                lines.reserved[key] = replace(each, seen_at=now)
        gone = [key for key, each in lines.waiting.items() if each.claim.uid == uid and key not in endpoints]
        self._leave(scope, gone)
        if given_back:
            self.room(scope)

    def room(self, scope: Scope) -> None:
        """Record that capacity was released in the account: enqueue the claims of every line that are tried."""
        lines = self._current(scope)
        self._call(lines, [each for each in lines.waiting.values() if self._is_free(lines, each)])

    def due(self, scope: Scope, uid: str) -> float | None:
        """Seconds until the object is due again; None if it waits for no quota."""
        lines = self._current(scope)
        mine = [each for each in lines.waiting.values() if each.claim.uid == uid]
        dues = (each.retry_at - self._clock() if self._is_free(lines, each) else LOOK_SECONDS for each in mine)
        return min((max(0.0, each) for each in dues), default=None)

    def _joining(self, lines: _Lines, claim: Claim, demand: Demand, *, holds: bool) -> Waiting | None:
        """The place of a claim that does not wait yet; None if it need not."""
        ahead = (
            each
            for each in sorted(lines.waiting.values(), key=lambda each: each.claim)
            if each.claim < claim
            and each.claim.uid != claim.uid
            and concerns(each.quota, demand)
            and each.asked <= asked_of(each.quota, demand)
        )
        first = None if holds or claim.endpoint in lines.reserved else next(ahead, None)
        if first:
            return Waiting(claim, demand, first.quota)
        if _kept_from(lines, claim, demand):
            return Waiting(claim, demand, "", _KEPT, holds=holds)
        return None

    def _is_free(self, lines: _Lines, mine: Waiting) -> bool:
        """Whether nobody is before a claim that waits."""
        if mine.claim.endpoint in lines.reserved:
            return True
        return may_try(mine, lines.waiting.values()) and not _kept_from(lines, mine.claim, mine.demand)

    def _leave(self, scope: Scope, endpoints: Iterable[Key]) -> None:
        """Take claims out of their lines, and enqueue those whose turn that makes it."""
        lines = self._current(scope)
        stood = {key: lines.waiting.pop(key) for key in endpoints if key in lines.waiting}
        quotas = {each.quota for each in stood.values()}
        before = {**lines.waiting, **stood}
        followers = [
            each
            for quota in quotas
            for each in line(lines.waiting.values(), quota)
            if self._is_free(lines, each) and not may_try(each, before.values())
        ]
        self._call(lines, followers)

    def _call(self, lines: _Lines, called: Iterable[Waiting]) -> None:
        for each in called:
            lines.waiting[each.claim.endpoint] = each.called(self._clock())
            if key := self._find(each.claim.uid):
                self._enqueue(key)

    def _current(self, scope: Scope) -> _Lines:
        lines = self._lines.setdefault(scope, _Lines())
        for key in [key for key, each in lines.waiting.items() if not self._is_current(each)]:
            del lines.waiting[key]
        for key in [key for key, each in lines.reserved.items() if not self._is_current(each)]:
            del lines.reserved[key]
        return lines

    def _is_current(self, each: Waiting | _Reservation) -> bool:
        return self._find(each.claim.uid) is not None and self._clock() - each.seen_at <= CLAIM_SECONDS


def _kept_from(lines: _Lines, claim: Claim, demand: Demand) -> bool:
    """Whether room of the same kind is kept for an endpoint of another object."""
    return any(
        each.claim.uid != claim.uid and not each.demand.keys().isdisjoint(demand) for each in lines.reserved.values()
    )
