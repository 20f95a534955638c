"""Parses the input of a call from its HTTP request, by botocore's model of the service."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.parsers import RpcV2CBORParser
from microburst.core.context import RequestContext
from microburst.models import get_service_model

from eep_platform.aws.wire import LABEL, Request, path_pattern

_CBOR: Final = "application/cbor"
_FORM: Final = "application/x-www-form-urlencoded"


def parameters(ctx: RequestContext, request: Request) -> dict[str, Any]:
    """The members in path, query, headers and body; none of a body that was not read or is not a structure.

    Of a form, and of S3, only the members of the first level; a list in the query has its first value only.
    """
    if ctx.service is None or ctx.operation is None:
        return {}
    operation = get_service_model(ctx.service).operation_model(ctx.operation)
    shape = operation.input_shape
    found = _labels(operation, request.path)
    if shape is None:
        return found
    if not ctx.service.startswith("s3"):
        found = _beside_the_body(shape, request) | found
        if not shape.serialization.get("payload"):
            found |= _body(request)
    named: dict[str, Any] = _by_member(shape, found)
    return named


def _labels(operation: OperationModel, path: str) -> dict[str, Any]:
    uri = operation.http.get("requestUri", "/").partition("?")[0]
    names = [label.group().strip("{}+") for label in LABEL.finditer(uri)]
    match = path_pattern(uri).match(path) if names else None
    return dict(zip(names, map(unquote, match.groups()), strict=True)) if match else {}


def _beside_the_body(shape: StructureShape, request: Request) -> dict[str, Any]:
    """What is in the query and the headers, by its name on the wire."""
    places: Mapping[str, Mapping[str, str]] = {"querystring": request.query, "header": request.headers}
    found = {}
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        values = places.get(member.serialization.get("location", ""), {})
        if wire in values:
            found[wire] = _of_text(member, values[wire])
    return found


def _of_text(shape: Shape, text: str) -> Any:  # noqa: ANN401 - as many types as shapes
    if isinstance(shape, ListShape):
        return [_of_text(shape.member, text)]
    if shape.type_name in {"integer", "long"}:
        return int(text) if text.lstrip("-").isdecimal() else text
    return text == "true" if shape.type_name == "boolean" else text


def _body(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    kind = request.headers.get("Content-Type", "").partition(";")[0]
    if kind == _CBOR:
        parser = RpcV2CBORParser()
        parsed = parser.parse_data_item(parser.get_peekable_stream_from_bytes(request.body))
    elif kind == _FORM:
        parsed = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    else:
        try:
            parsed = json.loads(request.body)
        except ValueError:
            return {}
    return parsed if isinstance(parsed, dict) else {}


def _by_member(shape: Shape, value: Any) -> Any:  # noqa: ANN401 - as many types as shapes
    """Rename members, at all levels: some protocols use other names on the wire."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
        named = {names.get(name, name): each for name, each in value.items()}
        return {
            name: _by_member(shape.members[name], each) if name in shape.members else each
            for name, each in named.items()
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_by_member(shape.member, each) for each in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: _by_member(shape.value, each) for key, each in value.items()}
    return value
