"""Requests and answers against the schemas of a forwarder as deployed, with a real HTTP server in SageMaker's place."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.features.routing.forwarder.deployed import (
    ABOUT,
    PATH,
    TOKEN,
    TOKEN_SHA256,
    Context,
    Reply,
    Runtime,
    deployed,
    event,
)

from ephemeral_endpoints.api.v1alpha1.schemas import MAX_SCHEMA_BYTES
from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig, Variant
from ephemeral_endpoints.features.routing.forwarder.json_text import NotJsonError, read_json
from ephemeral_endpoints.features.routing.forwarder.validation import is_json

REQUEST = {
    "type": "object",
    "properties": {"text": {"type": "string", "maxLength": 20}, "tree": {"$ref": "#/$defs/tree"}},
    "required": ["text"],
    "additionalProperties": False,
    "$defs": {"tree": {"items": {"$ref": "#/$defs/tree"}}},
}
RESPONSE = {"type": "object", "properties": {"label": {"enum": ["positive", "negative"]}}, "required": ["label"]}
CONFIG = ForwarderConfig(
    (Variant("main", "nlp-sentiment", 1),),
    TOKEN_SHA256,
    1_000_000,
    "eu-west-1",
    ABOUT,
    PATH,
    request_schema=json.dumps(REQUEST),
    response_schema=json.dumps(RESPONSE),
)
SECRET = "SECRET-OF-THE-CALLER"  # noqa: S105 - what must not be repeated


def post(forwarder: ModuleType, body: str, content_type: str = "application/json") -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {TOKEN}", **({"content-type": content_type} if content_type else {})}
    response = forwarder.handle(event(body=body, headers=headers), Context())
    return response["statusCode"], json.loads(response["body"])


@pytest.mark.parametrize("content_type", ["application/json", "application/vnd.acme+json; charset=utf-8", ""])
def test_a_request_and_an_answer_that_match_pass_byte_for_byte(
    forwarder: ModuleType, runtime: Runtime, content_type: str
) -> None:
    body = '{ "text" : "g\\u00f6d" }'
    assert post(forwarder, body, content_type) == (200, {"label": "positive"})
    assert [each.body for each in runtime.requests] == [body.encode()]


def test_a_request_that_does_not_match_never_reaches_the_model_and_is_told_why(
    forwarder: ModuleType, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    status, problem = post(forwarder, json.dumps({"more": SECRET, "tree": 1}))
    assert status == 400
    assert problem["type"] == "urn:ephemeral-endpoints:problem:request-invalid"
    assert problem["errors"] == [
        {"pointer": "/text", "keyword": "required", "detail": "is missing"},
        {"pointer": "/more", "keyword": "additionalProperties", "detail": "is not allowed here"},
    ]
    assert runtime.requests == []
    log = capsys.readouterr().out
    assert json.loads(log)["violations"] == ["/text required", "/more additionalProperties"]
    assert SECRET not in log + json.dumps(problem)


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        ("", "not-json", "The body is not JSON: Expecting value at character 0."),
        ("text", "not-json", "The body is not JSON: Expecting value at character 0."),
        ('{"text":"a","text":"b"}', "not-json", "The body has a name twice in an object."),
        ('{"text":NaN}', "not-json", "The body contains NaN, which JSON does not have."),
        ('{"text":1e400}', "not-json", "The body contains a number that is too large."),
        ('{"text":"\\ud800"}', "not-json", "The body contains half of a surrogate pair."),
        ("[" * 200_000, "not-json", "The body is nested too deeply."),
    ],
)
def test_what_programs_read_differently_is_refused(
    forwarder: ModuleType, runtime: Runtime, body: str, kind: str, detail: str
) -> None:
    status, problem = post(forwarder, body)
    assert (status, problem["type"].rpartition(":")[2], problem["detail"]) == (400, kind, detail)
    assert runtime.requests == []


def test_a_body_that_is_deeper_than_the_validator_can_go_is_refused(forwarder: ModuleType, runtime: Runtime) -> None:
    depth = 600
    status, problem = post(forwarder, '{"text":"a","tree":' + "[" * depth + "]" * depth + "}")
    assert (status, problem["detail"]) == (400, "The body is nested too deeply.")
    assert runtime.requests == []


def test_another_media_type_than_json_is_refused(forwarder: ModuleType, runtime: Runtime) -> None:
    status, problem = post(forwarder, '{"text":"a"}', "application/x-www-form-urlencoded")
    assert (status, problem["type"].rpartition(":")[2]) == (415, "unsupported-media-type")
    assert runtime.requests == []


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (
            Reply(body=json.dumps({"label": SECRET}).encode()),
            (
                "The answer of the model does not match the response schema.",
                [{"pointer": "/label", "keyword": "enum", "detail": "must be one of the values that the schema lists"}],
            ),
        ),
        (Reply(body=b'{"label":NaN}'), ("The answer of the model contains NaN, which JSON does not have.", [])),
        (
            Reply(body=b'{"label":"positive"}', headers={"Content-Type": "text/plain"}),
            ("The model answered with another media type than JSON.", []),
        ),
    ],
)
def test_an_answer_that_breaks_the_promise_is_a_502(
    forwarder: ModuleType,
    runtime: Runtime,
    capsys: pytest.CaptureFixture[str],
    reply: Reply,
    told: tuple[str, list[dict[str, str]]],
) -> None:
    runtime.answer_with(reply)
    status, problem = post(forwarder, '{"text":"a"}')
    assert (status, problem["type"].rpartition(":")[2]) == (502, "response-invalid")
    assert (problem["detail"], problem["errors"]) == told
    assert SECRET not in capsys.readouterr().out + json.dumps(problem)


def test_what_a_model_answers_to_a_refused_request_is_not_judged(forwarder: ModuleType, runtime: Runtime) -> None:
    refused = {"OriginalStatusCode": 422, "OriginalMessage": '{"error":"no"}', "Message": "x"}
    runtime.answer_with(Reply(424, {"x-amzn-ErrorType": "ModelError"}, json.dumps(refused).encode()))
    assert post(forwarder, '{"text":"a"}') == (422, {"error": "no"})


def test_the_largest_schema_is_in_the_package_and_judges_requests(runtime: Runtime, tmp_path: Path) -> None:
    names = [f"feature-{number:04}" for number in range(1_300)]
    properties = {name: {"type": "number", "minimum": 0} for name in names}
    schema = {"type": "object", "properties": properties, "additionalProperties": False, "title": ""}
    room = MAX_SCHEMA_BYTES - len(json.dumps(schema, separators=(",", ":")))
    text = json.dumps({**schema, "title": "x" * room}, separators=(",", ":"))
    assert len(text) == MAX_SCHEMA_BYTES
    url = f"http://127.0.0.1:{runtime.server_address[1]}"
    config = replace(CONFIG, request_schema=text)
    with deployed(config, tmp_path, {"SAGEMAKER_RUNTIME": url}) as forwarder:
        assert post(forwarder, json.dumps(dict.fromkeys(names, 1.5)))[0] == 200
        status, problem = post(forwarder, json.dumps({names[-1]: -1}))
    assert (status, problem["errors"][0]["pointer"]) == (400, f"/{names[-1]}")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xef\xbb\xbf{}", "begins with a byte order mark"),
        ("{}".encode("utf-16"), "is not UTF-8 at byte 0"),
        (b'"\xed\xa0\x80"', "is not UTF-8 at byte 1"),
        (b"-Infinity", "contains -Infinity"),
        (b"9" * 5000, "too many digits"),
        (b'"\x01"', "Invalid control character at"),
    ],
)
def test_other_texts_that_are_no_json(content: bytes, words: str) -> None:
    with pytest.raises(NotJsonError, match=re.escape(words)):
        read_json(content)


def test_json_is_read_as_it_is_written() -> None:
    assert read_json(b'{"a":[1,1.5,-2e3,"\\ud83d\\ude00",null,true]}') == {
        "a": [1, 1.5, -2000.0, "\U0001f600", None, True]
    }


@pytest.mark.parametrize("media_type", ["text/json", "application/jsonl", "application/json-seq", "text/plain", "json"])
def test_media_types_that_are_no_json(media_type: str) -> None:
    assert not is_json(media_type)
