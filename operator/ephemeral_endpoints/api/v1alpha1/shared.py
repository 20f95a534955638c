"""Parts of objects that are kept once: the objects of a repository's pull requests come from one manifest."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ephemeral_endpoints.api.v1alpha1.packed import PackedList

P = TypeVar("P", bound=BaseModel | PackedList[Any])

_KNOWN: WeakValueDictionary[tuple[type, bytes], Any] = WeakValueDictionary()
"""The parts of living objects, by what was given for them."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Metadata of an annotated part of which one copy is kept for all objects that give the same."""

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Replace what pydantic has read by the copy that is there already."""
        return core_schema.no_info_after_validator_function(_shared, handler(source))


def _shared(part: P | tuple[()]) -> P | tuple[()]:
    # Equality would not do: 1 equals True, and a default equals what was given.
    if isinstance(part, tuple):
        return part
    given = part.data if isinstance(part, PackedList) else part.model_dump_json(exclude_unset=True).encode()
    known: P = _KNOWN.setdefault((type(part), sha256(given).digest()), part)
    return known
