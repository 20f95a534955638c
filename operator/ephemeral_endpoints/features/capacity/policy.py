"""The lines of endpoints that wait for the quotas of an account.

The oldest object is first. One that asks for less than all before it is tried all the same, so that nobody who would
fit waits behind a claim that does not.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from ephemeral_endpoints.engine.backoff import delay
from ephemeral_endpoints.engine.errors import QuotaExceeded, QuotaTooLow
from ephemeral_endpoints.engine.resources import Key
from ephemeral_endpoints.features.capacity.cost import Capacities
from ephemeral_endpoints.features.serving.specs import InstanceSpec

LOOK_SECONDS: Final = 300.0
"""Maximum interval between updates of a position in the line."""

CLAIM_SECONDS: Final = 2 * LOOK_SECONDS
"""A claim that was not evaluated for so long is skipped: something else delays its object."""

_NAMED: Final = re.compile(r"limit '([^']{1,200})'")
_NUMBERS: Final = re.compile(
    r"limit '[^']{1,200}' is (\d{1,9}) (\w{1,30}),? with current utilization of (\d{1,9}) \w{1,30} "
    r"and a request delta of (\d{1,9})"
)
_SERVERLESS: Final = "serverless"
_CONCURRENCY: Final = "concurrency"
_INSTANCES: Final = "ml."
_TEENS: Final = frozenset({11, 12, 13})

Demand = Mapping[str, int]
"""What an endpoint asks for: instances by type; of serverless ones how many, and their concurrency."""


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """An endpoint's claim to a quota. Claims sort by the age of the object; the other fields break ties."""

    created_at: datetime
    uid: str
    endpoint: Key


@dataclass(frozen=True, slots=True)
class Usage:
    """The numbers in AWS's refusal: the limit, what is in use, and by how much the request would increase that."""

    limit: int
    used: int
    delta: int
    unit: str

    @classmethod
    def of(cls, error: QuotaExceeded) -> Self | None:
        """The numbers of an error; None if it has none."""
        found = _NUMBERS.search(error.message)
        return cls(int(found[1]), int(found[3]), int(found[4]), found[2]) if found else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A claim that AWS refused, or that is behind a refused one. Times are monotonic seconds.

    ``words`` are AWS's message about this claim, empty if it was not tried, ``usage`` the numbers in it. A claim that
    ``holds`` room already, which it enlarges or replaces, waits behind nobody.
    """

    claim: Claim
    demand: Demand
    quota: str
    words: str = ""
    usage: Usage | None = None
    holds: bool = False
    attempts: int = 0
    refused_at: float = 0.0
    retry_at: float = 0.0
    seen_at: float = 0.0

    @property
    def asked(self) -> int:
        """How much of the quota it asks for; of one of a fallback type, which the demand does not name, AWS knows."""
        return asked_of(self.quota, self.demand) or (self.usage.delta if self.usage else 0)

    def refused(self, error: QuotaExceeded, now: float) -> Self:
        """The same after another refused attempt."""
        attempts = self.attempts + 1
        return replace(
            self,
            quota=quota_of(error),
            words=str(error),
            usage=Usage.of(error),
            attempts=attempts,
            refused_at=now,
            retry_at=now + delay(error, attempts),
            seen_at=now,
        )

    def called(self, now: float) -> Self:
        """The same once there may be capacity: due at once, and soon again, since AWS may count with a delay."""
        return replace(self, attempts=0, retry_at=now)


def quota_of(error: QuotaExceeded) -> str:
    """The name of the exhausted quota in AWS's message; empty if it names none."""
    found = _NAMED.search(error.message)
    return found[1] if found else ""


def demand_of(capacities: Capacities) -> Demand:
    """What an endpoint with these variants asks for.

    Of several types the preferred one: SageMaker falls back for lack of capacity, which is not known of quotas.
    https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-heterogeneous.html
    """
    asked: Counter[str] = Counter()
    for each in capacities:
        if isinstance(each, InstanceSpec):
            asked[each.instance_type] += each.count
        else:
            asked[_SERVERLESS] = 1
            asked[_CONCURRENCY] += each.max_concurrency
    return dict(asked)


