"""The records of captured requests and answers, as SageMaker's data capture writes them. Pure.

The format: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html. SageMaker's record
has no place for whose it is, nor for what is missing: ``ephemeralEndpoint`` and ``cut`` are members beside its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_RECORD_BYTES = 1_024_000
"""The largest record of Firehose, 1,000 KiB (https://docs.aws.amazon.com/firehose/latest/APIReference/API_Record.html).
Kinesis takes larger ones."""

REDACTED = "[redacted]"
"""What stands in place of a value that is not recorded."""

OWNER = "ephemeralEndpoint"
"""The member that says whose record it is."""

CUT = "cut"
"""The member of a request or an answer that is not recorded as a whole: its size in bytes."""

MOST_PARSED_BYTES = 1_048_576
"""What is larger is left out where something is to be redacted: to read it would take the caller's time."""

ANY_INDEX, ANY_MEMBER = "-", "*"

_ENCODINGS = {"application/json": "JSON", "text/csv": "CSV"}
_NO_TYPE = "application/octet-stream"
_MODES = ("INPUT", "OUTPUT")


class Content(NamedTuple):
    """A request or an answer."""

    content_type: str
    body: bytes


class Bounds(NamedTuple):
    """What of a request or an answer is recorded: so many bytes, and not what the JSON pointers point at.

    In pointers ``-`` stands for every index of an array, and ``*`` also for every member of an object.
    """

    max_bytes: int
    redact: tuple[str, ...] = ()


def is_sampled(event_id: str, percent: int) -> bool:
    """Whether a request is among the percentage that is captured: the same one always or never."""
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:8], "big") % 100 < percent


def record(
    request: Content, answer: Content, bounds: Bounds, metadata: Mapping[str, str], owner: Mapping[str, object]
) -> bytes:
    """The record as a line. It is as large as Firehose takes it at most: what is longer is cut further.

    ``metadata`` are SageMaker's members of ``eventMetadata``.
    """
    most = bounds.max_bytes
    contents = [(each, _redacted(each, bounds.redact)) for each in (request, answer)]
    while True:
        given, answered = (_part(mode, *each, most) for mode, each in zip(_MODES, contents, strict=True))
        made = _line(given, answered, metadata, owner)
        if len(made) <= MOST_RECORD_BYTES:
            return made
        most //= 2


def _line(
    given: Mapping[str, object],
    answered: Mapping[str, object],
    metadata: Mapping[str, str],
    owner: Mapping[str, object],
) -> bytes:
    document = {
        "captureData": {"endpointInput": given, "endpointOutput": answered},
        "eventMetadata": dict(metadata),
        "eventVersion": "0",
        OWNER: dict(owner),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _part(mode: str, content: Content, safe: bytes | None, most: int) -> dict[str, object]:
    """``safe`` is what may be recorded of the body; None for nothing."""
    kept = (safe or b"")[:most]
    is_cut = safe is None or len(kept) < len(safe)
    encoding = _ENCODINGS.get(content.content_type.partition(";")[0].strip().lower(), "")
    data = _text(kept, is_cut=is_cut) if encoding else None
    if data is None:
        data, encoding = base64.b64encode(kept).decode(), "BASE64"
    part: dict[str, object] = {
        "observedContentType": content.content_type or _NO_TYPE,
        "mode": mode,
        "data": data,
        "encoding": encoding,
    }
    return {**part, CUT: len(content.body)} if is_cut else part


def _text(body: bytes, *, is_cut: bool) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        # A cut may be within a character.
        return body[: error.start].decode() if is_cut and error.reason == "unexpected end of data" else None


def _redacted(content: Content, pointers: Sequence[str]) -> bytes | None:
    """The body without what the pointers point at; None for what is no JSON: nobody knows what is in it."""
    if not pointers:
        return content.body
    if len(content.body) > MOST_PARSED_BYTES:
        return None
    try:
        document = json.loads(content.body)
        for pointer in pointers:
            steps = [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]
            document = _without(document, steps)
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return None


def _without(value: Any, steps: Sequence[str]) -> Any:
    if not steps:
        return REDACTED
    first, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        return {name: _without(each, rest) if first in {name, ANY_MEMBER} else each for name, each in value.items()}
    if isinstance(value, list):
        return [
            _without(each, rest) if first in {str(index), ANY_INDEX, ANY_MEMBER} else each
            for index, each in enumerate(value)
        ]
    return value
