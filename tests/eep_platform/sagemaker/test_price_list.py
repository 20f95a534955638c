import json
from typing import Any

import pytest

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.price_list import PriceOperations

FRANKFURT = {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "eu-central-1"}
HOSTING = {"Type": "TERM_MATCH", "Field": "component", "Value": "hosting"}


async def skus(*filters: dict[str, str], size: int = 100) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        request = {"ServiceCode": "AmazonSageMaker", "Filters": [*filters], "MaxResults": size, **token}
        answer = await PriceOperations().get_products(request)
        assert len(answer["PriceList"]) <= size
        found += [json.loads(each)["product"] for each in answer["PriceList"]]
        if "NextToken" not in answer:
            return found
        token = {"NextToken": answer["NextToken"]}


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_all_filters_have_to_fit_whatever_the_size_of_pages(size: int) -> None:
    found = await skus(FRANKFURT, HOSTING, size=size)
    assert sorted(each["attributes"]["instanceName"] for each in found) == [
        "ml.c5.large",
        "ml.g4dn.xlarge",
        "ml.m5.large",
        "ml.m5.xlarge",
        "ml.t2.medium",
    ]
    assert {each["attributes"]["regionCode"] for each in found} == {"eu-central-1"}


async def test_what_lacks_a_field_fits_no_filter_of_it() -> None:
    everything, hosting = await skus(), await skus(HOSTING)
    assert len({each["sku"] for each in everything}) == len(everything) > len(hosting)
    assert await skus({"Type": "TERM_MATCH", "Field": "regionCode", "Value": "mars-1"}) == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"ServiceCode": "AmazonMars"}, "NotFoundException"),
        ({"ServiceCode": "AmazonSageMaker", "FormatVersion": "v2"}, "InvalidParameterException"),
        ({"ServiceCode": "AmazonSageMaker", "NextToken": "x"}, "InvalidNextTokenException"),
    ],
)
async def test_what_is_not_there_is_refused(request_: dict[str, str], code: str) -> None:
    with pytest.raises(ServiceError) as refused:
        await PriceOperations().get_products(request_)
    assert refused.value.code == code
