"""Prices in USD, each with its date and source: of the class, of AWS's Price List, or of a table.

``make prices`` renews the table. A price holds in its region only. What none of them has is not known, and is not
guessed.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.prices import ListedPrices, PriceSource

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

API_REQUEST: Final = "API request"
"""A request to an HTTP API of API Gateway, for each 512 KB that have begun."""

LAMBDA_REQUEST: Final = "Lambda request"
LAMBDA_SECOND: Final = "Lambda compute"
"""An invocation of a function on x86, and what it computes, by its memory."""

ALARM: Final = "alarm"
"""An alarm on one metric whose periods are a minute or longer."""

LOGS_INGESTED: Final = "logs ingested"
LOGS_STORED: Final = "logs stored"
"""What is written to log groups of the class Standard, before it is compressed, and what they keep, compressed."""

IMAGES: Final = "images"
"""What a private repository of ECR keeps."""

MODEL_DATA: Final = "model data"
"""What a bucket keeps in S3 Standard, at the price of the first 50 TB."""

OF_OTHER_SERVICES: Final = frozenset(
    {API_REQUEST, LAMBDA_REQUEST, LAMBDA_SECOND, ALARM, LOGS_INGESTED, LOGS_STORED, IMAGES, MODEL_DATA}
)
"""What the price list of SageMaker does not have."""


_MOST_USD: Final = Decimal(10) ** 9


class Unit(StrEnum):
    """What a price is for."""

    HOUR = "hour"
    GB_SECOND = "GB-second"
    GB = "GB"
    GB_MONTH = "GB-month"
    ALARM_MONTH = "alarm-month"
    REQUEST = "request"

    @property
    def per_hour(self) -> Decimal:
        """How many of it are an hour of one instance or GB. Raises KeyError for what capacity is not priced in."""
        return {Unit.HOUR: Decimal(1), Unit.GB_SECOND: Decimal(3600), Unit.GB_MONTH: 1 / MONTH_HOURS}[self]


_UNITS: Final = {SERVERLESS: Unit.GB_SECOND, PROVISIONED: Unit.GB_SECOND, VOLUME: Unit.GB_MONTH}


def unit_of(item: str) -> Unit:
    """What the price of an item of SageMaker is for: instances are priced by the hour."""
    return _UNITS.get(item, Unit.HOUR)


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


def of_class(endpoint_class: EphemeralEndpointClass) -> Prices:
    """The prices of a class: its own take precedence over those of the Price List, and these over the table's."""
    spec, listed = endpoint_class.spec, endpoint_class.status.prices
    from_list = of_list(listed) if listed and spec.price_source is PriceSource.PRICE_LIST else {}
    own = {type_: Price(Decimal(usd), Unit.HOUR, "", "spec.prices of the class") for type_, usd in spec.prices.items()}
    return {**of_region(spec.region), **from_list, **own}


def of_list(listed: ListedPrices) -> Prices:
    """The prices that a status has of the Price List; what is no price is left out, and not known.

    So is one in another unit than its item's: it would count for a wrong amount.
    """
    return {
        item: Price(usd, unit, listed.published_on, each.source)
        for item, each in listed.items.items()
        if each.unit == (unit := unit_of(item)) and (usd := amount_of(each.usd))
    }


def amount_of(text: str) -> Decimal | None:
    """An amount in USD; None for what is none, or not plausible."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() and 0 <= found < _MOST_USD else None
