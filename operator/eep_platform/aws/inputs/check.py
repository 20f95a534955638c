"""Refuses the inputs that AWS refuses, of services that the emulator has."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from botocore.model import ListShape, MapShape, Shape, StructureShape
from microburst.core.context import RequestContext
from microburst.models import get_service_model

from eep_platform.aws.inputs import alarms, event_rules, functions, http_apis
from eep_platform.aws.inputs.parameters import parameters
from eep_platform.aws.inputs.rules import InputRule, Parameters, Rejection, tags_of
from eep_platform.aws.wire import Request, error_response
from eep_platform.emulation.validation import violations

_BAD_REQUEST: Final = 400
_MOST_TAGS: Final = 50
_CODES: Final[Mapping[str, str]] = {
    "apigatewayv2": "BadRequestException",
    "cloudwatch": "ValidationError",
    "dynamodb": "ValidationException",
    "ecr": "InvalidParameterException",
    "events": "ValidationException",
    "firehose": "ValidationException",
    "kinesis": "ValidationException",
    "lambda": "ValidationException",
    "logs": "InvalidParameterException",
    "ssm": "ValidationException",
}
"""The error of each service for what its model excludes. The models of the others have no constraints, or they are
checked where the service is."""

CHECKED: Final = frozenset(_CODES)
"""The services whose inputs are checked."""

_RULES: Final[Mapping[tuple[str, str], InputRule]] = {
    **alarms.RULES,
    **event_rules.RULES,
    **functions.RULES,
    **http_apis.RULES,
}


def refusal(request: Request, ctx: RequestContext) -> web.Response | None:
    """The error answer to an input that the service does not take; None for all others."""
    if ctx.service not in CHECKED or ctx.operation is None or (request.body is None and _has_body(request)):
        return None
    found = rejection(ctx.service, ctx.operation, parameters(ctx, request))
    return error_response(ctx, found.code, found.message, _BAD_REQUEST) if found else None


def rejection(service: str, operation: str, given: Parameters) -> Rejection | None:
    """Why a service does not take an input; None if it does. Pure.

    How services word what they answer to wrong tags is not documented.
    """
    shape = get_service_model(service).operation_model(operation).input_shape
    if shape is None:
        return None
    known = _known(shape, given)
    found = list(violations(shape, known))
    if found:
        noun = "error" if len(found) == 1 else "errors"
        return Rejection(_CODES[service], f"{len(found)} validation {noun} detected: {'; '.join(map(str, found))}")
    tags = tags_of(known)
    if len(tags) > _MOST_TAGS:
        return Rejection(_CODES[service], f"A resource can have at most {_MOST_TAGS} tags")
    if any(key.lower().startswith("aws:") for key in tags):
        return Rejection(_CODES[service], "aws: prefixed tag key names are not allowed for external use")
    rule = _RULES.get((service, operation))
    return rule(known) if rule else None


def _has_body(request: Request) -> bool:
    return request.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in request.headers


def _known(shape: Shape, value: Any) -> Any:  # noqa: ANN401 - as many types as shapes
    """What the model knows of a value: services ignore other members, and null stands for absent ones."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        known = {name: value[name] for name in shape.members if value.get(name) is not None}
        return {name: _known(shape.members[name], each) for name, each in known.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_known(shape.member, each) for each in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: _known(shape.value, each) for key, each in value.items()}
    return value
