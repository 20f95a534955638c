from decimal import Decimal

import pytest
from tests.engine import objects

from ephemeral_endpoints.features.capacity.prices import (
    COLUMNS,
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
        assert (units[SERVERLESS], units[VOLUME]) == (Unit.GB_SECOND, Unit.GB_MONTH)


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


@pytest.mark.parametrize(("region", "known"), [("us-east-1", True), ("eu-central-1", False)])
def test_the_prices_of_a_class_come_first(region: str, known: bool) -> None:  # noqa: FBT001 - a table
    spec = {"region": region, "prices": {"ml.m5.large": "0.2", "ml.x.y": "3"}}
    found = of_class(objects.make_class({"spec": spec}).spec)
    assert (found["ml.m5.large"].usd, found["ml.x.y"].usd) == (Decimal("0.2"), Decimal(3))
    assert found["ml.m5.large"].source == "spec.prices of the class"
    assert ("ml.t2.medium" in found) is known
