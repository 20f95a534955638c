"""What objects cost together, what their ends and sleep save, and what would serve one of them for less. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, Self

from ephemeral_endpoints.api.v1alpha1.budgets import EndedCost
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.features.capacity.always_on import AlwaysOn, always_on, asked_cost
from ephemeral_endpoints.features.capacity.cost import usd
from ephemeral_endpoints.features.capacity.prices import SERVERLESS, of_class
from ephemeral_endpoints.features.capacity.spending import (
    Spent,
    counted_ends,
    of_month,
    of_object,
    of_this_month,
    recorded,
    repository_of,
    stayed,
)
from ephemeral_endpoints.features.serving.hosting import Hosting
from ephemeral_endpoints.features.serving.policy import refused_instances
from ephemeral_endpoints.features.serving.specs import InstanceSpec
from ephemeral_endpoints.features.subject import Subject

_LARGEST_SERVERLESS_GB: Final = 6
_NOTHING: Final = Spent()
_ENDED: Final = "ended objects"
_ACCELERATED: Final = re.compile(r"ml[.](g|p|inf|trn|dl)[0-9]")


class Grouping(StrEnum):
    """By what objects are summed up."""

    OBJECT = "object"
    REPOSITORY = "repository"
    OWNER = "owner"
    NAMESPACE = "namespace"
    CLASS = "class"


@dataclass(frozen=True, slots=True)
class By:
    """How groups are told apart: by the value of a ``tag`` in ``spec.tags`` if there is one, else by ``grouping``."""

    grouping: Grouping
    tag: str | None = None

    def name(self, endpoint: EphemeralEndpoint) -> str:
        """The group of an object."""
        namespace, repository = repository_of(endpoint)
        if self.tag:
            return endpoint.spec.tags.get(self.tag, "")
        return self._of(namespace, repository, endpoint.spec.class_name or "", endpoint.metadata.name)

    def name_ended(self, cost: EndedCost, class_name: str) -> str:
        """The group of objects that are gone, whose names and tags nobody remembers."""
        if self.tag:
            return _ENDED
        return self._of(cost.namespace, cost.repository, class_name, f"{_ENDED} {cost.repository}".rstrip())

    def _of(self, namespace: str, repository: str, class_name: str, name: str) -> str:
        return {
            Grouping.OBJECT: f"{namespace}/{name}",
            Grouping.REPOSITORY: repository,
            Grouping.OWNER: repository.rpartition("/")[0],
            Grouping.NAMESPACE: namespace,
            Grouping.CLASS: class_name,
        }[self.grouping]


@dataclass(frozen=True, slots=True)
class Line:
    """What some objects cost, in USD: an hour, in their lives, and in this month; and what they save in it.

    ``objects`` are those that exist; the costs of the month and what is saved are also of those that are gone. What is
    not complete is at least that.
    """

    name: str
    objects: int = 0
    hourly: Spent = _NOTHING
    accrued: Spent = _NOTHING
    month: Spent = _NOTHING
    saved: Spent = _NOTHING

    @property
    def always_on(self) -> Spent:
        """What they would cost in the month if nothing ended or slept."""
        return self.month + self.saved

    @property
    def is_complete(self) -> bool:
        """Whether everything is known of all objects."""
        return all(each.is_complete for each in (self.hourly, self.accrued, self.month, self.saved))

    def __add__(self, other: Self) -> "Line":
        """Both together, under the name of this one."""
        return Line(
            self.name,
            self.objects + other.objects,
            self.hourly + other.hourly,
            self.accrued + other.accrued,
            self.month + other.month,
            self.saved + other.saved,
        )


def lines(
    endpoints: Iterable[EphemeralEndpoint],
    classes: Iterable[EphemeralEndpointClass],
    by: By,
    now: datetime,
    *,
    namespace: str | None = None,
) -> list[Line]:
    """A line for each group, the dearest of the month first.

    Of classes that are not given, it is not known what is saved, nor what has ended in them. With ``namespace`` only
    what has ended there counts.
    """
    by_name = {each.metadata.name: each for each in classes}
    counted = {uid for each in by_name.values() for uid in counted_ends(each.status.ended_costs, now)}
    found: dict[str, Line] = {}
    for each in endpoints:
        if each.metadata.uid not in counted:
            _add(found, by.name(each), _line(each, by_name.get(each.spec.class_name or ""), now))
    for class_name, endpoint_class in by_name.items():
        for cost in of_this_month(endpoint_class.status.ended_costs, now).costs:
            if namespace in (None, cost.namespace):
                _add(found, by.name_ended(cost, class_name), _line_ended(cost, now))
    return sorted(found.values(), key=lambda line: (-line.month.usd, -line.hourly.usd, line.name))


def total(found: Iterable[Line]) -> Line:
    """All lines together."""
    return sum(found, Line("TOTAL"))


def uncounted(classes: Iterable[EphemeralEndpointClass]) -> list[str]:
    """The names of classes that keep no record of what ended objects cost."""
    return sorted(each.metadata.name for each in classes if not each.spec.budgets.is_monthly)


def saved(month: Spent, always: AlwaysOn | None, now: datetime) -> Spent:
    """What ends and sleep have saved in the month of ``now``: what is always on would cost, less what it did cost.

    What cost nothing in the month saves nothing: nobody knows that it would be on. An update, in which old and new
    instances run, costs more than it saves.
    """
    if not month.is_complete:
        return Spent(is_complete=False)
    if not month.usd:
        return _NOTHING
    return Spent(is_complete=False) if always is None else Spent(always.until(now) - month.usd)


def _add(found: dict[str, Line], name: str, line: Line) -> None:
    found[name] = found.get(name, Line(name)) + line


def _line(endpoint: EphemeralEndpoint, endpoint_class: EphemeralEndpointClass | None, now: datetime) -> Line:
    cost = endpoint.status.cost
    hourly = usd(cost.hourly_usd) if cost else None
    of_life, month = of_object(endpoint, now), of_month(endpoint, now)
    if cost is None:
        of_life = month = Spent(is_complete=False)
    always = always_on(Subject("", endpoint, endpoint_class), now) if endpoint_class else None
    return Line("", 1, Spent(hourly or Decimal(0), hourly is not None), of_life, month, saved(month, always, now))


def _line_ended(cost: EndedCost, now: datetime) -> Line:
    month = recorded(cost)
    return Line("", month=month, saved=saved(month, stayed(cost), now))


@dataclass(frozen=True, slots=True)
class Alternative:
    """Capacity that costs less if the model fits: what it is, and the arithmetic."""

    words: str
    arithmetic: str


def alternatives(subject: Subject) -> Iterator[Alternative]:
    """What would cost less, as far as prices are known and the class allows it; the cheapest of each way."""
    asked, capacity = asked_cost(subject), Hosting.of(subject, {}).capacity
    if not isinstance(capacity, InstanceSpec) or capacity.fallback_types or asked.hourly is None:
        return
    prices = of_class(subject.endpoint_class)
    price = prices[capacity.instance_type]
    family = capacity.instance_type.rpartition(".")[0]
    smaller = sorted(
        (each.usd, type_)
        for type_, each in prices.items()
        if type_.rpartition(".")[0] == family and each.usd < price.usd and _is_allowed(subject, type_)
    )
    if smaller:
        cheapest, type_ = smaller[0]
        yield Alternative(type_, f"${cheapest:f} instead of ${price.usd:f} per hour and instance")
    serverless = prices.get(SERVERLESS)
    if serverless and _may_be_serverless(subject):
        second = serverless.usd * _LARGEST_SERVERLESS_GB
        seconds = asked.usd / second
        yield Alternative(
            f"serverless, {_LARGEST_SERVERLESS_GB} GB",
            f"less while it computes less than {min(seconds, Decimal(3600)):.0f} s an hour: "
            f"${asked.usd.normalize():f} / ({_LARGEST_SERVERLESS_GB} x {serverless})",
        )


def _is_allowed(subject: Subject, type_: str) -> bool:
    serving = subject.endpoint.spec.serving
    instances = serving.instances and serving.instances.model_copy(update={"type": type_})
    changed = serving.model_copy(update={"instances": instances})
    return refused_instances(changed, subject.endpoint_class.spec.instances) is None


def _may_be_serverless(subject: Subject) -> bool:
    serving, network = subject.endpoint.spec.serving, subject.endpoint_class.spec.network
    needs = serving.asynchronous or serving.network or network.needs_instances or serving.variants
    return not needs and not any(map(_ACCELERATED.match, serving.instances.types if serving.instances else ()))
