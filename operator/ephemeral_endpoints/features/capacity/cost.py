"""The cost of running capacity: instances cost by the hour, whether they are used or not."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from types import MappingProxyType
from typing import Final

from ephemeral_endpoints.engine.resources import ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    EndpointConfigSpec,
    InstanceSpec,
    ServerlessSpec,
)

PRICES: Final[Mapping[str, Decimal]] = MappingProxyType(
    {"ml.t2.medium": Decimal("0.056"), "ml.m5.large": Decimal("0.115"), "ml.g4dn.xlarge": Decimal("0.736")}
)
"""Price of an instance for real-time inference in us-east-1 in USD per hour, as of November 2026.

Source: https://aws.amazon.com/sagemaker/ai/pricing/. A class's ``prices`` adds and overrides prices.
"""

PROVISIONED: Final = "provisioned concurrency"
"""Provisioned serverless capacity, in the words of the bill."""

_PLACES: Final = Decimal("0.0001")
_FEWEST_PLACES: Final = Decimal("0.01")

Capacities = tuple[ServerlessSpec | InstanceSpec, ...]
"""The instances of a configuration's variants, with counts."""


@dataclass(frozen=True, slots=True)
class HourlyCost:
    """The cost of instances per hour. ``unpriced`` names running capacity without a known price.

    ``is_bound`` if it may be less, since other types may run than those that it counts.
    """

    usd: Decimal = Decimal(0)
    instances: tuple[tuple[str, int], ...] = ()
    unpriced: tuple[str, ...] = ()
    is_bound: bool = False

    @property
    def hourly(self) -> str | None:
        """USD per hour with two to four decimals; None if it is not known."""
        return None if self.unpriced else amount(self.usd)

    def __str__(self) -> str:
        """In words that follow "it costs"."""
        if not self.instances and not self.unpriced:
            return "nothing"
        instances = ", ".join(f"{count} x {type_}" for type_, count in self.instances)
        if self.unpriced:
            return f"an unknown amount, because the class has no price for {' and '.join(self.unpriced)} ({instances})"
        return f"{'at most ' if self.is_bound else ''}${amount(self.usd)} an hour ({instances})"


def amount(usd: Decimal) -> str:
    """An amount with two to four decimals."""
    exact = usd.quantize(_PLACES)
    short = exact.quantize(_FEWEST_PLACES)
    return str(short) if short == exact else str(exact).rstrip("0")


def capacities(config: EndpointConfigSpec) -> Capacities:
    """The capacity that a configuration requests."""
    return tuple(variant.capacity for variant in config.variants)


def hourly_cost(asked: Iterable[ServerlessSpec | InstanceSpec], own_prices: Mapping[str, Decimal]) -> HourlyCost:
    """The hourly cost of capacity, whether it is used or not. ``own_prices`` take precedence over ``PRICES``.

    Of several types that may run, the dearest counts: SageMaker falls back whenever it adds an instance, which changes
    nothing that lists show. One without a price counts before all that have one.
    """
    prices = {**PRICES, **own_prices}
    counts: Counter[str] = Counter()
    is_bound = False
    for capacity in asked:
        if isinstance(capacity, InstanceSpec):
            types = (capacity.instance_type, *capacity.fallback_types)
            counts[max(types, key=lambda type_: prices.get(type_, Decimal("Infinity")))] += capacity.count
            is_bound = is_bound or len(types) > 1
        elif capacity.provisioned_concurrency:
            counts[PROVISIONED] += capacity.provisioned_concurrency
    usd = sum((prices[type_] * count for type_, count in counts.items() if type_ in prices), Decimal(0))
    return HourlyCost(usd, tuple(sorted(counts.items())), tuple(sorted(counts.keys() - prices.keys())), is_bound)


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
