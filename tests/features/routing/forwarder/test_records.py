"""The records of captured requests and answers."""

import base64
import json
from typing import Any

import pytest

from ephemeral_endpoints.features.checks.comparison.recordings import requests_of
from ephemeral_endpoints.features.checks.requests import ModelRequest
from ephemeral_endpoints.features.routing.forwarder.records import (
    CUT,
    MOST_PARSED_BYTES,
    MOST_RECORD_BYTES,
    OWNER,
    REDACTED,
    Bounds,
    Content,
    is_sampled,
    record,
)

METADATA = {"eventId": "e-1", "inferenceId": "i-1", "inferenceTime": "2026-11-30T12:00:00Z"}
ANSWER = Content("application/json", b'{"label":"positive"}')
JSON = "application/json"


def made(content: Content, max_bytes: int = 1000, redact: tuple[str, ...] = (), answer: Content = ANSWER) -> Any:  # noqa: ANN401 - JSON
    line = record(content, answer, Bounds(max_bytes, redact), METADATA, {"name": "pr-42"})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return json.loads(line)


def part(content: Content, max_bytes: int = 1000, redact: tuple[str, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = made(content, max_bytes, redact)["captureData"]["endpointInput"]
    return found


def test_a_record_has_the_form_of_sagemakers_data_capture() -> None:
    assert made(Content("text/csv", b"1,2")) == {
        "captureData": {
            "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": "1,2", "encoding": "CSV"},
            "endpointOutput": {
                "observedContentType": JSON,
                "mode": "OUTPUT",
                "data": '{"label":"positive"}',
                "encoding": "JSON",
            },
        },
        "eventMetadata": METADATA,
        "eventVersion": "0",
        OWNER: {"name": "pr-42"},
    }


@pytest.mark.parametrize(
    ("content", "data", "encoding", "why"),
    [
        (Content(JSON, b'{"a": 1}'), '{"a": 1}', "JSON", "byte for byte"),
        (Content("Application/JSON; charset=utf-8", b"[1]"), "[1]", "JSON", "whatever the case and the parameters"),
        (Content("text/csv", "ä,1\n2,3".encode()), "ä,1\n2,3", "CSV", "lines stay in one record"),
        (Content("text/plain", b"good"), base64.b64encode(b"good").decode(), "BASE64", "no type that SageMaker keeps"),
        (Content("image/png", b"\x89PNG"), base64.b64encode(b"\x89PNG").decode(), "BASE64", "binary"),
        (Content(JSON, b"\xff"), base64.b64encode(b"\xff").decode(), "BASE64", "no text, whatever it says"),
        (Content("", b"{}"), base64.b64encode(b"{}").decode(), "BASE64", "no type"),
        (Content(JSON, b""), "", "JSON", "nothing"),
    ],
)
def test_text_is_kept_as_text_and_all_else_in_base64(content: Content, data: str, encoding: str, why: str) -> None:
    found = part(content)
    assert (found["data"], found["encoding"]) == (data, encoding), why
    assert CUT not in found


@pytest.mark.parametrize(
    ("given", "pointers", "kept", "why"),
    [
        ({"a": "x", "b": 1}, ("/a",), {"a": REDACTED, "b": 1}, "a member"),
        ({"a": {"b": ["x"]}}, ("/a",), {"a": REDACTED}, "with everything below"),
        ({"rows": [{"a": "x"}, {"a": "y"}]}, ("/rows/-/a",), {"rows": [{"a": REDACTED}] * 2}, "every element"),
        ({"rows": ["x", 1]}, ("/rows/0",), {"rows": [REDACTED, 1]}, "one element"),
        ({"p": {"k": "x", "l": "y"}}, ("/p/*",), {"p": {"k": REDACTED, "l": REDACTED}}, "every member"),
        ([["x"], ["y"]], ("/*/0",), [[REDACTED], [REDACTED]], "* is also every index"),
        ({"a/b": "x", "c~d": "y"}, ("/a~1b", "/c~0d"), {"a/b": REDACTED, "c~d": REDACTED}, "escaped names"),
        ({"~1": "x"}, ("/~01",), {"~1": REDACTED}, "escaped in the right order"),
        ({"": "x"}, ("/",), {"": REDACTED}, "an empty name"),
        ({"a": 1}, ("/b", "/a/b", "/a/0"), {"a": 1}, "what is not there"),
        ([1], ("/7", "/x"), [1], "an index that is not there"),
        ({"a": "x"}, ("",), REDACTED, "the whole document"),
    ],
)
def test_what_a_pointer_points_at_is_not_recorded(given: Any, pointers: tuple[str, ...], kept: Any, why: str) -> None:  # noqa: ANN401 - any JSON
    content = Content(JSON, json.dumps(given).encode())
    found = made(content, redact=pointers, answer=content)
    for each in found["captureData"].values():
        assert json.loads(each["data"]) == kept, why
        assert CUT not in each


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (Content("text/csv", b"secret,1"), "pointers do not lead into CSV"),
        (Content(JSON, b'{"a": "secret"'), "no JSON"),
        (Content("image/png", b"\xffsecret"), "binary"),
        (Content(JSON, b'{"b": "secret \\ud800"}'), "a text that cannot be written again"),
        (Content(JSON, b"[" * 100_000 + b'"secret"'), "nested too deeply"),
        (Content(JSON, b'"secret' + b"x" * MOST_PARSED_BYTES + b'"'), "too large to be read"),
    ],
)
def test_what_cannot_be_redacted_is_left_out_as_a_whole(content: Content, why: str) -> None:
    found = part(content, redact=("/a",))
    assert found["data"] == "", why
    assert found[CUT] == len(content.body), why


