from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.engine.objects import make_class

from ephemeral_endpoints.aws.clients import pricing_region
from ephemeral_endpoints.features.capacity.listed_prices import DAY, PriceLists, in_status
from ephemeral_endpoints.features.capacity.prices import Price, Unit, of_list

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
FOUND = {
    "ml.m5.large": Price(Decimal("0.1150000000"), Unit.HOUR, "2026-11-25", "SKU A"),
    "serverless": Price(Decimal("0.00002"), Unit.GB_SECOND, "2026-11-24", "SKU B"),
}


def told(read_at: datetime, **changes: Any) -> Any:  # noqa: ANN401 - members of an object
    status = {"prices": in_status(FOUND, read_at).to_wire()}
    return make_class({"spec": {"priceSource": "PriceList"}, "status": status, **changes})


def lists() -> PriceLists:
    return PriceLists(lambda: NOON, lambda: 0.0)


@pytest.mark.parametrize(
    ("endpoint_class", "due", "reason"),
    [
        (told(NOON - timedelta(hours=1)), 23 * 3600, "another operator has read it"),
        (told(NOON - 2 * DAY), 0, "too long ago"),
        (told(NOON + timedelta(seconds=1)), 0, "by a clock that was ahead"),
        (make_class({"spec": {"priceSource": "PriceList"}}), 0, "never"),
        (make_class(), None, "the class has the table"),
        (told(NOON - 2 * DAY, metadata={"deletionTimestamp": "2026-11-30T11:00:00Z"}), None, "the class is deleted"),
    ],
)
def test_a_list_is_due_once_a_day(endpoint_class: Any, due: float | None, reason: str) -> None:  # noqa: ANN401
    assert lists().due_in(endpoint_class) == due, reason


def test_what_was_read_counts_until_it_is_read_again() -> None:
    old = told(NOON - 30 * DAY)
    known = lists().known(old)
    assert known == old.status.prices
    assert lists().known(old.model_copy(update={"spec": make_class().spec})) is None, "the class has the table"


def test_prices_come_back_from_a_status_as_they_went_and_the_oldest_day_is_named() -> None:
    back = of_list(in_status(FOUND, NOON))
    assert {item: (each.usd, each.unit, each.source) for item, each in back.items()} == {
        item: (each.usd, each.unit, each.source) for item, each in FOUND.items()
    }
    assert {each.date for each in back.values()} == {"2026-11-24"}


@pytest.mark.parametrize(
    ("region", "nearest"),
    [
        ("us-west-2", "us-east-1"),
        ("ca-central-1", "us-east-1"),
        ("sa-east-1", "us-east-1"),
        ("eu-west-1", "eu-central-1"),
        ("me-south-1", "eu-central-1"),
        ("ap-southeast-2", "ap-south-1"),
    ],
)
def test_the_nearest_region_that_has_the_api_is_asked(region: str, nearest: str) -> None:
    assert pricing_region(region) == nearest
