import base64
import json
from typing import Any

import pytest

from ephemeral_endpoints.features.checks.comparison.recordings import MOST_REQUEST_BYTES, requests_of
from ephemeral_endpoints.features.checks.requests import ModelRequest


def captured(**given: Any) -> dict[str, Any]:  # noqa: ANN401 - members of a record
    """A line as SageMaker's data capture writes it."""
    return {
        "captureData": {"endpointInput": {"observedContentType": "application/json", "mode": "INPUT", **given}},
        "eventMetadata": {"eventId": "1"},
        "eventVersion": "0",
    }


@pytest.mark.parametrize(
    ("record", "expected", "reason"),
    [
        (captured(data='{"x":1}', encoding="JSON"), ModelRequest(b'{"x":1}'), "captured JSON"),
        (
            captured(data="1,2", encoding="CSV", observedContentType="text/csv"),
            ModelRequest(b"1,2", "text/csv"),
            "captured CSV",
        ),
        (
            captured(data=base64.b64encode(b"\xff\xd8").decode(), encoding="BASE64", observedContentType="image/jpeg"),
            ModelRequest(b"\xff\xd8", "image/jpeg"),
            "captured bytes",
        ),
        (captured(data="*", encoding="BASE64"), None, "no base64"),
        (captured(encoding="JSON"), None, "a record without its data"),
        ({"captureData": {"endpointOutput": {}}}, None, "an answer alone"),
        ({"request": "1,2", "contentType": "text/csv"}, ModelRequest(b"1,2", "text/csv"), "a sample"),
        ({"request": {"x": 1}}, ModelRequest(b'{"x": 1}'), "a sample in JSON"),
        ({"request": "x", "contentType": "a\r\nEvil: 1"}, None, "a header in the media type"),
        ({"request": "x", "contentType": 5}, None, "no media type"),
        ({"request": "x" * (MOST_REQUEST_BYTES + 1)}, None, "too large"),
        ({"answer": 1}, None, "no request"),
        ([1], None, "no record"),
    ],
)
def test_a_line_is_a_request_or_none(record: object, expected: ModelRequest | None, reason: str) -> None:
    assert [*requests_of("a.jsonl", json.dumps(record).encode(), "", is_cut=False)] == [expected], reason


def test_empty_lines_are_no_records_and_a_line_that_is_cut_is_left_out() -> None:
    content = b'{"request":"1"}\n\n  \nnonsense\n{"request":"2"}'
    one, two = ModelRequest(b"1"), ModelRequest(b"2")
    assert [*requests_of("a.jsonl", content, "", is_cut=False)] == [one, None, two]
    assert [*requests_of("a.jsonl", content, "", is_cut=True)] == [one, None]


@pytest.mark.parametrize(
    ("media_type", "is_cut", "expected", "reason"),
    [
        ("image/png", False, [ModelRequest(b"\x89", "image/png")], "a file is the body of one request"),
        ("image/png", True, [None], "but not its beginning"),
        ("", False, [None], "nor without a media type"),
    ],
)
def test_any_other_file_is_one_request(
    media_type: str,
    *,
    is_cut: bool,
    expected: list[ModelRequest | None],
    reason: str,
) -> None:
    assert [*requests_of("a.png", b"\x89", media_type, is_cut=is_cut)] == expected, reason


def test_nesting_beyond_all_measure_is_no_request() -> None:
    assert [*requests_of("a.jsonl", b"[" * 100_000, "", is_cut=False)] == [None]
