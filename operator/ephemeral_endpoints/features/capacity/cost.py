"""The cost of running capacity: instances cost by the hour, whether they are used or not."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Final

from ephemeral_endpoints.engine.resources import ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.features.capacity.prices import (
    PROVISIONED,
    SERVERLESS,
    VOLUME,
    Price,
    Prices,
    Unit,
    amount_of,
)
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    EndpointConfigSpec,
    InstanceSpec,
    ServerlessSpec,
)

PLACES: Final = Decimal("0.0001")
_FEWEST_PLACES: Final = Decimal("0.01")
_INFINITE: Final = Decimal("Infinity")

Capacities = tuple[ServerlessSpec | InstanceSpec, ...]
"""The instances of a configuration's variants, with counts."""


@dataclass(frozen=True, slots=True)
class Part:
    """Capacity that is charged by time: ``quantity`` instances or GB, and the price of each; None if it is not known.

    ``words`` say what it is. A ``minor`` part without a price does not make the sum unknown.
    """

    item: str
    words: str
    quantity: Decimal
    price: Price | None
    is_minor: bool = False

    @property
    def usd(self) -> Decimal:
        """USD per hour; 0 if the price is not known."""
        return self.quantity * self.price.usd * self.price.unit.per_hour if self.price else Decimal(0)

    @property
    def formula(self) -> str:
        """How its USD per hour come about."""
        if self.price is None:
            return "not known"
        return f"{self.quantity.normalize():f} x {self.price}{_PER_HOUR[self.price.unit]}"


_PER_HOUR: Final = {Unit.HOUR: "", Unit.GB_SECOND: " x 3600", Unit.GB_MONTH: " / 730"}


@dataclass(frozen=True, slots=True)
class HourlyCost:
    """The cost of capacity per hour. ``is_bound`` if it may be less: other types may run than those that it counts."""

    parts: tuple[Part, ...] = ()
    is_bound: bool = False

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The running capacity whose price is not known."""
        return tuple(each.item for each in self.parts if each.price is None and not each.is_minor)

    @property
    def hourly(self) -> str | None:
        """USD per hour with two to four decimals; None if it is not known."""
        return None if self.unpriced else amount(self.usd)

    @property
    def usd(self) -> Decimal:
        """USD per hour, as far as they are known."""
        return sum((each.usd for each in self.parts), Decimal(0))

    def __str__(self) -> str:
        """In words that follow "it costs"."""
        if not self.parts:
            return "nothing"
        words = ", ".join(each.words for each in self.parts)
        if self.unpriced:
            return f"an unknown amount, because the class has no price for {' and '.join(self.unpriced)} ({words})"
        return f"{'at most ' if self.is_bound else ''}${amount(self.usd)} an hour ({words})"


def amount(usd: Decimal) -> str:
    """An amount with two to four decimals."""
    exact = usd.quantize(PLACES)
    short = exact.quantize(_FEWEST_PLACES)
    return str(short) if short == exact else str(exact).rstrip("0")


def capacities(config: EndpointConfigSpec) -> Capacities:
    """The capacity that a configuration requests."""
    return tuple(variant.capacity for variant in config.variants)


def usd(text: str | None) -> Decimal | None:
    """An amount of a status; None if there is none, or if it is no amount."""
    return amount_of(text) if text else None


def hourly_cost(asked: Iterable[ServerlessSpec | InstanceSpec], prices: Prices) -> HourlyCost:
    """The hourly cost of capacity, whether it is used or not.

    Of several types that may run, the dearest counts: SageMaker falls back whenever it adds an instance, which changes
    nothing that lists show. One without a price counts before all that have one.
    """
    instances: Counter[str] = Counter()
    volumes, warm, warm_mb, is_bound = 0, 0, 0, False
    for capacity in asked:
        if isinstance(capacity, InstanceSpec):
            types = (capacity.instance_type, *capacity.fallback_types)
            instances[max(types, key=lambda type_: prices[type_].usd if type_ in prices else _INFINITE)] += (
                capacity.count
            )
            volumes += capacity.count * (capacity.volume_size_gb or 0)
            is_bound = is_bound or len(types) > 1
        elif capacity.provisioned_concurrency:
            warm += capacity.provisioned_concurrency
            warm_mb += capacity.provisioned_concurrency * capacity.memory_mb
    parts = [
        Part(type_, f"{count} x {type_}", Decimal(count), prices.get(type_))
        for type_, count in sorted(instances.items())
    ]
    if warm:
        parts.append(Part(PROVISIONED, f"{warm} x {PROVISIONED}", Decimal(warm_mb) / 1024, prices.get(PROVISIONED)))
    if volumes:
        words = f"{volumes} GB of volumes"
        parts.append(Part(VOLUME, words, Decimal(volumes), prices.get(VOLUME), is_minor=True))
    return HourlyCost(tuple(parts), is_bound)


def running_capacity(own: ObservedResources, known: Mapping[str, Capacities]) -> Capacities | None:
    """The capacity of endpoints, by the configurations that they use; ``known`` maps names to requested capacity.

    During an update both sides run. A failed endpoint does not run. None if a configuration is not known.
    """
    used = [name for observed in own.values() for name in _configs(observed)]
    if not known.keys() >= set(used):
        return None
    return tuple(capacity for name in used for capacity in known[name])


def _configs(observed: ObservedResource) -> list[str]:
    if observed.key.kind is not ENDPOINT or observed.phase is Phase.FAILED:
        return []
    return sorted(key.name for key in observed.uses if key.kind is ENDPOINT_CONFIG)


def of_build(seconds: float, price_per_minute: str) -> Decimal:
    """The cost of a build of CodeBuild in USD: each started minute counts.

    Source: https://aws.amazon.com/codebuild/pricing/.
    """
    return ceil(seconds / 60) * Decimal(price_per_minute)


def of_serverless_requests(count: int, memory_mb: int, seconds: float, prices: Prices) -> Decimal | None:
    """The cost in USD of requests that take ``seconds`` each on a serverless endpoint; None if that is not known.

    Data that goes in and out is charged beside it.
    """
    price = prices.get(SERVERLESS)
    return count * Decimal(memory_mb) / 1024 * Decimal(str(seconds)) * price.usd if price else None