def test_a_member_that_is_there_twice_is_redacted_twice() -> None:
    twice = Content(JSON, b'{"a":"secret1","a":"secret2","\\u0061":"secret3"}')
    assert "secret" not in str(part(twice, redact=("/a",)))


def test_what_the_content_type_hides_is_redacted_too() -> None:
    found = part(Content("text/plain", b'{"a":"secret"}'), redact=("/a",))
    assert base64.b64decode(found["data"]) == b'{"a":"[redacted]"}'


@pytest.mark.parametrize(
    ("content", "max_bytes", "data", "why"),
    [
        (Content(JSON, b'{"text":"good"}'), 8, '{"text":', "the beginning"),
        (Content(JSON, "aä".encode()), 2, "a", "not half a character"),
        (Content(JSON, b"a\xffbc"), 3, base64.b64encode(b"a\xffb").decode(), "no text, and no cut character either"),
        (Content("image/png", b"\x89PNG"), 3, base64.b64encode(b"\x89PN").decode(), "binary"),
    ],
)
def test_what_is_too_long_is_cut_and_says_so(content: Content, max_bytes: int, data: str, why: str) -> None:
    found = part(content, max_bytes)
    assert (found["data"], found[CUT]) == (data, len(content.body)), why


def test_redaction_comes_before_the_cut() -> None:
    assert "secret" not in str(part(Content(JSON, b'{"a":"secret secret secret"}'), max_bytes=12, redact=("/a",)))


def test_no_record_is_larger_than_firehose_takes() -> None:
    worst = Content(JSON, b"\x01" * 262_144)
    line = record(worst, worst, Bounds(262_144), METADATA, {})
    assert MOST_RECORD_BYTES // 4 < len(line) <= MOST_RECORD_BYTES
    assert json.loads(line)["captureData"]["endpointInput"][CUT] == 262_144


def test_sampling_depends_on_the_id_alone_and_meets_the_share() -> None:
    ids = [f"request-{number}" for number in range(4000)]
    taken = [each for each in ids if is_sampled(each, 25)]
    assert 900 < len(taken) < 1100
    assert taken == [each for each in ids if is_sampled(each, 25)]
    assert set(taken) < {each for each in ids if is_sampled(each, 50)}
    assert all(is_sampled(each, 100) for each in ids)


@pytest.mark.parametrize(
    ("content", "max_bytes", "expected", "why"),
    [
        (Content("text/csv", b"1,2"), 1000, ModelRequest(b"1,2", "text/csv"), "text"),
        (Content("image/png", b"\x89PNG"), 1000, ModelRequest(b"\x89PNG", "image/png"), "binary"),
        (Content(JSON, b'{"text":"good"}'), 8, None, "what was cut was never asked"),
    ],
)
def test_the_comparison_reads_records(
    content: Content, max_bytes: int, expected: ModelRequest | None, why: str
) -> None:
    line = record(content, ANSWER, Bounds(max_bytes), METADATA, {})
    assert list(requests_of("a.jsonl", line, JSON, is_cut=False)) == [expected], why
