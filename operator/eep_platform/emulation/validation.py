"""Checks requests and serialises answers by botocore's model of the service.

AWS checks patterns, maximum lengths and enumerations, which botocore's own validator does not; this module does.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape

from eep_platform.emulation.errors import serialization_exception, validation_exception
from eep_platform.emulation.patterns import compiled

ErrorOf = Callable[[str], Exception]
"""Makes a service's error from its message."""

_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
}


_NAMED_BOUNDS = re.compile(r"\w+WithLengthBetween(\d+)And(?!1600)(\d+)")
"""The model of API Gateway has the lengths of strings in the names of their shapes alone. The shape of tag values is
named 1 to 1600, but they may be empty
(https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-openapi-extensions-x-amazon-apigateway-tag-value.html)."""


@cache
def service_model(service: str) -> ServiceModel:
    """Botocore's model of a service, by the name that boto3.client takes. The first call reads files."""
    return botocore.session.get_session().get_service_model(service)


def input_shape(service: str, operation: str) -> StructureShape:
    """The shape of an operation's request."""
    shape = service_model(service).operation_model(operation).input_shape
    assert shape is not None  # noqa: S101 - narrows what the type cannot say
    return shape


@dataclass(frozen=True, slots=True)
class ConstraintViolation:
    """A constraint that a value does not satisfy; `path` names the member as the service does."""

    path: str
    shown: str
    constraint: str

    def __str__(self) -> str:
        return f"{self.shown} at '{self.path}' failed to satisfy constraint: {self.constraint}"


def parsed(shape: StructureShape, body: object, error_of: ErrorOf = validation_exception) -> dict[str, Any]:
    """Return the members of a request that `shape` knows, with timestamps as aware datetimes.

    Drops unknown members and nulls, as the protocol JSON 1.1 requires.

    Raises:
        ServiceError: `SerializationException` for a value of a wrong type; that of `error_of` for all other
            violations.
    """
    value = _converted(shape, body)
    refuse_violations(violations(shape, value), error_of)
    assert isinstance(value, dict)  # noqa: S101 - narrows what the type cannot say
    return value


def refuse_violations(found: Iterator[ConstraintViolation], error_of: ErrorOf = validation_exception) -> None:
    """Raise an error in the service's words if there is any violation."""
    all_found = list(found)
    if all_found:
        noun = "error" if len(all_found) == 1 else "errors"
        raise error_of(f"{len(all_found)} validation {noun} detected: {'; '.join(map(str, all_found))}")


def violations(shape: Shape, value: object, path: str = "") -> Iterator[ConstraintViolation]:
    """Every constraint of `shape` that `value` does not satisfy; its types must be right already."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        yield from _structure_violations(shape, value, path)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        yield from _list_violations(shape, value, path)
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        yield from _map_violations(shape, value, path)
    else:
        yield from (ConstraintViolation(path, _shown(shape, value), text) for text in _scalar_constraints(shape, value))


def serialised(shape: StructureShape | None, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of an answer: the members that `shape` has, with timestamps as seconds since the epoch."""
    return {} if shape is None else _json(shape, answer)


def _structure_violations(shape: StructureShape, value: dict[str, Any], path: str) -> Iterator[ConstraintViolation]:
    for name in shape.required_members:
        if name not in value:
            yield ConstraintViolation(_below(path, name), "Value null", "Member must not be null")
    for name, member in value.items():
        yield from violations(shape.members[name], member, _below(path, name))


def _list_violations(shape: ListShape, value: list[Any], path: str) -> Iterator[ConstraintViolation]:
    yield from (
        ConstraintViolation(path, _shown(shape, value), text) for text in _length_constraints(shape, len(value))
    )
    for number, member in enumerate(value, start=1):
        yield from violations(shape.member, member, f"{path}.{number}.member")


def _map_violations(shape: MapShape, value: dict[str, Any], path: str) -> Iterator[ConstraintViolation]:
    yield from (
        ConstraintViolation(path, _shown(shape, value), text) for text in _length_constraints(shape, len(value))
    )
    for kind, part, members in (("keys", shape.key, value.keys()), ("value", shape.value, value.values())):
        texts = sorted({text for member in members for text in _scalar_constraints(part, member)})
        if texts:
            yield ConstraintViolation(
                path, _shown(shape, value), f"Map {kind} must satisfy constraint: [{', '.join(texts)}]"
            )


def _scalar_constraints(shape: Shape, value: object) -> Iterator[str]:
    if isinstance(shape, StringShape) and isinstance(value, str):
        if shape.enum and value not in shape.enum:
            yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        yield from _length_constraints(shape, len(value))
        pattern = shape.metadata.get("pattern")
        if pattern and not compiled(pattern).fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {pattern}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bounds(shape, value, "value")


def _length_constraints(shape: Shape, length: int) -> Iterator[str]:
    return _bounds(shape, length, "length")


def _bounds(shape: Shape, measured: float, noun: str) -> Iterator[str]:
    named = _NAMED_BOUNDS.fullmatch(shape.name)
    least, most = map(int, named.groups()) if named else (measured, measured)
    least, most = shape.metadata.get("min", least), shape.metadata.get("max", most)
    if measured < least:
        yield f"Member must have {noun} greater than or equal to {least}"
    if measured > most:
        yield f"Member must have {noun} less than or equal to {most}"


def _converted(shape: Shape, value: object) -> Any:  # noqa: ANN401 - as many types as shapes
    if not isinstance(value, _JSON_TYPES[shape.type_name]) or (
        isinstance(value, bool) and shape.type_name != "boolean"
    ):
        raise serialization_exception(f"{type(value).__name__} can not be converted to a {shape.type_name}")
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        known = {name: value[name] for name in shape.members if value.get(name) is not None}
        return {name: _converted(shape.members[name], member) for name, member in known.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_converted(shape.member, member) for member in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: _converted(shape.value, member) for key, member in value.items() if member is not None}
    if shape.type_name == "timestamp" and isinstance(value, int | float):
        return _instant(value)
    return value


def _instant(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise serialization_exception(f"{seconds} is not a timestamp") from error


def _json(shape: Shape, value: Any) -> Any:  # noqa: ANN401 - as many types as shapes
    if isinstance(shape, StructureShape):
        present = {name: value[name] for name in shape.members if value.get(name) is not None}
        return {name: _json(shape.members[name], member) for name, member in present.items()}
    if isinstance(shape, ListShape):
        return [_json(shape.member, member) for member in value]
    if isinstance(shape, MapShape):
        return {key: _json(shape.value, member) for key, member in value.items()}
    return round(value.timestamp(), 3) if isinstance(value, datetime) else value


def _below(path: str, name: str) -> str:
    member = name[:1].lower() + name[1:]
    return f"{path}.{member}" if path else member


def _shown(shape: Shape, value: object) -> str:
    return "Value" if getattr(shape, "sensitive", False) or shape.metadata.get("sensitive") else f"Value '{value}'"
