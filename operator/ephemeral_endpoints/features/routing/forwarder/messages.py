"""The caller's side of the forwarder: events and responses of an HTTP API, payload format 2.0. Pure.

Shapes: API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs".
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

MAX_RESPONSE_BYTES = 6_291_556
"""The largest response that Lambda accepts, measured as escaped JSON (Lambda quotas, invocation payload)."""

VARIANT_HEADER = "eep-variant"
"""Selects a variant in requests, and names it in responses."""

BASE = "base"
PURPOSE_HEADER = "eep-purpose"
"""Tells requests of the operator from those of callers."""

TARGET_HEADER = "eep-target"
"""``base`` asks the base in place of the object's own models, and says in responses that it was asked."""

_BELOW = "/{proxy+}"

# SageMaker's ``Header`` shape, without the control characters that would end the header.
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,1024}")
# RFC 9110, section 8.3.1, bounded.
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,127}"
_MEDIA_TYPE = re.compile(rf'{_NAME}/{_NAME}( ?; ?{_NAME}=({_NAME}|"[ !#-\[\]-~]{{0,127}}")){{0,4}}')

_NOT_STORED = {"cache-control": "no-store"}
# A model is as trustworthy as its pull request, and in a browser all pull requests share one origin.
_SAFETY_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
}


class Answer(NamedTuple):
    """The model's own answer, with 200 or a 4xx, or a response about it.

    Attributes:
        status: the response's status.
        content_type: of the body, as the model returned it.
        body: the response's body.
        variant: the variant that answered, as far as it is known.
        headers: additional headers.
    """

    status: int
    content_type: str
    body: bytes
    variant: str | None = None
    headers: Mapping[str, str] = MappingProxyType({})


class Problem(Exception):  # noqa: N818 - RFC 9457's own word for it
    """Any other response; callers see ``detail``, which must not contain internals, and further ``members``.

    ``is_transient`` says that the model has not seen the request, and may take it in a moment.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        *,
        members: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        super().__init__(kind)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members
        self.is_transient = False


def child(event: Mapping[str, Any], path: str) -> str:
    """What the request asks for below the object's path, such as ``healthz``; nothing for the path itself.

    The key of the route says where the object's path ends: neither host nor stage nor a domain's base path matters.
    """
    route = str(event["routeKey"]).partition(" ")[2]
    if route.endswith(_BELOW):
        return str((event.get("pathParameters") or {}).get("proxy", ""))
    return route.removeprefix(f"{path}/") if route.startswith(f"{path}/") else ""


def folder(event: Mapping[str, Any], path: str) -> str:
    """The last segment of the URL below which the request came: of the object's path, or of one further below it.

    Empty where the request itself ends with a slash.
    """
    route = str(event["routeKey"]).partition(" ")[2]
    if not route.endswith(_BELOW):
        return path.rpartition("/")[2]
    return route.removesuffix(_BELOW).rpartition("/")[2] if child(event, path) else ""


def reference(folder: str, asked: str, child: str) -> str:
    """The URL of a child, relative to a request for the child ``asked`` below a folder (RFC 3986, section 4.2).

    It holds behind every host, stage and base path.
    """
    if asked:
        return "../" * asked.count("/") + child
    return f"{folder}/{child}" if folder else child


def method(event: Mapping[str, Any]) -> str:
    """The request's HTTP method."""
    return str(event["requestContext"]["http"]["method"])


def request_id(event: Mapping[str, Any]) -> str:
    """API Gateway's id of the request, which is also in its access log."""
    return str(event["requestContext"]["requestId"])


def headers(event: Mapping[str, Any]) -> dict[str, str]:
    """The request's headers by lower-case name."""
    return {name.lower(): value for name, value in event.get("headers", {}).items()}


def parameter(event: Mapping[str, Any], name: str) -> str | None:
    """A query parameter, several joined by commas; None without one."""
    value = (event.get("queryStringParameters") or {}).get(name)
    return None if value is None else str(value)


