"""Prices in USD, each with its date and source, from a table that ``make prices`` renews.

A price holds in its region only. What the table does not have is not known, and is not guessed.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClassSpec

FILE: Final = "prices.csv"
COLUMNS: Final = ("region", "item", "unit", "usd", "date", "source")

SERVERLESS: Final = "serverless"
"""What a serverless endpoint computes, by its memory."""

PROVISIONED: Final = "provisioned concurrency"
"""Serverless capacity that is kept warm, by its memory, in the words of the bill."""

MONTH_HOURS: Final = Decimal(730)
"""The hours of a month, as AWS's price calculator counts them."""

VOLUME: Final = "volume"
"""The disks of instances."""


class Unit(StrEnum):
    """What a price is for."""

    HOUR = "hour"
    GB_SECOND = "GB-second"
    GB_MONTH = "GB-month"

    @property
    def per_hour(self) -> Decimal:
        """How many of it are an hour of one instance or GB."""
        return {Unit.HOUR: Decimal(1), Unit.GB_SECOND: Decimal(3600), Unit.GB_MONTH: 1 / MONTH_HOURS}[self]


@dataclass(frozen=True, slots=True)
class Price:
    """A price in USD. ``date`` is the day, month or year that it is of, as far as its source tells."""

    usd: Decimal
    unit: Unit
    date: str
    source: str

    def __str__(self) -> str:
        """The price with its unit."""
        return f"${self.usd:f} per {self.unit}"


Prices = Mapping[str, Price]
"""The prices of a region, by instance type or other item."""


def read(rows: Iterable[Mapping[str, str]]) -> Mapping[str, Prices]:
    """Prices by region. Raises ValueError for a row that is no price, or a second one of an item."""
    found: dict[str, dict[str, Price]] = {}
    for row in rows:
        of_region = found.setdefault(row["region"], {})
        price = Price(Decimal(row["usd"]), Unit(row["unit"]), row["date"], row["source"])
        if row["item"] in of_region or not price.usd > 0:
            raise ValueError(f"{row['region']} {row['item']}: a second price, or one that is not positive")
        of_region[row["item"]] = price
    return MappingProxyType(found)


@cache
def table() -> Mapping[str, Prices]:
    """The table of this version, by region."""
    text = resources.files("ephemeral_endpoints.features.capacity").joinpath(FILE).read_text("utf-8")
    return read(csv.DictReader(text.splitlines()))


def regions() -> list[str]:
    """The regions that the table has prices of."""
    return sorted(table())


def of_region(region: str) -> Prices:
    """The table's prices of a region; none if it has none."""
    return table().get(region, {})


def of_class(spec: EphemeralEndpointClassSpec) -> Prices:
    """The prices of a class: its own take precedence over the table's."""
    own = {type_: Price(Decimal(usd), Unit.HOUR, "", "spec.prices of the class") for type_, usd in spec.prices.items()}
    return {**of_region(spec.region), **own}
