"""What an object would cost if its endpoint was always on: what is saved is the difference to that. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Self

from ephemeral_endpoints.features.capacity.accrual import month_start
from ephemeral_endpoints.features.capacity.cost import HourlyCost, hourly_cost
from ephemeral_endpoints.features.capacity.prices import of_class
from ephemeral_endpoints.features.serving.hosting import Hosting
from ephemeral_endpoints.features.subject import Subject


@dataclass(frozen=True, slots=True)
class AlwaysOn:
    """Endpoints that nobody stops, within one month, in USD.

    They cost ``hourly`` an hour together; ``late`` is what they would have cost between the beginning of the month and
    their creation.
    """

    hourly: Decimal = Decimal(0)
    late: Decimal = Decimal(0)

    def __add__(self, other: Self) -> "AlwaysOn":
        """Both together."""
        return AlwaysOn(self.hourly + other.hourly, self.late + other.late)

    def until(self, now: datetime) -> Decimal:
        """What they cost in the month of ``now`` so far."""
        return max(self.hourly * hours(month_start(now), now) - self.late, Decimal(0))


def always_on(subject: Subject, now: datetime) -> AlwaysOn | None:
    """An endpoint with the capacity that the object asks for, on since its creation; None if a price is not known."""
    asked = asked_cost(subject)
    if asked.unpriced:
        return None
    return AlwaysOn(asked.usd, asked.usd * hours(month_start(now), subject.created_at))


def asked_cost(subject: Subject) -> HourlyCost:
    """What the capacity that the object asks for costs an hour."""
    capacity = Hosting.of(subject, {}).capacity
    variants = max(1, len(subject.endpoint.spec.serving.variants))
    return hourly_cost([capacity] * variants, of_class(subject.endpoint_class))


def hours(start: datetime, end: datetime) -> Decimal:
    """The hours between two times, to the second; none if the end is not later."""
    return Decimal(max(end - start, timedelta(0)) // timedelta(seconds=1)) / 3600
