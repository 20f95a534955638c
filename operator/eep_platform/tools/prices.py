"""`make prices`: renews the table of prices from AWS's bulk files, which need no credentials.

A file is about 4 MB a region. The rows of the regions that are named, by default those of the table, are replaced but
for those of other services than SageMaker.
"""

import csv
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from ephemeral_endpoints.features.capacity import prices
from ephemeral_endpoints.features.capacity.price_list import SERVICE, offers_of, prices_of
from ephemeral_endpoints.features.capacity.prices import COLUMNS, FILE, OF_OTHER_SERVICES, Prices

_HOST = "https://pricing.us-east-1.amazonaws.com"
_INDEX = f"/offers/v1.0/aws/{SERVICE}/current/region_index.json"
_TIMEOUT_SECONDS = 120

Get = Callable[[str], Any]
"""The JSON at a path of the host."""


def renewed(table: Mapping[str, Prices], regions: Sequence[str], get: Get) -> dict[str, Prices]:
    """The table with the present prices of these regions.

    Raises:
        ValueError: AWS has no such region, or no prices there.
    """
    index, found = get(_INDEX)["regions"], dict(table)
    for region in regions:
        if region not in index:
            raise ValueError(f"{SERVICE} has no price list of {region}")
        bulk = get(index[region]["currentVersionUrl"])
        present = prices_of(offers_of(bulk), bulk["publicationDate"].partition("T")[0])
        if not present:
            raise ValueError(f"the price list of {region} has no price of hosting")
        found[region] = present | {
            item: price for item, price in table.get(region, {}).items() if item in OF_OTHER_SERVICES
        }
    return found


def written(table: Mapping[str, Prices]) -> str:
    """The table as a file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for region in sorted(table):
        for item, price in table[region].items():
            writer.writerow((region, item, price.unit, f"{price.usd:f}", price.date, price.source))
    return out.getvalue()


def _get(path: str) -> Any:  # noqa: ANN401 - any JSON
    answer = requests.get(_HOST + path, timeout=_TIMEOUT_SECONDS)
    answer.raise_for_status()
    return answer.json()


def main(regions: Sequence[str], file: Path, get: Get = _get) -> None:
    """Write the table, and print what is new."""
    table = prices.read(csv.DictReader(file.read_text("utf-8").splitlines()))
    present = renewed(table, regions or sorted(table), get)
    file.write_text(written(present), "utf-8")
    for region, found in present.items():
        for item, price in found.items():
            if price != table.get(region, {}).get(item):
                sys.stdout.write(f"{region} {item}: {price}\n")


if __name__ == "__main__":
    main(sys.argv[1:], Path(prices.__file__).with_name(FILE))
