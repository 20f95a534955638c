"""The prices that classes have of AWS's Price List: read once a day for each region, and kept in statuses.

A list that cannot be read changes nothing that is known: what was read last counts, also after a restart.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.prices import ListedPrice, ListedPrices, PriceSource
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.clients import Access
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.errors import AwsError
from ephemeral_endpoints.engine.reasons import Finality, ReasonGroup
from ephemeral_endpoints.features.capacity.price_list import NotAPriceListError, listed
from ephemeral_endpoints.features.capacity.prices import Price
from ephemeral_endpoints.iam.statement import Statement

PRICES_CURRENT: Final = "PricesCurrent"

DAY: Final = timedelta(days=1)
RETRY_SECONDS: Final = 3600.0

STATEMENTS: Final = (
    Statement(
        "ReadPrices",
        ("pricing:GetProducts",),
        ("*",),
        "The prices of classes with `priceSource: PriceList`. The action supports no resource types.",
    ),
)
"""https://docs.aws.amazon.com/service-authorization/latest/reference/list_awspricelist.html"""

REASONS: Final = ReasonGroup(PRICES_CURRENT)

READ: Final = REASONS.normal(
    "PricesRead",
    meaning="The prices of AWS's Price List were read within a day. The message has the day of publication.",
)
UNREAD: Final = REASONS.for_platform(
    "PricesUnread",
    finality=Finality.RECOVERABLE,
    meaning="AWS's Price List cannot be read. What was read of it earlier counts still, else the built-in table; the "
    "message says which.",
    remedy="allow the operator's role `pricing:GetProducts` and its network the Price List API, or set `priceSource` "
    "of the class to `Table`; the operator tries again within an hour",
)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a list could not be read, and when it is tried again, in monotonic seconds."""

    retry_at: float
    described: str


class PriceLists:
    """Reads price lists, each for all classes of its region. ``now`` is in UTC, ``clock`` monotonic seconds."""

    def __init__(self, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        self._now = now
        self._clock = clock
        self._read: dict[str, ListedPrices] = {}
        self._failures: dict[Access, _Failure] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def look(self, endpoint_class: EphemeralEndpointClass, account: Account) -> None:
        """Read the list of a class's region if the class asks for it and it is due. Raises nothing."""
        region, access = endpoint_class.spec.region, Access.of(endpoint_class)
        async with self._locks[region]:
            due = self.due_in(endpoint_class)
            if due is None or due > 0:
                return
            try:
                pricing = await asyncio.to_thread(account.clients.pricing)
                found = await listed(account.calls, pricing, region)
            except (AwsError, NotAPriceListError) as error:
                described = error.described if isinstance(error, AwsError) else str(error)
                self._failures[access] = _Failure(self._clock() + RETRY_SECONDS, described)
            else:
                self._read[region] = in_status(found, self._now())
                self._failures.pop(access, None)

    def known(self, endpoint_class: EphemeralEndpointClass) -> ListedPrices | None:
        """What was read of the list of a class's region last; None if nothing was, or the class does not ask for it."""
        if not _asks(endpoint_class):
            return None
        candidates = (self._read.get(endpoint_class.spec.region), endpoint_class.status.prices)
        return max((each for each in candidates if each), key=self._left, default=None)

    def condition(self, endpoint_class: EphemeralEndpointClass) -> ConditionUpdate | None:
        """Whether the list could be read; None if the class does not ask for it, or nothing was tried yet."""
        if not _asks(endpoint_class):
            return None
        known, failure = self.known(endpoint_class), self._failures.get(Access.of(endpoint_class))
        is_due = known is None or self._left(known) <= 0
        return judged(endpoint_class.spec.region, known, failure.described if failure and is_due else None)

    def due_in(self, endpoint_class: EphemeralEndpointClass) -> float | None:
        """In how many seconds the list is to be read; None if the class does not ask for it, or is deleted."""
        if not _asks(endpoint_class) or endpoint_class.metadata.deletion_timestamp is not None:
            return None
        known, failure = self.known(endpoint_class), self._failures.get(Access.of(endpoint_class))
        until_retry = failure.retry_at - self._clock() if failure else 0.0
        return max(0.0, self._left(known) if known else 0.0, until_retry)

    def _left(self, prices: ListedPrices) -> float:
        """For how many seconds prices count as current; those that a clock which was ahead has read do not at all."""
        age = self._now() - prices.read_at
        return (DAY - age).total_seconds() if age >= timedelta(0) else 0.0


def judged(region: str, known: ListedPrices | None, failure: str | None) -> ConditionUpdate | None:
    """The condition, by what is ``known`` of the list and the ``failure`` to read it; None if nothing was tried yet."""
    if failure is not None:
        count = f"its prices of {known.published_on} count" if known else "those of the built-in table count"
        message = (
            f"AWS's Price List cannot be read: {failure}; {count} meanwhile, and prices of the class before them. The "
            "operator tries again within an hour"
        )
        return ConditionUpdate.of(PRICES_CURRENT, ConditionStatus.FALSE, Cause(UNREAD, message))
    if known is None:
        return None
    message = (
        f"AWS's Price List of {known.published_on} counts, with {len(known.items)} prices of {region}; the operator "
        "reads it once a day"
    )
    return ConditionUpdate.of(PRICES_CURRENT, ConditionStatus.TRUE, Cause(READ, message))


def in_status(found: Mapping[str, Price], now: datetime) -> ListedPrices:
    """Prices as the status of a class has them, read at ``now``; of several days the oldest is named."""
    return ListedPrices(
        published_on=min((each.date for each in found.values()), default=""),
        read_at=now,
        items={
            item: ListedPrice(usd=f"{each.usd:f}", unit=each.unit, source=each.source) for item, each in found.items()
        },
    )


def _asks(endpoint_class: EphemeralEndpointClass) -> bool:
    return endpoint_class.spec.price_source is PriceSource.PRICE_LIST
