"""Parses the input of a call from its HTTP request."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.model import OperationModel
from botocore.parsers import RpcV2CBORParser
from microburst.core.context import RequestContext
from microburst.models import get_service_model

from eep_platform.aws.wire import LABEL, Request, path_pattern

_CBOR = "application/cbor"
_FORM = "application/x-www-form-urlencoded"


def parameters(ctx: RequestContext, request: Request) -> dict[str, Any]:
    """The members in path and body; none for a body that was not read or is not a structure."""
    if ctx.service is None or ctx.operation is None:
        return {}
    operation = get_service_model(ctx.service).operation_model(ctx.operation)
    found = _labels(operation, request.path)
    if not ctx.service.startswith("s3"):
        found |= _body(request)
    return _by_member(operation, found)


def _labels(operation: OperationModel, path: str) -> dict[str, Any]:
    uri = operation.http.get("requestUri", "/").partition("?")[0]
    names = [label.group().strip("{}+") for label in LABEL.finditer(uri)]
    match = path_pattern(uri).match(path) if names else None
    return dict(zip(names, map(unquote, match.groups()), strict=True)) if match else {}


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


def _by_member(operation: OperationModel, found: Mapping[str, Any]) -> dict[str, Any]:
    """Rename members: some protocols use other names on the wire."""
    shape = operation.input_shape
    members = shape.members if shape else {}
    names = {member.serialization.get("name", name): name for name, member in members.items()}
    return {names.get(name, name): value for name, value in found.items()}
