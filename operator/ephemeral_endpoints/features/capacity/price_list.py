"""The prices of hosting in AWS's Price List: how to ask for them, and what the API and the bulk files say.

The attributes are those of the service code AmazonSageMaker:
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from ephemeral_endpoints.features.capacity.prices import (
    PROVISIONED,
    SERVERLESS,
    VOLUME,
    Price,
    Unit,
    amount_of,
    unit_of,
)

SERVICE: Final = "AmazonSageMaker"

_BY_MEMORY: Final = {
    re.compile(r"(?:^|-)ServerlessInf:Mem-([1-6])GB$"): SERVERLESS,
    re.compile(r"ProvisionedConcurrency:Usage-([1-6])GB$"): PROVISIONED,
}
_VOLUME: Final = re.compile(r"(?:^|-)Host:VolumeUsage[.]gp2$")
_UNITS: Final = {"Hrs": Unit.HOUR, "GB-Mo": Unit.GB_MONTH}
_ASKED: Final = (
    ("TERM_MATCH", "component", "Hosting"),
    ("CONTAINS", "usagetype", "ServerlessInf:Mem-"),
    ("CONTAINS", "usagetype", "ProvisionedConcurrency:Usage-"),
    ("CONTAINS", "usagetype", "Host:VolumeUsage.gp2"),
)
"""Filters, each of a query of its own: all products of a region would take dozens of calls."""

_MOST_PAGES: Final = 50
"""Far more than a query has: a service that always names a further page is not asked for ever."""

Offer = tuple[Mapping[str, Any], Mapping[str, Any]]
"""A product of a price list, and its terms of the type OnDemand."""


class NotAPriceListError(Exception):
    """An answer of AWS is no price list, or has no price of hosting."""


async def listed(call: Callable[..., Awaitable[Any]], pricing: Any, region: str) -> dict[str, Price]:
    """The prices of a region by instance type or other item, by the API: a call for each hundred products.

    ``call`` makes a call of the client ``pricing``, and its errors are raised; so is NotAPriceListError.
    """
    found = [entry for asked in _ASKED for entry in await _products(call, pricing, region, asked)]
    return parsed(found, region)


async def _products(
    call: Callable[..., Awaitable[Any]],
    pricing: Any,
    region: str,
    asked: tuple[str, str, str],
) -> list[str]:
    filters = [
        dict(zip(("Type", "Field", "Value"), each, strict=True))
        for each in (("TERM_MATCH", "regionCode", region), asked)
    ]
    found: list[str] = []
    further: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        answer = await call(pricing.get_products, ServiceCode=SERVICE, Filters=filters, **further)
        found += answer.get("PriceList", ())
        if not (token := answer.get("NextToken")):
            return found
        further = {"NextToken": token}
    raise NotAPriceListError(f"the Price List has no end: more than {_MOST_PAGES} pages of one query")


def parsed(entries: Iterable[str], region: str) -> dict[str, Price]:
    """The prices in answers of the API. Raises NotAPriceListError."""
    found: dict[str, Price] = {}
    try:
        by_date: dict[str, list[Offer]] = {}
        for entry in map(json.loads, entries):
            offer = entry["product"], entry["terms"].get("OnDemand", {})
            by_date.setdefault(entry["publicationDate"].partition("T")[0], []).append(offer)
        for date in sorted(by_date):
            found |= prices_of(by_date[date], date)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotAPriceListError("an answer of the Price List API is none") from error
    if not any(each.unit is Unit.HOUR for each in found.values()):
        raise NotAPriceListError(f"the Price List has no price of hosting in {region}")
    return dict(sorted(found.items()))


def offers_of(bulk: Mapping[str, Any]) -> Iterator[Offer]:
    """The offers of a bulk file. Raises KeyError for what is none."""
    terms = bulk["terms"]["OnDemand"]
    return ((product, terms.get(sku, {})) for sku, product in bulk["products"].items())


def prices_of(offers: Iterable[Offer], date: str) -> dict[str, Price]:
    """The prices by instance type or other item, as published on ``date``.

    Of several prices of an item the dearest counts. Those of serverless capacity are by GB; where sizes differ in that,
    they are not known. Raises KeyError and ArithmeticError for what is no price list.
    """
    found: dict[str, Price] = {}
    by_memory: dict[str, list[Price]] = {}
    for product, terms in offers:
        for usd, unit in _dimensions(terms):
            source = f"Price List: SKU {product['sku']}"
            usage = str(product["attributes"].get("usagetype", ""))
            if (item := _item(product["attributes"], usage)) and _UNITS.get(unit) is unit_of(item):
                price = Price(usd, unit_of(item), date, source)
                found[item] = max(found.get(item, price), price, key=lambda each: each.usd)
            for pattern, item in _BY_MEMORY.items():
                if (size := pattern.search(usage)) and unit not in _UNITS:
                    by_memory.setdefault(item, []).append(Price(usd / int(size[1]), Unit.GB_SECOND, date, source))
    linear = {item: each[0] for item, each in by_memory.items() if len({price.usd for price in each}) == 1}
    return dict(sorted({**found, **linear}.items()))


def _item(attributes: Mapping[str, Any], usage: str) -> str | None:
    if attributes.get("component") == "Hosting" and "instanceName" in attributes:
        return str(attributes["instanceName"])
    return VOLUME if _VOLUME.search(usage) else None


def _dimensions(terms: Mapping[str, Any]) -> Iterator[tuple[Decimal, str]]:
    """The prices of an offer in USD, and their units; free ones, and those of other currencies, are none."""
    for term in terms.values():
        for dimension in term["priceDimensions"].values():
            if usd := amount_of(dimension["pricePerUnit"].get("USD", "0")):
                yield usd, dimension["unit"]
