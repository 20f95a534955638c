"""Where the prices of a class come from, and what AWS's Price List says."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel
from ephemeral_endpoints.api.v1alpha1.types import Timestamp


class PriceSource(StrEnum):
    """Where prices come from that a class does not set."""

    TABLE = "Table"
    PRICE_LIST = "PriceList"


class ListedPrice(ApiModel):
    """A price of AWS's Price List."""

    model_config = TOLERANT

    usd: str
    """The price in USD."""

    unit: str
    """What it is for: hour, GB-second or GB-month."""

    source: str
    """Where it is in the list, such as its SKU."""


class ListedPrices(ApiModel):
    """The prices of AWS's Price List in a region, as they were read last."""

    model_config = TOLERANT

    published_on: str
    """The day on which AWS published them, such as 2026-11-25."""

    read_at: Timestamp
    """When the operator read them."""

    items: Mapping[str, ListedPrice] = Field(default_factory=dict)
    """The prices by instance type, or other item."""
