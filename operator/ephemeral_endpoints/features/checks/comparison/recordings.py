"""Recorded requests, from files as SageMaker's data capture writes them, or as people do. Pure.

The lines of data capture: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

from ephemeral_endpoints.features.checks.requests import ModelRequest
from ephemeral_endpoints.features.routing.forwarder.records import CUT

MOST_FILE_BYTES: Final = 1024 * 1024
"""So much of a file is read."""

MOST_REQUEST_BYTES: Final = 256 * 1024
"""A larger request is skipped: those of a whole comparison are kept in memory."""

_LINES: Final = ".jsonl"
_MOST_MEDIA_TYPE: Final = 128


def requests_of(name: str, content: bytes, media_type: str, *, is_cut: bool) -> Iterator[ModelRequest | None]:
    """The requests of a file in their order; None in place of each that is none, or is too large.

    ``is_cut`` if ``content`` is only the beginning of the file: the last line is then none.
    """
    if not name.endswith(_LINES):
        yield None if is_cut else _bounded(content, media_type)
        return
    lines = content.split(b"\n")
    for line in lines[:-1] if is_cut else lines:
        if line.strip():
            yield _of_line(line)


def _of_line(line: bytes) -> ModelRequest | None:
    try:
        record = json.loads(line)
        captured = record.get("captureData")
        return _captured(captured["endpointInput"]) if captured else _written(record)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None


def _captured(given: dict[str, Any]) -> ModelRequest | None:
    """The request of a line of data capture; none if the forwarder has cut it."""
    if CUT in given:
        return None
    data = given["data"]
    body = base64.b64decode(data, validate=True) if given.get("encoding") == "BASE64" else data.encode()
    return _bounded(body, given.get("observedContentType") or "application/json")


def _written(record: dict[str, Any]) -> ModelRequest | None:
    """The request of a line with the members of a sample."""
    request = record["request"]
    body = request if isinstance(request, str) else json.dumps(request)
    return _bounded(body.encode(), record.get("contentType", "application/json"))


def _bounded(body: bytes, media_type: str) -> ModelRequest | None:
    """The request, unless it is too large, or its media type would be no header."""
    is_header = media_type.isascii() and media_type.isprintable() and 0 < len(media_type) <= _MOST_MEDIA_TYPE
    return ModelRequest(body, media_type) if is_header and len(body) <= MOST_REQUEST_BYTES else None
