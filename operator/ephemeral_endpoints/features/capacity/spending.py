"""What objects have cost together, those that are gone included. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, Self

from ephemeral_endpoints.api.v1alpha1.budgets import MOST_SPENDERS, CountedObject, EndedCost, EndedCosts
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_status import Cost
from ephemeral_endpoints.features.capacity.accrual import accrued, is_incomplete, month_to_date
from ephemeral_endpoints.features.capacity.always_on import AlwaysOn
from ephemeral_endpoints.features.capacity.cost import PLACES, amount, usd

Repository = tuple[str, str]
"""A namespace, and a repository in lower case: that of another namespace is another one."""

Group = tuple[str, ...]
"""A ``Repository``, the namespace alone, or () for the class."""

EVERYTHING: Final[Group] = ()


@dataclass(frozen=True, slots=True)
class Spent:
    """An amount in USD; it is at least that unless it ``is_complete``: some prices are not known."""

    usd: Decimal = Decimal(0)
    is_complete: bool = True

    def __add__(self, other: Self) -> "Spent":
        return Spent(self.usd + other.usd, self.is_complete and other.is_complete)


def of_object(endpoint: EphemeralEndpoint, now: datetime) -> Spent:
    """What an object has cost in its life."""
    return _spent(endpoint.status.cost, accrued(endpoint.status.cost, now))


def of_month(endpoint: EphemeralEndpoint, now: datetime) -> Spent:
    """What it has cost in the calendar month of ``now``."""
    return _spent(endpoint.status.cost, month_to_date(endpoint.status.cost, now))


def repository_of(endpoint: EphemeralEndpoint) -> Repository:
    """The repository of an object."""
    return endpoint.metadata.namespace or "", endpoint.spec.source.repository.lower()


def by_group(endpoints: Iterable[EphemeralEndpoint], ended: EndedCosts | None, now: datetime) -> Mapping[Group, Spent]:
    """What the groups of a class have cost in the month of ``now``, by its objects and those that are gone."""
    found: defaultdict[Group, Spent] = defaultdict(Spent)
    for (namespace, repository), spent in (*_living(endpoints, ended, now), *_gone(ended, now)):
        for group in ((namespace, repository), (namespace,), EVERYTHING):
            found[group] += spent
    return found


def with_ended(
    before: EndedCosts | None,
    endpoint: EphemeralEndpoint,
    now: datetime,
    *,
    still_there: frozenset[str],
    always_on: AlwaysOn | None = None,
) -> EndedCosts:
    """The costs of a class with those of an object that is about to be forgotten. It counts once, however often.

    ``still_there`` are the UIDs of objects that may be counted again. Objects of other months do not count any more.
    ``always_on`` is what it would cost without its end; None if that is not known.
    """
    kept = of_this_month(before, now)
    uid, namespace = endpoint.metadata.uid, endpoint.metadata.namespace or ""
    if any(each.uid == uid for each in kept.counted):
        return kept
    costs = {(each.namespace, each.repository): (recorded(each), stayed(each)) for each in kept.costs}
    spent, group = of_month(endpoint, now), repository_of(endpoint)
    if group not in costs and len(costs) >= MOST_SPENDERS:
        group = (namespace, "")
    if spent != Spent():
        total, others = costs.get(group, (Spent(), AlwaysOn()))
        costs[group] = total + spent, others + always_on if others and always_on else None
    return EndedCosts(
        month=kept.month,
        costs=tuple(_record(*group, *costs[group]) for group in sorted(costs)),
        counted=(
            *(each for each in kept.counted if each.uid in still_there),
            CountedObject(uid=uid, namespace=namespace),
        ),
    )


def of_this_month(ended: EndedCosts | None, now: datetime) -> EndedCosts:
    """The costs of what is gone, if they are of the month of ``now``; else none."""
    return ended if ended and ended.month == _month(now) else EndedCosts(month=_month(now))


def counted_ends(ended: EndedCosts | None, now: datetime) -> frozenset[str]:
    """The UIDs of objects that are counted there, and may not be gone yet."""
    return frozenset(each.uid for each in of_this_month(ended, now).counted)


def recorded(cost: EndedCost) -> Spent:
    """What those that are gone have cost."""
    known = usd(cost.usd)
    return Spent(known or Decimal(0), known is not None and not cost.incomplete)


def stayed(cost: EndedCost) -> AlwaysOn | None:
    """What they would cost if they were on still; None if that is not known of all of them."""
    hourly, late = usd(cost.always_on_hourly_usd), usd(cost.always_on_late_usd)
    return None if hourly is None or late is None else AlwaysOn(hourly, late)


def _living(
    endpoints: Iterable[EphemeralEndpoint], ended: EndedCosts | None, now: datetime
) -> Iterator[tuple[Repository, Spent]]:
    counted = counted_ends(ended, now)
    for each in endpoints:
        if each.metadata.uid not in counted:
            yield repository_of(each), of_month(each, now)


def _gone(ended: EndedCosts | None, now: datetime) -> Iterator[tuple[Repository, Spent]]:
    for each in of_this_month(ended, now).costs:
        yield (each.namespace, each.repository), recorded(each)


def _spent(cost: Cost | None, total: Decimal | None) -> Spent:
    if cost is None:
        return Spent()
    return Spent(total or Decimal(0), total is not None and not is_incomplete(cost))


def _record(namespace: str, repository: str, spent: Spent, others: AlwaysOn | None) -> EndedCost:
    # Rounded so that no more is saved than there is.
    return EndedCost(
        namespace=namespace,
        repository=repository,
        usd=amount(spent.usd.quantize(PLACES, ROUND_CEILING)),
        incomplete=not spent.is_complete,
        always_on_hourly_usd=amount(others.hourly.quantize(PLACES, ROUND_FLOOR)) if others else None,
        always_on_late_usd=amount(others.late.quantize(PLACES, ROUND_CEILING)) if others else None,
    )


def _month(now: datetime) -> str:
    return f"{now:%Y-%m}"
