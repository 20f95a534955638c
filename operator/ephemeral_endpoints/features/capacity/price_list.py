"""The prices of hosting in a price list of AWS, as the bulk files and the Pricing API have them.

The attributes are those of the service code AmazonSageMaker:
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from ephemeral_endpoints.features.capacity.prices import PROVISIONED, SERVERLESS, VOLUME, Price, Unit

SERVICE: Final = "AmazonSageMaker"

_BY_MEMORY: Final = {
    re.compile(r"(?:^|-)ServerlessInf:Mem-([1-6])GB$"): SERVERLESS,
    re.compile(r"ProvisionedConcurrency:Usage-([1-6])GB$"): PROVISIONED,
}
_VOLUME: Final = re.compile(r"(?:^|-)Host:VolumeUsage[.]gp2$")
_UNITS: Final = {"Hrs": Unit.HOUR, "GB-Mo": Unit.GB_MONTH}

Offer = tuple[Mapping[str, Any], Mapping[str, Any]]
"""A product of a price list, and its terms of the type OnDemand."""


def offers_of(bulk: Mapping[str, Any]) -> Iterator[Offer]:
    """The offers of a bulk file. Raises KeyError for what is none."""
    terms = bulk["terms"]["OnDemand"]
    return ((product, terms.get(sku, {})) for sku, product in bulk["products"].items())


def prices_of(offers: Iterable[Offer], date: str) -> dict[str, Price]:
    """The prices by instance type or other item, as published on ``date``.

    Those of serverless capacity are by GB; where sizes differ in that, they are not known. Raises KeyError and
    ArithmeticError for what is no price list.
    """
    found: dict[str, Price] = {}
    by_memory: dict[str, list[Price]] = {}
    for product, terms in offers:
        for usd, unit in _dimensions(terms):
            source = f"Price List: SKU {product['sku']}"
            usage = str(product["attributes"].get("usagetype", ""))
            if (item := _item(product["attributes"], usage)) and unit in _UNITS:
                found[item] = Price(usd, _UNITS[unit], date, source)
            for pattern, item in _BY_MEMORY.items():
                if size := pattern.search(usage):
                    by_memory.setdefault(item, []).append(Price(usd / int(size[1]), Unit.GB_SECOND, date, source))
    linear = {item: each[0] for item, each in by_memory.items() if len({price.usd for price in each}) == 1}
    return dict(sorted({**found, **linear}.items()))


def _item(attributes: Mapping[str, Any], usage: str) -> str | None:
    if attributes.get("component") == "Hosting" and "instanceName" in attributes:
        return str(attributes["instanceName"])
    return VOLUME if _VOLUME.search(usage) else None


def _dimensions(terms: Mapping[str, Any]) -> Iterator[tuple[Decimal, str]]:
    """The prices of an offer in USD, and their units; free ones are none."""
    for term in terms.values():
        for dimension in term["priceDimensions"].values():
            usd = Decimal(dimension["pricePerUnit"].get("USD", "0"))
            if usd > 0:
                yield usd, dimension["unit"]
