"""Print the prices of instance types in a region as spec.prices of a class, from AWS's Price List API.

The operator's own table has some types of a few regions. Uses the AWS credentials of this shell, which need
pricing:GetProducts, and a call for each hundred types. Changes nothing: apply what it prints to the class.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from fnmatch import fnmatchcase
from typing import Any, Final

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.output import printable
from ephemeral_endpoints.features.capacity.price_list import SERVICE, prices_of
from ephemeral_endpoints.features.capacity.prices import Price, Unit

_API_REGION: Final = "us-east-1"
"""One of the three that have the API: https://docs.aws.amazon.com/general/latest/gr/billing.html."""

_MOST_PRICES: Final = 200
_PLACES: Final = Decimal("0.000001")
"""As many as a class takes."""

_CONFIG: Final = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep prices --region eu-central-1 ml.m5.large ml.g5.xlarge",
        "eep prices --region eu-central-1 'ml.m5.*'",
    ],
)
@click.argument("types", nargs=-1, required=True, metavar="TYPE...")
@click.option("--region", required=True, help="The region of the class.")
def command(types: Sequence[str], region: str) -> None:
    """Read the prices. A type may be a pattern."""
    try:
        found = prices(entries(region))
    except (BotoCoreError, ClientError) as error:
        raise click.ClickException(
            printable(
                f"AWS's prices cannot be read: {error}. They are read with the AWS credentials of this shell, which "
                "need pricing:GetProducts; the operator's table and spec.prices of classes hold meanwhile"
            )
        ) from error
    except (ArithmeticError, KeyError, ValueError) as error:
        raise click.ClickException("AWS's answer is no price list: try again, or update eep") from error
    chosen = {name: each for name, each in found.items() if any(fnmatchcase(name, type_) for type_ in types)}
    missing = [type_ for type_ in types if not any(fnmatchcase(name, type_) for name in chosen)]
    if missing:
        raise click.ClickException(printable(f"AWS has no price for hosting on {', '.join(missing)} in {region}"))
    if len(chosen) > _MOST_PRICES:
        raise click.ClickException(f"a class takes {_MOST_PRICES} prices, not {len(chosen)}: name fewer types")
    click.echo("\n".join(as_yaml(chosen)))


def entries(region: str) -> Iterator[Mapping[str, Any]]:
    """What the API has of hosting in a region. Raises what boto3 raises, and ValueError for what is no JSON."""
    client: Any = boto3.Session().client("pricing", region_name=_API_REGION, config=_CONFIG)
    asked = {"regionCode": region, "component": "Hosting"}
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in asked.items()]
    for page in client.get_paginator("get_products").paginate(ServiceCode=SERVICE, Filters=filters):
        yield from map(json.loads, page["PriceList"])


def prices(found: Iterator[Mapping[str, Any]]) -> dict[str, Price]:
    """The prices by instance type. Raises KeyError and ArithmeticError for what is no price list."""
    named: dict[str, Price] = {}
    for each in found:
        offer = each["product"], each["terms"].get("OnDemand", {})
        named |= prices_of([offer], each["publicationDate"].partition("T")[0])
    return {name: price for name, price in sorted(named.items()) if price.unit is Unit.HOUR}


def as_yaml(chosen: Mapping[str, Price]) -> Iterator[str]:
    """The prices as part of a class, each with its source."""
    yield "spec:"
    yield "  prices:"
    for name, price in chosen.items():
        usd = price.usd.quantize(_PLACES, ROUND_CEILING).normalize()
        yield f'    {name}: "{usd:f}"  # {printable(price.source)}, {printable(price.date)}'
