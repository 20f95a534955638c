"""Fields that hold any JSON, and pointers into it."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from ephemeral_endpoints.api.rules import matches

PRESERVE = "x-kubernetes-preserve-unknown-fields"


def only_json(value: object) -> object:
    """Return the value if it is JSON; raise ValueError if not, as YAML and Python have values that JSON has not."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case float() as number if not math.isfinite(number):
                raise ValueError(f"must not contain {number}: JSON has only finite numbers")
            case None | bool() | int() | float() | str():
                continue
            case list() as items:
                waiting.extend(items)
            case dict() as members:
                waiting.extend((*map(_name, members), *members.values()))
            case other:
                raise ValueError(f"must be JSON, which has no {type(other).__name__}: put it in quotes")
    return value


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"must be JSON, whose objects have names, not {name}: put it in quotes")  # noqa: TRY004 pydantic reports a ValueError as the field's
    return name


AnyJson = Annotated[Any, AfterValidator(only_json), WithJsonSchema({PRESERVE: True, "nullable": True})]
"""Any JSON value, null among them. Rules cannot see into it."""

JsonSchema = Annotated[
    Mapping[str, Any],
    AfterValidator(only_json),
    # Atomic: server-side apply would record an owner of every keyword otherwise.
    WithJsonSchema({"type": "object", PRESERVE: True, "x-kubernetes-map-type": "atomic"}),
]
"""A JSON Schema, which rules cannot see into either."""

JsonPointer = Annotated[
    str,
    Field(max_length=256),
    matches(
        "(/([^~/]|~[01])*)*",
        "must be a JSON pointer (RFC 6901), such as /predictions/0/label: each step after a '/', with ~1 for '/' and "
        "~0 for '~'; empty for the whole answer",
    ),
]
