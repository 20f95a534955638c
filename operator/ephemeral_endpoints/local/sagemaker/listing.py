"""List requests: filters, order and pages; pure.

A page token names the last item given, so that pages stay right while items come and go between them.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from ephemeral_endpoints.local.sagemaker.errors import validation_exception

Item = TypeVar("Item")
DEFAULT_PAGE = 10


@dataclass(frozen=True, slots=True)
class Fields(Generic[Item]):
    """How to read what list requests filter and sort by; `sort_keys` by the values of `SortBy`."""

    name: Callable[[Item], str]
    times: Mapping[str, Callable[[Item], datetime]]
    sort_keys: Mapping[str, Callable[[Item], str | float]]


def listed(items: Iterable[Item], request: Mapping[str, Any], fields: Fields[Item]) -> tuple[list[Item], str | None]:
    """The page that a request asks for and the token of the next, None after the last.

    Raises:
        ServiceError: `ValidationException` for a token that no earlier answer gave.
    """
    kept = [item for item in items if _kept(item, request, fields)]
    sort_key = fields.sort_keys[request.get("SortBy", "CreationTime")]

    def position(item: Item) -> tuple[str | float, str]:
        return sort_key(item), fields.name(item)

    descending = request.get("SortOrder", "Descending") == "Descending"
    ordered = sorted(kept, key=position, reverse=descending)
    return page(ordered, position, request, descending=descending)


def page(
    ordered: Sequence[Item],
    position: Callable[[Item], tuple[str | float, str]],
    request: Mapping[str, Any],
    *,
    descending: bool = False,
    default_size: int = DEFAULT_PAGE,
) -> tuple[list[Item], str | None]:
    """Cut one page out of items that are ordered by `position` already."""
    token = request.get("NextToken")
    if token:
        last = _read_token(token)
        try:
            ordered = [item for item in ordered if (position(item) < last if descending else position(item) > last)]
        except TypeError as error:
            raise _bad_token() from error
    size = request.get("MaxResults", default_size)
    given = list(ordered[:size])
    return given, _write_token(position(given[-1])) if len(ordered) > size else None


def _kept(item: Item, request: Mapping[str, Any], fields: Fields[Item]) -> bool:
    if request.get("NameContains", "").lower() not in fields.name(item).lower():
        return False
    for noun, read in fields.times.items():
        after, before = request.get(f"{noun}After"), request.get(f"{noun}Before")
        if (after and read(item) < after) or (before and read(item) >= before):
            return False
    return True


def _write_token(position: tuple[str | float, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _read_token(token: str) -> tuple[str | float, str]:
    try:
        key, name = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise _bad_token() from error
    return key, name


def _bad_token() -> Exception:
    return validation_exception("Invalid pagination token: pass NextToken exactly as an earlier answer gave it.")
