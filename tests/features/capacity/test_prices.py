from decimal import Decimal

import pytest
from tests.engine import objects

from ephemeral_endpoints.features.capacity.prices import (
    ALARM,
    COLUMNS,
    IMAGES,
    LOGS_INGESTED,
    LOGS_STORED,
    MODEL_DATA,
    PROVISIONED,
    SERVERLESS,
    VOLUME,
    Unit,
    of_class,
    of_region,
    read,
    table,
)


def row(**changes: str) -> dict[str, str]:
    return dict(zip(COLUMNS, ("r-1", "ml.x.y", "hour", "0.1", "2026", "a test"), strict=True)) | changes


def test_every_price_of_the_table_says_of_when_and_whence_it_is() -> None:
    for prices in table().values():
        assert all(price.usd > 0 and price.date and price.source for price in prices.values())
        units = {item: price.unit for item, price in prices.items()}
        assert {unit for item, unit in units.items() if item.startswith("ml.")} == {Unit.HOUR}
        assert (units[SERVERLESS], units[ALARM], units[LOGS_INGESTED]) == (Unit.GB_SECOND, Unit.ALARM_MONTH, Unit.GB)
        assert {units[each] for each in (VOLUME, LOGS_STORED, IMAGES, MODEL_DATA)} == {Unit.GB_MONTH}


def test_a_price_holds_in_its_region_only() -> None:
    assert of_region("us-east-1")["ml.m5.large"].usd == Decimal("0.115")
    assert of_region("eu-central-1") == {}


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([row(), row(usd="0.2")], id="which of two holds is not known"),
        pytest.param([row(usd="0")], id="nothing is free"),
        pytest.param([row(usd="-1")], id="nor less"),
        pytest.param([row(unit="fortnight")], id="an unknown unit"),
    ],
)
def test_a_table_that_is_none_is_refused(rows: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match=r"price|Unit"):
        read(rows)


LISTED = {
    "ml.m5.large": {"usd": "0.3", "unit": "hour", "source": "SKU A"},
    "ml.t2.medium": {"usd": "0.4", "unit": "hour", "source": "SKU B"},
    SERVERLESS: {"usd": "0.00003", "unit": "GB-second", "source": "SKU C"},
    "ml.no.unit": {"usd": "1", "unit": "fortnight", "source": "SKU D"},
    "ml.by.the-gb": {"usd": "1", "unit": "GB", "source": "SKU J"},
    "ml.by.the-month": {"usd": "80", "unit": "GB-month", "source": "SKU K"},
    PROVISIONED: {"usd": "1", "unit": "hour", "source": "SKU L"},
    VOLUME: {"usd": "1", "unit": "GB-second", "source": "SKU M"},
    "ml.no.number": {"usd": "cheap", "unit": "hour", "source": "SKU E"},
    "ml.less.than-nothing": {"usd": "-1", "unit": "hour", "source": "SKU F"},
    "ml.for.nothing": {"usd": "0", "unit": "hour", "source": "SKU G"},
    "ml.beyond.measure": {"usd": "Infinity", "unit": "hour", "source": "SKU H"},
    "ml.of.billions": {"usd": "1e9", "unit": "hour", "source": "SKU I"},
}


def test_the_list_comes_after_the_class_and_before_the_table_and_what_is_no_price_is_not_known() -> None:
    status = {"prices": {"publishedOn": "2026-11-25", "readAt": "2026-11-30T10:00:00Z", "items": LISTED}}
    spec = {"region": "us-east-1", "priceSource": "PriceList", "prices": {"ml.m5.large": "0.2"}}
    found = of_class(objects.make_class({"spec": spec, "status": status}))
    assert {item: found[item].usd for item in ("ml.m5.large", "ml.t2.medium", SERVERLESS, "ml.m5.xlarge")} == {
        "ml.m5.large": Decimal("0.2"),
        "ml.t2.medium": Decimal("0.4"),
        SERVERLESS: Decimal("0.00003"),
        "ml.m5.xlarge": Decimal("0.23"),
    }
    assert (found["ml.t2.medium"].date, found["ml.t2.medium"].source) == ("2026-11-25", "SKU B")
    assert not found.keys() & (LISTED.keys() - {"ml.m5.large", "ml.t2.medium", SERVERLESS, VOLUME})
    assert found[VOLUME].source == of_region("us-east-1")[VOLUME].source, "the table's: the other is for a second"
    by_table = of_class(objects.make_class({"spec": {**spec, "priceSource": "Table"}, "status": status}))
    assert by_table["ml.t2.medium"].usd == Decimal("0.056"), "the class does not ask for the list"


@pytest.mark.parametrize(("region", "known"), [("us-east-1", True), ("eu-central-1", False)])
def test_the_prices_of_a_class_come_first(region: str, known: bool) -> None:  # noqa: FBT001 - a table
    spec = {"region": region, "prices": {"ml.m5.large": "0.2", "ml.x.y": "3"}}
    found = of_class(objects.make_class({"spec": spec}))
    assert (found["ml.m5.large"].usd, found["ml.x.y"].usd) == (Decimal("0.2"), Decimal(3))
    assert found["ml.m5.large"].source == "spec.prices of the class"
    assert ("ml.t2.medium" in found) is known
