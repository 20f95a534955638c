import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eep_platform.tools.prices import main, renewed, written
from ephemeral_endpoints.features.capacity import prices


def offer(sku: str, usd: str, unit: str, **attributes: str) -> tuple[dict[str, Any], dict[str, Any]]:
    dimension = {"unit": unit, "pricePerUnit": {"USD": usd}}
    return {"sku": sku, "attributes": attributes}, {f"{sku}.T": {"priceDimensions": {f"{sku}.T.D": dimension}}}


def warm(memory: int, usd: str, kind: str = "Usage") -> tuple[dict[str, Any], dict[str, Any]]:
    usage = f"USE1-ProvisionedConcurrency:{kind}-{memory}GB"
    return offer(f"W{memory}{kind}", usd, "seconds", usagetype=usage)


OFFERS = (
    offer("A", "0.115", "Hrs", component="Hosting", instanceName="ml.m5.large", usagetype="USE1-Host:ml.m5.large"),
    offer("B", "0.05", "Hrs", component="Training", instanceName="ml.t3.medium", usagetype="USE1-Train:ml.t3.medium"),
    offer("C", "0.00", "Hrs", component="Hosting", instanceName="ml.m4.xlarge", usagetype="USE1-Host:ml.m4.xlarge"),
    offer("D", "0.00004", "seconds", usagetype="USE1-ServerlessInf:Mem-2GB"),
    offer("E", "0.00006", "seconds", usagetype="USE1-ServerlessInf:Mem-3GB"),
    offer("F", "0.1120000000", "GB-Mo", usagetype="USE1-Host:VolumeUsage.gp2"),
    warm(1, "0.000004"),
    warm(2, "0.000009"),
    warm(1, "0.00001", kind="Mem"),
    offer("G", "0.2", "GB-Mo", component="Hosting", instanceName="ml.by.the-month", usagetype="USE1-Host:ml.x"),
    offer("H", "0.9", "Hrs", usagetype="USE1-Host:VolumeUsage.gp2"),
    offer("I", "0.2", "Hrs", usagetype="USE1-ServerlessInf:Mem-4GB"),
)
INDEX = {"regions": {"us-east-1": {"currentVersionUrl": "/one.json"}, "eu-west-1": {"currentVersionUrl": "/two.json"}}}


def bulk(*offers: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    return {
        "publicationDate": "2026-11-29T10:00:00Z",
        "products": {product["sku"]: product for product, _ in offers},
        "terms": {"OnDemand": {product["sku"]: terms for product, terms in offers}},
    }


def answering(*offers: tuple[dict[str, Any], dict[str, Any]]) -> Callable[[str], Any]:
    return lambda path: INDEX if path.endswith("region_index.json") else bulk(*offers)


def test_the_rows_of_a_region_are_replaced_and_those_of_others_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(
        "region,item,unit,usd,date,source\nus-east-1,ml.p9.large,hour,9,2020,gone\nr-1,ml.a.b,hour,1,2020,x\n"
    )
    main(["us-east-1"], file, answering(*OFFERS))
    assert file.read_text().splitlines() == [
        "region,item,unit,usd,date,source",
        "r-1,ml.a.b,hour,1,2020,x",
        "us-east-1,ml.m5.large,hour,0.115,2026-11-29,Price List: SKU A",
        "us-east-1,serverless,GB-second,0.00002,2026-11-29,Price List: SKU D",
        "us-east-1,volume,GB-month,0.1120000000,2026-11-29,Price List: SKU F",
    ], "no training, nothing free, no price by GB for sizes that are dear in different ways, and none in another unit"
    assert capsys.readouterr().out.startswith("us-east-1 ml.m5.large: $0.115 per hour\n")


def test_the_table_of_this_version_can_be_written_again() -> None:
    read_again = prices.read(csv.DictReader(written(prices.table()).splitlines()))
    assert read_again == prices.table()


@pytest.mark.parametrize(("region", "offers"), [("mars-1", OFFERS), ("eu-west-1", OFFERS[1:3])])
def test_a_region_without_prices_does_not_empty_the_table(region: str, offers: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=region):
        renewed({}, [region], answering(*offers))
