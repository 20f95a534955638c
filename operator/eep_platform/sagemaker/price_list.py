"""The Price List API, as far as it tells of hosting: products of two regions, with prices like those of AWS."""

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from eep_platform.emulation.errors import ServiceError
from eep_platform.emulation.paging import page

SERVICE: Final = "AmazonSageMaker"
PUBLISHED: Final = "2026-11-25T18:02:11Z"
_VERSION: Final = "20261125180211"
_FORMAT: Final = "aws_v1"
_MOST_RESULTS: Final = 100
_REGIONS: Final = {"us-east-1": ("USE1", "US East (N. Virginia)", 1.0), "eu-central-1": ("EUC1", "EU (Frankfurt)", 1.2)}
"""The prefix of usage types, the name of the location, and how dear it is there, by region."""

_TYPES: Final = {
    "ml.c5.large": 0.102,
    "ml.t2.medium": 0.056,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.g4dn.xlarge": 0.736,
}
_PURPOSES: Final = {"Hosting": "Host", "AsyncInf": "AsyncInf", "Training": "Train", "Processing": "Processing"}
_MEMORY_SECOND: Final = 0.00002

_Matches = Callable[[str, str], bool]
_MATCHES: Final[Mapping[str, _Matches]] = {
    "TERM_MATCH": lambda value, asked: value.lower() == asked.lower(),
    "EQUALS": lambda value, asked: value.lower() == asked.lower(),
    "CONTAINS": lambda value, asked: asked.lower() in value.lower(),
    "ANY_OF": lambda value, asked: value.lower() in asked.lower().split(","),
    "NONE_OF": lambda value, asked: value.lower() not in asked.lower().split(","),
}


class PriceOperations:
    """The operations on prices."""

    def __init__(self) -> None:
        self._products = sorted(_products(), key=lambda each: str(each["product"]["sku"]))

    async def get_products(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """GetProducts."""
        if request["ServiceCode"] != SERVICE:
            raise ServiceError("NotFoundException", f"There are no products of {request['ServiceCode']} here.")
        if request.get("FormatVersion", _FORMAT) != _FORMAT:
            raise ServiceError("InvalidParameterException", "The format version is not supported.")
        filters = request.get("Filters", [])
        found = [each for each in self._products if all(_fits(each["product"], one) for one in filters)]
        shown, token = page(
            found,
            lambda each: (each["product"]["sku"], ""),
            request.get("NextToken"),
            request.get("MaxResults", _MOST_RESULTS),
            invalid_token=_invalid_token,
        )
        answer = {"FormatVersion": _FORMAT, "PriceList": [json.dumps(each) for each in shown]}
        return {**answer, **({"NextToken": token} if token else {})}


def _fits(product: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    names = {"productfamily": product["productFamily"], "servicecode": SERVICE}
    names |= {name.lower(): value for name, value in product["attributes"].items()}
    value = names.get(asked["Field"].lower())
    return value is not None and _MATCHES[asked["Type"]](value, asked["Value"])


def _products() -> Iterator[dict[str, Any]]:
    for region, (prefix, location, factor) in _REGIONS.items():
        place = {"regionCode": region, "location": location, "locationType": "AWS Region"}
        for type_, usd in _TYPES.items():
            for component, word in _PURPOSES.items():
                attributes = {
                    **place,
                    "component": component,
                    "instanceName": type_,
                    "instanceType": f"{type_}-{component}",
                    "usagetype": f"{prefix}-{word}:{type_}",
                }
                yield _product("ML Instance", attributes, usd * factor, "Hrs")
        for memory in range(1, 7):
            usage = {**place, "usagetype": f"{prefix}-ServerlessInf:Mem-{memory}GB"}
            yield _product("ML Serverless", usage, memory * _MEMORY_SECOND * factor, "seconds")
        yield _product("ML Storage", {**place, "usagetype": f"{prefix}-Host:VolumeUsage.gp2"}, 0.112 * factor, "GB-Mo")


def _product(family: str, attributes: Mapping[str, str], usd: float, unit: str) -> dict[str, Any]:
    sku = sha256(attributes["usagetype"].encode()).hexdigest()[:16].upper()
    term, rate = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    dimension = {
        "rateCode": rate,
        "unit": unit,
        "description": f"${usd:.10f} per {unit} of {attributes['usagetype']}",
        "appliesTo": [],
        "beginRange": "0",
        "endRange": "Inf",
        "pricePerUnit": {"USD": f"{usd:.10f}"},
    }
    on_demand = {
        "sku": sku,
        "offerTermCode": "JRTCKXETXF",
        "effectiveDate": "2026-11-01T00:00:00Z",
        "priceDimensions": {rate: dimension},
        "termAttributes": {},
    }
    named = {"servicecode": SERVICE, "servicename": "Amazon SageMaker", **attributes}
    return {
        "product": {"productFamily": family, "attributes": named, "sku": sku},
        "serviceCode": SERVICE,
        "terms": {"OnDemand": {term: on_demand}},
        "version": _VERSION,
        "publicationDate": PUBLISHED,
    }


def _invalid_token() -> ServiceError:
    return ServiceError("InvalidNextTokenException", "The token is not one of an earlier answer.")
