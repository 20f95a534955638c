"""Print the prices of instance types in a region as spec.prices of a class, from AWS's Price List API.

The operator's own table has some types of a few regions, and reads the list itself for classes with priceSource
PriceList. Uses the AWS credentials of this shell, which need pricing:GetProducts, and some calls. Changes nothing:
apply what it prints to the class.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from fnmatch import fnmatchcase
from typing import Any, Final

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.aws.clients import pricing_region
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.output import printable
from ephemeral_endpoints.features.capacity.price_list import NotAPriceListError, listed
from ephemeral_endpoints.features.capacity.prices import Price, Unit

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
        found = prices(region)
    except (BotoCoreError, ClientError) as error:
        raise click.ClickException(
            printable(
                f"AWS's prices cannot be read: {error}. They are read with the AWS credentials of this shell, which "
                "need pricing:GetProducts; the operator's table and spec.prices of classes hold meanwhile"
            )
        ) from error
    except NotAPriceListError as error:
        raise click.ClickException(
            printable(f"{error}: check the name of the region, try again later, or update eep")
        ) from error
    chosen = {name: each for name, each in found.items() if any(fnmatchcase(name, type_) for type_ in types)}
    missing = [type_ for type_ in types if not any(fnmatchcase(name, type_) for name in chosen)]
    if missing:
        raise click.ClickException(printable(f"AWS has no price for hosting on {', '.join(missing)} in {region}"))
    if len(chosen) > _MOST_PRICES:
        raise click.ClickException(f"a class takes {_MOST_PRICES} prices, not {len(chosen)}: name fewer types")
    click.echo("\n".join(as_yaml(chosen)))


def prices(region: str) -> dict[str, Price]:
    """The prices by instance type. Raises what boto3 raises, and NotAPriceListError."""
    pricing: Any = boto3.Session().client("pricing", region_name=pricing_region(region), config=_CONFIG)
    found = asyncio.run(listed(_call, pricing, region))
    return {name: price for name, price in found.items() if price.unit is Unit.HOUR}


async def _call(method: Callable[..., Any], **arguments: object) -> Any:  # noqa: ANN401 - any answer
    return await asyncio.to_thread(method, **arguments)


def as_yaml(chosen: Mapping[str, Price]) -> Iterator[str]:
    """The prices as part of a class, each with its source."""
    yield "spec:"
    yield "  prices:"
    for name, price in chosen.items():
        usd = price.usd.quantize(_PLACES, ROUND_CEILING).normalize()
        yield f'    {name}: "{usd:f}"  # {printable(price.source)}, {printable(price.date)}'
