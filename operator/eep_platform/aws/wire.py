"""Identifies AWS calls from HTTP requests, and renders errors of AWS services.

microburst knows the protocols (credential scopes, targets, URI patterns, error envelopes); this module adds services
that share a credential scope, and the resource of a call.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any
from urllib.parse import parse_qs, unquote

from aiohttp import web
from microburst.core.context import RequestContext
from microburst.detection import detect
from microburst.detection.operation import resolve_operation
from microburst.models import get_protocol, get_service_model
from microburst.protocols import render_error
from multidict import CIMultiDict

HTTP_API = "execute-api"
"""The data plane of HTTP APIs: not a service of the AWS API, but counted as one."""

_INVOCATIONS = re.compile(r"^/endpoints/[^/]+/(?:async-)?invocations(?:-response-stream)?$")
_REGISTRY = re.compile(r"^/v2/?$|^/v2/_catalog$|^/v2/.+/(?:blobs|manifests)/|^/v2/.+/tags/list$")
LABEL = re.compile(r"\{[\w-]+\+?\}")


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request, and its body if it was read (None: streamed, or there is none)."""

    method: str
    path: str
    """Percent-encoded, without the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes | None = None


def is_registry(path: str) -> bool:
    """Whether a path belongs to an image registry (OCI distribution specification) and not to the AWS API."""
    return _REGISTRY.match(path) is not None


def identify(request: Request) -> RequestContext:
    """Determine service, operation, resource and protocol of a call; unknown ones are None."""
    # The host is the front's own; without it detection does not load every service model of botocore.
    headers = CIMultiDict(request.headers)
    headers.popall("Host", None)
    ctx = detect(headers, request.method, request.path, request.query, request.body)
    service = _sharing_its_scope(ctx.service, request)
    if service != ctx.service:
        ctx.service, ctx.protocol = service, get_protocol(service)
        ctx.operation = resolve_operation(service, headers, request.method, request.path, request.query, request.body)
    ctx.operation = ctx.operation or _operation_by_path(service, request)
    ctx.resource = _resource(service, ctx.operation, request)
    return ctx


def data_plane_call(request: Request, resource: str) -> RequestContext:
    """The call that stands for a request to an HTTP API."""
    return RequestContext(
        method=request.method,
        path=request.path,
        query=request.query,
        headers=request.headers,
        service=HTTP_API,
        operation="Invoke",
        resource=resource,
    )


def error_response(ctx: RequestContext, code: str, message: str, status: int | None = None) -> web.Response:
    """Render an error as the called service would, in the protocol of the caller."""
    status, headers, body = render_error(
        ctx.service,
        code,
        message,
        status,
        protocol=ctx.protocol,
        query_compat=ctx.query_compat,
        request_ct=ctx.headers.get("Content-Type"),
    )
    return web.Response(status=status, headers=headers, body=body)


def operations(service: str) -> frozenset[str] | None:
    """The operations of a service by botocore's names; None for an unknown service."""
    if service == HTTP_API:
        return frozenset({"Invoke"})
    model = get_service_model(service)
    return None if model is None else frozenset(model.operation_names)


def _sharing_its_scope(service: str | None, request: Request) -> str | None:
    """Distinguish services that share a credential scope."""
    if _INVOCATIONS.match(request.path) and service in (None, "sagemaker"):
        return "sagemaker-runtime"
    if service == "apigateway" and request.path.startswith("/v2/"):
        return "apigatewayv2"
    return service


def _operation_by_path(service: str | None, request: Request) -> str | None:
    """Find operations whose path has labels with a hyphen (`/v2/tags/{resource-arn}`), which microburst overlooks."""
    for operation in sorted((operations(service) if service else None) or ()):
        shape = _shape(service, operation) if service else None
        if shape and shape.path and shape.method == request.method and shape.path.match(request.path):
            return operation
    return None


@dataclass(frozen=True, slots=True)
class _Shape:
    """How an operation's input names its resource: labels of the path, otherwise members of the body."""

    method: str
    path: re.Pattern[str] | None
    members: tuple[str, ...]


@cache
def _shape(service: str, operation: str) -> _Shape | None:
    known = operations(service)
    if service == HTTP_API or known is None or operation not in known:
        return None
    model = get_service_model(service).operation_model(operation)
    method, uri = model.http.get("method", "POST"), model.http.get("requestUri", "/").partition("?")[0]
    if LABEL.search(uri):
        return _Shape(method, path_pattern(uri), ())
    shape = model.input_shape
    if shape is None:
        return _Shape(method, None, ())
    required = ((name, shape.members[name]) for name in shape.required_members)
    # An enumeration (ProtocolType) does not name a resource.
    names = (member.serialization.get("name", name) for name, member in required if not getattr(member, "enum", None))
    return _Shape(method, None, tuple(names))


def path_pattern(uri: str) -> re.Pattern[str]:
    """A pattern for paths that match the URI of an operation; each label is a percent-encoded group."""
    literals = (re.escape(literal) for literal in LABEL.split(uri))
    groups = ("(.+)" if label.group().endswith("+}") else "([^/]+)" for label in LABEL.finditer(uri))
    pattern = "".join(literal + group for literal, group in zip_longest(literals, groups, fillvalue=""))
    return re.compile(f"^{pattern}/?$")


def _resource(service: str | None, operation: str | None, request: Request) -> str | None:
    """The resource of a call: its path labels joined by `/`, otherwise its first required name or names."""
    shape = _shape(service, operation) if service and operation else None
    if shape is None:
        return None
    if shape.path is not None:
        match = shape.path.match(request.path)
        return "/".join(unquote(group) for group in match.groups()) if match else None
    members = _members(request.body)
    for name in shape.members:
        value = members.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return ",".join(value)
    return None


def _members(body: bytes | None) -> Mapping[str, Any]:
    if not body:
        return {}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {}
    if not text.lstrip().startswith("{"):
        return {name: values[0] for name, values in parse_qs(text).items()}
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
