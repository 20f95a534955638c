"""What stands costs: instances by the hour, whether anybody calls them or not."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from types import MappingProxyType
from typing import Final

from ephemeral_endpoints.core.resources import (
    EndpointConfigSpec,
    Have,
    Haves,
    InstanceSpec,
    Kind,
    Phase,
    ServerlessSpec,
)

PRICES: Final[Mapping[str, Decimal]] = MappingProxyType(
    {"ml.t2.medium": Decimal("0.056"), "ml.m5.large": Decimal("0.115"), "ml.g4dn.xlarge": Decimal("0.736")}
)
"""USD an hour for an instance of real-time inference in us-east-1, as of November 2026.

Source: https://aws.amazon.com/sagemaker/ai/pricing/. A class's ``prices`` adds others and says what its region costs.
"""

PROVISIONED: Final = "provisioned concurrency"
"""Serverless capacity that is kept warm, in the words of the bill."""

_PLACES: Final = Decimal("0.0001")
_FEWEST_PLACES: Final = Decimal("0.01")

Capacities = tuple[ServerlessSpec | InstanceSpec, ...]
"""What the variants of a configuration run on."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What so many instances cost an hour. ``unpriced`` names what stands too and has no known price."""

    usd: Decimal = Decimal(0)
    instances: tuple[tuple[str, int], ...] = ()
    unpriced: tuple[str, ...] = ()

    @property
    def hourly(self) -> str | None:
        """USD an hour with two to four decimals; None if it is not known."""
        return None if self.unpriced else amount(self.usd)

    def __str__(self) -> str:
        """In words that follow "it costs"."""
        if not self.instances and not self.unpriced:
            return "nothing"
        what = ", ".join(f"{count} x {type_}" for type_, count in self.instances)
        if self.unpriced:
            return f"what the class's prices do not tell of {' and '.join(self.unpriced)} ({what})"
        return f"${amount(self.usd)} an hour ({what})"


def amount(usd: Decimal) -> str:
    """An amount with two to four decimals."""
    exact = usd.quantize(_PLACES)
    short = exact.quantize(_FEWEST_PLACES)
    return str(short) if short == exact else str(exact).rstrip("0")


def capacities(config: EndpointConfigSpec) -> Capacities:
    """What a configuration asks for."""
    return tuple(variant.capacity for variant in config.variants)


def bill(asked: Iterable[ServerlessSpec | InstanceSpec], own_prices: Mapping[str, Decimal]) -> Bill:
    """What capacities cost an hour for being there. ``own_prices`` come before those that are known."""
    counts: Counter[str] = Counter()
    for capacity in asked:
        if isinstance(capacity, InstanceSpec):
            counts[capacity.instance_type] += capacity.count
        elif capacity.provisioned_concurrency:
            counts[PROVISIONED] += capacity.provisioned_concurrency
    prices = {**PRICES, **own_prices}
    usd = sum((prices[type_] * count for type_, count in counts.items() if type_ in prices), Decimal(0))
    return Bill(usd, tuple(sorted(counts.items())), tuple(sorted(counts.keys() - prices.keys())))


def standing(own: Haves, known: Mapping[str, Capacities]) -> Capacities | None:
    """What stands, by the configurations that endpoints use; ``known`` is what those ask for, by their names.

    A change has both sides standing. What failed does not. None if a configuration is not known.
    """
    used = [name for have in own.values() for name in _configs(have)]
    if not known.keys() >= set(used):
        return None
    return tuple(capacity for name in used for capacity in known[name])


def _configs(have: Have) -> list[str]:
    if have.key.kind is not Kind.ENDPOINT or have.phase is Phase.FAILED:
        return []
    return sorted(key.name for key in have.uses if key.kind is Kind.ENDPOINT_CONFIG)


def of_build(seconds: float, price_per_minute: str) -> Decimal:
    """What a build of CodeBuild costs in USD: minutes that have begun count whole.

    Source: https://aws.amazon.com/codebuild/pricing/.
    """
    return ceil(seconds / 60) * Decimal(price_per_minute)
