"""Who waits for room in an account, and whose turn it is: the oldest object's."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from ephemeral_endpoints.core.backoff import delay
from ephemeral_endpoints.core.cost import Capacities
from ephemeral_endpoints.core.errors import QuotaExceeded
from ephemeral_endpoints.core.resources import InstanceSpec, Key

LOOK_SECONDS: Final = 300.0
"""How often those who wait are told their position, at least."""

PATIENCE_SECONDS: Final = 2 * LOOK_SECONDS
"""Who has not been looked at for so long is not waited for: something else keeps the object."""

_NAMED: Final = re.compile(r"limit '([^']{1,200})'")
_SERVERLESS: Final = "serverless"
_TEENS: Final = frozenset({11, 12, 13})


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """An endpoint's claim to room. Claims sort by the age of the object; the rest settles what seconds cannot."""

    created_at: datetime
    uid: str
    endpoint: Key


@dataclass(frozen=True, slots=True)
class Waiting:
    """A claim that was refused, or that came after one that was. Times are monotonic seconds."""

    claim: Claim
    quota: str
    words: str
    """What AWS said."""

    attempts: int = 0
    retry_at: float = 0.0
    seen_at: float = 0.0

    def refused(self, error: QuotaExceeded, now: float) -> Self:
        """It was tried again, in vain."""
        attempts = self.attempts + 1
        retry_at = now + delay(error, attempts)
        return replace(self, quota=quota_of(error), words=str(error), attempts=attempts, retry_at=retry_at, seen_at=now)

    def called(self, now: float) -> Self:
        """There may be room: it can be tried at once, and soon again, since AWS may count a little later."""
        return replace(self, attempts=0, retry_at=now)


def quota_of(error: QuotaExceeded) -> str:
    """The name of the quota that AWS says is used up; empty if it does not say which."""
    found = _NAMED.search(error.message)
    return found[1] if found else ""


def demand(capacities: Capacities) -> frozenset[str]:
    """What of the account's quotas capacities take, as words of those quotas' names."""
    return frozenset(each.instance_type if isinstance(each, InstanceSpec) else _SERVERLESS for each in capacities)


def concerns(quota: str, demanded: frozenset[str]) -> bool:
    """Whether a quota stands in the way of who demands that: one that is about nothing else in particular does."""
    if _SERVERLESS in quota.lower():
        return _SERVERLESS in demanded
    return not quota.startswith("ml.") or quota.partition(" ")[0] in demanded


def line(waiting: Iterable[Waiting], quota: str) -> list[Waiting]:
    """Those who wait for a quota, in the order of their turns."""
    return sorted((each for each in waiting if each.quota == quota), key=lambda each: each.claim)


def refusal(mine: Waiting, waiting: Iterable[Waiting]) -> QuotaExceeded:
    """What those who wait are told: AWS's words, and their position."""
    ahead = line(waiting, mine.quota)
    position = ordinal(1 + ahead.index(mine))
    return QuotaExceeded(f"{mine.words} It is {position} of {len(ahead)} waiting for {mine.quota or 'room'}.")


def ordinal(number: int) -> str:
    """A position in words, such as 2nd."""
    ending = "th" if number % 100 in _TEENS else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