def authenticate(sent: Mapping[str, str], accepted: Sequence[str]) -> None:
    """Check the token of ``Authorization: Bearer``, else of ``X-Api-Key``, in constant time; raises Problem 401.

    ``accepted`` are the hashes of the tokens; without any, everybody may call.
    """
    if not accepted:
        return
    scheme, _, credentials = sent.get("authorization", "").partition(" ")
    token = credentials.strip() if scheme.lower() == "bearer" else sent.get("x-api-key", "")
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
    # Every one is compared, so that the time does not tell which it was.
    if not sum(hmac.compare_digest(digest, each) for each in accepted):
        detail = "Send the endpoint's token as 'Authorization: Bearer TOKEN'."
        raise Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, {"www-authenticate": "Bearer"})


def printable(value: str | None) -> bool:
    """Whether a value can be a header: it is there, and nothing in it would end the header."""
    return value is not None and _HEADER_VALUE.fullmatch(value) is not None


def read_body(event: Mapping[str, Any], max_bytes: int) -> bytes:
    """The request's body as the caller sent it; raises Problem 400 or 413.

    The size is also checked before decoding, so that large bodies are not copied only to be refused.
    """
    text = event.get("body") or ""
    encoded = event.get("isBase64Encoded", False)
    if len(text) <= (-(-max_bytes // 3) * 4 if encoded else max_bytes):
        try:
            body = base64.b64decode(text, validate=True) if encoded else text.encode()
        except (binascii.Error, ValueError) as error:
            raise Problem(HTTPStatus.BAD_REQUEST, "malformed-request", "The body cannot be decoded.") from error
        if len(body) <= max_bytes:
            return body
    detail = f"The body must be at most {max_bytes} bytes."
    raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", detail)


def render_answer(answer: Answer) -> dict[str, Any]:
    """The answer, byte for byte; raises Problem 502 if it is larger than Lambda can return."""
    response = _rendered(answer)
    if not _fits(response):
        raise too_large(answer.variant)
    return response


def fits(answer: Answer) -> bool:
    """Whether Lambda can return the answer."""
    return _fits(_rendered(answer))


def media_type(answer: Answer) -> str:
    """The media type of an answer; that of any bytes if the model names none that can be a header."""
    return answer.content_type if _MEDIA_TYPE.fullmatch(answer.content_type) else "application/octet-stream"


def _fits(response: Mapping[str, Any]) -> bool:
    return len(json.dumps(response, ensure_ascii=False).encode()) <= MAX_RESPONSE_BYTES


def _rendered(answer: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {
        "statusCode": int(answer.status),
        "headers": {
            **_NOT_STORED,
            **answer.headers,
            **variant_header(answer.variant),
            "content-type": media_type(answer),
            **_SAFETY_HEADERS,
        },
    }
    try:
        response |= {"body": answer.body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        response |= {"body": base64.b64encode(answer.body).decode("ascii"), "isBase64Encoded": True}
    return response


def too_large(variant: str | None) -> Problem:
    """The Problem for a variant's answer that Lambda would drop."""
    detail = "The answer of the model is larger than 6 MB, the most that the endpoint can return."
    return Problem(HTTPStatus.BAD_GATEWAY, "answer-too-large", detail, variant_header(variant))


def render_problem(problem: Problem, instance: str) -> dict[str, Any]:
    """``application/problem+json`` (RFC 9457); ``instance`` is the request's id in the logs."""
    return {
        "statusCode": problem.status.value,
        "headers": {
            "content-type": "application/problem+json",
            **_NOT_STORED,
            **_SAFETY_HEADERS,
            **problem.headers,
        },
        "body": json.dumps(problem_document(problem, instance)),
        "isBase64Encoded": False,
    }


def problem_document(problem: Problem, instance: str) -> dict[str, object]:
    """The problem as RFC 9457 writes it."""
    return {
        **problem.members,
        "type": f"urn:ephemeral-endpoints:problem:{problem.kind}",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
        "instance": instance,
    }


def variant_header(variant: str | None) -> dict[str, str]:
    """The header that names a variant; none for None."""
    return {VARIANT_HEADER: variant} if variant else {}


def body_bytes(message: Mapping[str, Any]) -> int:
    """Size in bytes of the body of an event or a response, after base64 decoding."""
    text = message.get("body") or ""
    if message.get("isBase64Encoded"):
        return len(text) // 4 * 3 - text[-2:].count("=")
    return len(text.encode("utf-8", "surrogatepass"))