def concerns(quota: str, demand: Demand) -> bool:
    """Whether a quota applies to this demand: it does unless it is about something else in particular."""
    if _SERVERLESS in quota.lower():
        return _SERVERLESS in demand
    return not quota.startswith(_INSTANCES) or _type_of(quota) in demand


def asked_of(quota: str, demand: Demand) -> int:
    """How much of a quota a demand asks for; 1 of one that counts endpoints."""
    if quota.startswith(_INSTANCES):
        return demand.get(_type_of(quota), 0)
    return demand.get(_CONCURRENCY, 1) if _CONCURRENCY in quota.lower() else 1


def line(waiting: Iterable[Waiting], quota: str) -> list[Waiting]:
    """The claims that wait for a quota, in their order."""
    return sorted((each for each in waiting if each.quota == quota), key=lambda each: each.claim)


def may_try(mine: Waiting, waiting: Iterable[Waiting]) -> bool:
    """Whether a claim is tried: no older claim of another object asks for as little or less."""
    return mine.holds or not any(
        each.quota == mine.quota
        and each.claim < mine.claim
        and each.claim.uid != mine.claim.uid
        and each.asked <= mine.asked
        for each in waiting
    )


def refusal(mine: Waiting, waiting: Iterable[Waiting]) -> QuotaExceeded:
    """The error of a waiting claim: AWS's message about it, or its own numbers, and the position in the line."""
    everybody = line(waiting, mine.quota)
    position = ordinal(1 + everybody.index(mine))
    place = (
        f"The endpoint is {position} of {len(everybody)} waiting for {mine.quota or 'room'}; the operator tries again "
        "when it may fit. Delete endpoints that are not needed, or ask AWS to raise the quota."
    )
    return QuotaExceeded(f"{mine.words or _numbers(mine, everybody)} {place}")


def too_low(mine: Waiting) -> QuotaTooLow | None:
    """Why a claim can never be met, however much of the quota is free; None if it can."""
    usage = mine.usage
    if usage is None or usage.delta <= usage.limit:
        return None
    return QuotaTooLow(
        f"the endpoint asks for {usage.delta} {usage.unit}, but the account's quota '{mine.quota}' is {usage.limit}: "
        f"lower "
        "the number in spec.serving, or ask AWS to raise the quota; the operator tries again every half hour, and at "
        "once when the spec changes"
    )


def makes_room(error: QuotaExceeded, demand: Demand, running: Demand) -> str:
    """Why recreating an endpoint on instances gets past AWS's refusal of its update, in words; empty if it does not.

    It does if the new instances fit once those that are ``running`` are gone: otherwise the endpoint would be deleted
    only to wait behind others.
    """
    quota, usage = quota_of(error), Usage.of(error)
    if usage is None or not quota.startswith(_INSTANCES):
        return ""
    own, asked = asked_of(quota, running), asked_of(quota, demand)
    if not own or asked > usage.limit - (usage.used - own):
        return ""
    return (
        f"an update needs further instances beside those that serve, and the account's quota '{quota}' of "
        f"{usage.limit} has no room for them ({usage.used} in use)"
    )


def ordinal(number: int) -> str:
    """A position in words, such as 2nd."""
    ending = "th" if number % 100 in _TEENS else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _type_of(quota: str) -> str:
    return quota.partition(" ")[0]


def _numbers(mine: Waiting, everybody: Iterable[Waiting]) -> str:
    """The numbers of a claim that was not tried, as of AWS's last refusal of another one."""
    tried = max((each for each in everybody if each.words), key=lambda each: each.refused_at, default=None)
    if tried is None or tried.usage is None:
        return "The quota is used up, and older objects wait for it."
    usage = tried.usage
    return (
        f"The account's quota '{mine.quota}' is {usage.limit} {usage.unit}, of which {usage.used} are in use; the "
        f"endpoint asks for {mine.asked}."
    )
