"""List requests: filters, order and pages; pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from eep_platform.emulation.paging import Position, page
from eep_platform.sagemaker.errors import invalid_token
from eep_platform.sagemaker.store import Record

Item = TypeVar("Item")
_DEFAULT_SIZE = 10


@dataclass(frozen=True, slots=True)
class Fields(Generic[Item]):
    """How to read the values that list requests filter and sort by; `sort_keys` by the values of `SortBy`."""

    name: Callable[[Item], str]
    times: Mapping[str, Callable[[Item], datetime]]
    sort_keys: Mapping[str, Callable[[Item], str | float]]


RESOURCE_FIELDS: Fields[Record[Any]] = Fields(
    name=lambda record: record.name,
    times={"CreationTime": lambda record: record.created},
    sort_keys={"Name": lambda record: record.name, "CreationTime": lambda record: record.created.timestamp()},
)
"""The fields that all kinds of resources have."""


def listed(items: Iterable[Item], request: Mapping[str, Any], fields: Fields[Item]) -> tuple[list[Item], str | None]:
    """The page that a request asks for and the token of the next; None after the last.

    Raises:
        ServiceError: `ValidationException` for a page token that no earlier answer gave.
    """
    kept = [item for item in items if _kept(item, request, fields)]
    sort_key = fields.sort_keys[request.get("SortBy", "CreationTime")]

    def position(item: Item) -> Position:
        return sort_key(item), fields.name(item)

    descending = request.get("SortOrder", "Descending") == "Descending"
    return page(
        sorted(kept, key=position, reverse=descending),
        position,
        request.get("NextToken"),
        request.get("MaxResults", _DEFAULT_SIZE),
        invalid_token=invalid_token,
        descending=descending,
    )


def _kept(item: Item, request: Mapping[str, Any], fields: Fields[Item]) -> bool:
    if request.get("NameContains", "").lower() not in fields.name(item).lower():
        return False
    for noun, read in fields.times.items():
        after, before = request.get(f"{noun}After"), request.get(f"{noun}Before")
        if (after and read(item) < after) or (before and read(item) >= before):
            return False
    return True
