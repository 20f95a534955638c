import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.sagemaker.price_list import PriceOperations
from ephemeral_endpoints.features.capacity.price_list import NotAPriceListError, listed, parsed
from ephemeral_endpoints.features.capacity.prices import SERVERLESS, VOLUME

LARGE = "ml.m5.large"


def entry(usd: str, *, sku: str = "A", unit: str = "Hrs", date: str = "2026-11-25T18:02:11Z", **attributes: str) -> str:
    dimension = {"unit": unit, "pricePerUnit": {"USD": usd}}
    named = attributes or {"component": "Hosting", "instanceName": LARGE}
    document = {
        "product": {"sku": sku, "attributes": named},
        "terms": {"OnDemand": {sku: {"priceDimensions": {sku: dimension}}}},
        "publicationDate": date,
    }
    return json.dumps(document)


@pytest.mark.parametrize(
    ("entries", "usd", "reason"),
    [
        ([entry("0.115")], "0.115", "as it is"),
        ([entry("0.2"), entry("0.3", sku="B"), entry("0.1", sku="C")], "0.3", "the dearest of several"),
        ([entry("0.115"), entry("0.00", sku="B")], "0.115", "nothing is free"),
        ([entry("0.115"), entry("-1", sku="B")], "0.115", "nor less"),
        ([entry("0.115"), entry("1e12", sku="B")], "0.115", "no hour costs as much"),
        ([entry("0.115"), entry("Infinity", sku="B")], "0.115", "nor without an end"),
        ([entry("0.115"), entry("9", sku="B", unit="Quantity")], "0.115", "a unit that is none of time"),
        ([entry("0.115"), entry("9", sku="B", component="Training", instanceName=LARGE)], "0.115", "of training"),
    ],
)
def test_the_price_of_an_instance_type(entries: list[str], usd: str, reason: str) -> None:
    assert str(parsed(entries, "us-east-1")[LARGE].usd) == usd, reason


@pytest.mark.parametrize(
    ("entries", "said", "reason"),
    [
        ([], "no price of hosting in r-1", "a region without SageMaker"),
        ([entry("0.00002", unit="seconds", usagetype="ServerlessInf:Mem-1GB")], "no price of hosting", "no instances"),
        ([entry("cheap")], "no price of hosting", "no number"),
        (["{"], "is none", "no JSON"),
        (["[]"], "is none", "no object"),
        (["{}"], "is none", "no product"),
        ([entry("1").replace('"product"', '"produce"')], "is none", "likewise"),
        ([entry("1").replace("2026-11-25T18:02:11Z", "").replace('""', "7")], "is none", "no date"),
        ([entry("1").replace('{"USD": "1"}', "1")], "is none", "no currency"),
    ],
)
def test_what_is_no_price_list_is_refused_whole(entries: list[str], said: str, reason: str) -> None:
    with pytest.raises(NotAPriceListError) as refused:
        parsed(entries, "r-1")
    assert said in str(refused.value), reason


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.sampled_from(["product", "terms", "sku", "attributes"]), each),
)


@given(st.lists(_JSON.map(json.dumps)))
def test_whatever_is_answered_is_a_price_list_or_refused(entries: list[str]) -> None:
    with pytest.raises(NotAPriceListError):
        parsed(entries, "r-1")


async def direct(method: Any, **request: Any) -> Any:  # noqa: ANN401 - of any operation
    return await method(request)


async def test_all_pages_of_instances_serverless_capacity_and_volumes_are_read() -> None:
    calls: list[dict[str, Any]] = []

    async def paged(method: Any, **request: Any) -> Any:  # noqa: ANN401 - likewise
        calls.append(request)
        return await method({**request, "MaxResults": 2})

    found = await listed(paged, PriceOperations(), "eu-central-1")
    assert found == await listed(direct, PriceOperations(), "eu-central-1")
    assert {LARGE, SERVERLESS, VOLUME} < found.keys()
    assert f"{found[LARGE].usd.normalize():f}" == "0.138", "of this region"
    assert any("NextToken" in each for each in calls)


async def test_a_list_without_an_end_is_not_read_for_ever() -> None:
    calls = []

    async def endless(method: Any, **request: Any) -> Any:  # noqa: ANN401 - likewise
        calls.append(request)
        return {**await method(request), "NextToken": "again"} if "NextToken" not in request else {"NextToken": "again"}

    with pytest.raises(NotAPriceListError, match="no end"):
        await listed(endless, PriceOperations(), "us-east-1")
    assert len(calls) < 100
