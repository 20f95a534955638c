"""The queues for room in accounts: only the oldest object tries again, the others wait without a call to AWS."""

from collections.abc import Callable, Collection
from dataclasses import replace

from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.core.errors import QuotaExceeded
from ephemeral_endpoints.core.quotas import LOOK_SECONDS, PATIENCE_SECONDS, Claim, Waiting, concerns, line, refusal
from ephemeral_endpoints.core.resources import Key
from ephemeral_endpoints.kube.store import ObjectKey


class Quotas:
    """Who waits for room in which account and region.

    ``find`` tells the object with a UID, None once it is gone; ``wake`` has it reconciled; ``clock`` tells monotonic
    seconds. Nothing here is lost for good when the process ends: whoever tries is refused again.
    """

    def __init__(
        self,
        find: Callable[[str], ObjectKey | None],
        wake: Callable[[ObjectKey], None],
        clock: Callable[[], float],
    ) -> None:
        self._find = find
        self._wake = wake
        self._clock = clock
        self._waiting: dict[Scope, dict[Key, Waiting]] = {}

    def refusal(self, scope: Scope, claim: Claim, demanded: frozenset[str]) -> QuotaExceeded | None:
        """Why an endpoint that demands such room must not be tried now; None if it is its turn.

        Who comes after somebody who waits for the same room waits too.
        """
        waiting, now = self._living(scope), self._clock()
        mine = waiting.get(claim.endpoint)
        if mine is None:
            ahead = (each for each in waiting.values() if concerns(each.quota, demanded) and each.claim < claim)
            first = min(ahead, key=lambda each: each.claim, default=None)
            if first is None:
                return None
            mine = replace(first, claim=claim, attempts=0, retry_at=0.0)
        elif _is_first(mine, waiting) and now >= mine.retry_at:
            return None
        mine = waiting[claim.endpoint] = replace(mine, seen_at=now)
        return refusal(mine, waiting.values())

    def refused(self, scope: Scope, claim: Claim, error: QuotaExceeded) -> QuotaExceeded:
        """AWS had no room for the endpoint; returns what to tell of it."""
        waiting = self._living(scope)
        before = waiting.get(claim.endpoint) or Waiting(claim, "", "")
        mine = waiting[claim.endpoint] = before.refused(error, self._clock())
        return refusal(mine, waiting.values())

    def keep_only(self, scope: Scope, uid: str, endpoints: Collection[Key]) -> None:
        """The object waits for room for these endpoints only; whose turn it is now is called."""
        waiting = self._living(scope)
        gone = [each for key, each in waiting.items() if each.claim.uid == uid and key not in endpoints]
        firsts = [each for each in gone if _is_first(each, waiting)]
        for each in gone:
            del waiting[each.claim.endpoint]
        for each in firsts:
            self._call_first(scope, each.quota)

    def room(self, scope: Scope) -> None:
        """Something has gone from the account: the first in every queue are called."""
        for quota in {each.quota for each in self._living(scope).values()}:
            self._call_first(scope, quota)

    def due(self, scope: Scope, uid: str) -> float | None:
        """Seconds until the object should be looked at again; None if it waits for nothing."""
        waiting = self._living(scope)
        mine = [each for each in waiting.values() if each.claim.uid == uid]
        dues = (each.retry_at - self._clock() if _is_first(each, waiting) else LOOK_SECONDS for each in mine)
        return min((max(0.0, each) for each in dues), default=None)

    def _call_first(self, scope: Scope, quota: str) -> None:
        waiting = self._living(scope)
        if not (queue := line(waiting.values(), quota)):
            return
        first = waiting[queue[0].claim.endpoint] = queue[0].called(self._clock())
        if key := self._find(first.claim.uid):
            self._wake(key)

    def _living(self, scope: Scope) -> dict[Key, Waiting]:
        waiting = self._waiting.setdefault(scope, {})
        for key in [key for key, each in waiting.items() if not self._is_waited_for(each)]:
            del waiting[key]
        return waiting

    def _is_waited_for(self, each: Waiting) -> bool:
        return self._find(each.claim.uid) is not None and self._clock() - each.seen_at <= PATIENCE_SECONDS


def _is_first(mine: Waiting, waiting: dict[Key, Waiting]) -> bool:
    return line(waiting.values(), mine.quota)[0] is mine
