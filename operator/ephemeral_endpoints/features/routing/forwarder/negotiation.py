"""What a request may be, and what its caller takes as an answer. Pure."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from ephemeral_endpoints.features.routing.forwarder.messages import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_ENCODING = frozenset({"", "identity"})
_STREAM = b'"stream"'


def media_type(value: str) -> str:
    """The media type of a ``content-type`` header in lower case, without its parameters."""
    return value.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Whether a media type is JSON (RFC 6839, section 3.1)."""
    found = media_type(content_type)
    return found == "application/json" or found.endswith("+json")


def accepts(sent: Mapping[str, str], wanted: str) -> bool:
    """Whether the caller takes an answer of that media type (RFC 9110, section 12.5.1); without a header, any."""
    qualities: dict[str, float] = {}
    for each in sent.get("accept", "").split(","):
        name, *parameters = (part.strip().lower() for part in each.split(";"))
        if name:
            qualities[name] = _quality(parameters)
    ranges = (wanted, f"{wanted.partition('/')[0]}/*", "*/*")
    return not qualities or next((qualities[each] > 0 for each in ranges if each in qualities), False)


def require_json(sent: Mapping[str, str]) -> None:
    """Check that the caller takes JSON; raises Problem 406."""
    if not accepts(sent, "application/json"):
        detail = "The answer is application/json, which the Accept header excludes."
        raise Problem(HTTPStatus.NOT_ACCEPTABLE, "not-acceptable", detail)


def check_content(sent: Mapping[str, str], allowed: Sequence[str]) -> None:
    """Check the encoding of the body, and its type against those allowed, if any; raises Problem 415."""
    if sent.get("content-encoding", "").strip().lower() not in _NO_ENCODING:
        detail = "Send the body without a content encoding: it is passed to the model as it is."
        raise _unsupported(detail, {"accept-encoding": "identity"})
    if allowed and media_type(sent.get("content-type", "")) not in allowed:
        raise _unsupported(f"The content type must be {' or '.join(allowed)}.", {"accept": ", ".join(allowed)})


def refuse_streaming(body: bytes, content_type: str, *, streams: bool) -> None:
    """Raise Problem 400 for a JSON object that asks for a stream; ``streams`` says whether the endpoint has a path."""
    if _STREAM not in body or not is_json(content_type):
        return
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict) and document.get("stream") is True:
        where = (
            "stream from the URL that status.openAIBaseUrl of the object names, with a token of `eep openai-token`"
            if streams
            else "serve the model on instances (spec.serving.instances), where SageMaker has a path for streams"
        )
        detail = f'This URL does not stream. Send the request without "stream": true, or {where}.'
        raise Problem(HTTPStatus.BAD_REQUEST, "streaming-unsupported", detail)


def _quality(parameters: Sequence[str]) -> float:
    weights = [each.removeprefix("q=") for each in parameters if each.startswith("q=")]
    try:
        return float(weights[0]) if weights else 1.0
    except ValueError:
        return 0.0


def _unsupported(detail: str, headers: Mapping[str, str]) -> Problem:
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, headers)
