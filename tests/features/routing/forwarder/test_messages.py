import base64
import hashlib
import json
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ephemeral_endpoints.features.routing.forwarder import messages
from ephemeral_endpoints.features.routing.forwarder.messages import MAX_RESPONSE_BYTES, Answer, Problem

TOKEN_HASH = hashlib.sha256(b"correct-horse").hexdigest()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"authorization": "Bearer correct-horse"}, "RFC 6750"),
        ({"authorization": "bearer correct-horse"}, "authentication schemes are case-insensitive (RFC 9110)"),
        ({"authorization": "Bearer  correct-horse "}, "white space around credentials means nothing"),
        ({"x-api-key": "correct-horse"}, "what clients of API Gateway's own keys send"),
        ({"authorization": "Basic dXNlcg==", "x-api-key": "correct-horse"}, "another scheme does not hide the key"),
    ],
)
def test_the_token_opens(sent: dict[str, str], reason: str) -> None:
    try:
        messages.authenticate(sent, [TOKEN_HASH])
    except Problem:
        pytest.fail(reason)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({}, "no token"),
        ({"authorization": ""}, "an empty header"),
        ({"authorization": "Bearer"}, "a scheme alone"),
        ({"authorization": "Bearer wrong"}, "another token"),
        ({"authorization": "correct-horse"}, "the token without its scheme"),
        ({"authorization": "Basic correct-horse"}, "the token under another scheme"),
        ({"authorization": f"Bearer {TOKEN_HASH}"}, "the hash, which the bundle contains, is not the token"),
        ({"authorization": "Bearer correct-horse,Bearer correct-horse"}, "two headers, joined by API Gateway"),
        ({"authorization": "Bearer wrong", "x-api-key": "correct-horse"}, "a wrong token is not forgiven for a key"),
        ({"authorization": "Bearer \ud800"}, "not even text"),
    ],
)
def test_nothing_else_opens(sent: dict[str, str], reason: str) -> None:
    with pytest.raises(Problem) as refusal:
        messages.authenticate(sent, [TOKEN_HASH])
    assert refusal.value.status == HTTPStatus.UNAUTHORIZED, reason
    assert refusal.value.headers == {"www-authenticate": "Bearer"}, "RFC 9110 wants the challenge"


def test_without_a_token_hash_every_caller_is_let_in() -> None:
    messages.authenticate({}, [])


def test_each_of_the_accepted_tokens_opens() -> None:
    other = hashlib.sha256(b"other").hexdigest()
    for token in ("correct-horse", "other"):
        messages.authenticate({"authorization": f"Bearer {token}"}, [TOKEN_HASH, other])


@given(st.binary(max_size=64), st.integers(1, 64))
@example(b"", 1)
@example(b"abcd", 4)
@example(b"abcde", 4)
def test_a_body_is_read_exactly_or_refused_for_its_size(body: bytes, limit: int) -> None:
    event = {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    if len(body) <= limit:
        assert messages.read_body(event, limit) == body
    else:
        with pytest.raises(Problem) as refusal:
            messages.read_body(event, limit)
        assert refusal.value.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize(
    ("event", "expected", "reason"),
    [
        ({"body": "{}", "isBase64Encoded": False}, b"{}", "JSON comes as text"),
        ({"isBase64Encoded": False}, b"", "API Gateway leaves an empty body out"),
        ({"body": "ü", "isBase64Encoded": False}, b"\xc3\xbc", "text is UTF-8"),
        ({"body": "ü" * 5, "isBase64Encoded": False}, 413, "bytes are counted, not characters"),
        ({"body": "a" * 9, "isBase64Encoded": False}, 413, "one byte too many"),
        ({"body": "not base64!", "isBase64Encoded": True}, 400, "decoding must not guess"),
        ({"body": "\ud800", "isBase64Encoded": False}, 400, "a lone surrogate is no text"),
        ({"body": "=" * 5000, "isBase64Encoded": True}, 413, "refused before it is decoded"),
    ],
)
def test_how_a_body_is_read(event: dict[str, Any], expected: bytes | int, reason: str) -> None:
    result: bytes | int
    try:
        result = messages.read_body(event, 8)
    except Problem as problem:
        result = problem.status.value
    assert result == expected, reason


@given(st.text(max_size=40))
@example("a/b\r\nset-cookie: x")
@example("application/json\n")
@example("ü")
@example("x" * 1025)
def test_a_value_is_a_header_only_if_it_cannot_end_itself(value: str) -> None:
    assert messages.printable(value) == (0 < len(value) <= 1024 and value.isascii() and value.isprintable())


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({}, None),
        ({"queryStringParameters": None}, None),
        ({"queryStringParameters": {"other": "1"}}, None),
        ({"queryStringParameters": {"inference": ""}}, ""),
        ({"queryStringParameters": {"inference": "1,2"}}, "1,2"),
    ],
)
def test_a_parameter_that_is_empty_is_there(event: dict[str, Any], expected: str | None) -> None:
    assert messages.parameter(event, "inference") == expected


def test_other_headers_do_not_replace_security_headers() -> None:
    answer = Answer(202, "application/json", b"{}", "main", {"location": "/x", "content-security-policy": ""})
    sent = messages.render_answer(answer)["headers"]
    assert (sent["location"], sent["eep-variant"]) == ("/x", "main")
    assert sent["cache-control"] == "no-store"
    assert "sandbox" in sent["content-security-policy"]


@given(st.binary(max_size=200), st.sampled_from(["application/json", "image/png", "text/plain; charset=latin-1"]))
@example(b"\x00\x7f", "text/plain")
def test_an_answer_goes_out_byte_for_byte(body: bytes, content_type: str) -> None:
    response = messages.render_answer(Answer(200, content_type, body))
    carried = base64.b64decode(response["body"]) if response["isBase64Encoded"] else response["body"].encode()
    assert carried == body
    assert response["headers"]["content-type"] == content_type
    assert messages.body_bytes(response) == len(body)


@pytest.mark.parametrize(
    ("content_type", "passed", "reason"),
    [
        ("application/json", True, "the usual one"),
        ("application/vnd.api+json;charset=utf-8", True, "suffixes and parameters"),
        ('multipart/mixed; boundary="a b:c"', True, "quoted parameters may have spaces"),
        ("", False, "the container sent none"),
        ("json", False, "no subtype"),
        ("text/html\r\nset-cookie: a=b", False, "would start another header"),
        ("text/html\n", False, "likewise, at the end"),
        ('text/plain; a="\r\n"', False, "likewise, within quotes"),
        ("text/plain; a=b" + "c" * 2000, False, "longer than any real one"),
    ],
)
def test_a_models_content_type_is_passed_on_only_if_it_is_one(content_type: str, reason: str, *, passed: bool) -> None:
    sent = messages.render_answer(Answer(200, content_type, b""))["headers"]["content-type"]
    assert sent == (content_type if passed else "application/octet-stream"), reason


def test_no_answer_can_run_in_a_browser_in_the_name_of_the_shared_api() -> None:
    page = messages.render_answer(Answer(200, "text/html", b"<script>steal()</script>"))
    problem = messages.render_problem(Problem(HTTPStatus.BAD_GATEWAY, "model-error", "Failed."), "id")
    for headers in (page["headers"], problem["headers"]):
        assert headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store", "a proxy must not keep what a token opened"


@given(st.text(max_size=2000))
def test_no_content_type_can_add_a_header(content_type: str) -> None:
    headers = messages.render_answer(Answer(200, content_type, b""))["headers"]
    assert headers["content-type"].isprintable()
    assert headers["content-type"].isascii()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"a" * (MAX_RESPONSE_BYTES + 1), "larger as it stands"),
        (b"\xff" * 5_000_000, "larger once base64 has inflated it"),
        (b'"' * 3_500_000, "larger once its quotes are escaped"),
    ],
)
def test_an_answer_that_lambda_would_drop_is_a_problem(body: bytes, reason: str) -> None:
    with pytest.raises(Problem) as refusal:
        messages.render_answer(Answer(200, "text/plain", body, "main"))
    assert refusal.value.kind == "answer-too-large", reason
    assert refusal.value.headers == {"eep-variant": "main"}


def test_a_problem_has_every_member_of_rfc_9457() -> None:
    problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "throttled", "Busy.", {"retry-after": "1"})
    response = messages.render_problem(problem, "JKJaXmPLvHcESHA=")
    assert json.loads(response["body"]) == {
        "type": "urn:ephemeral-endpoints:problem:throttled",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Busy.",
        "instance": "JKJaXmPLvHcESHA=",
    }
    assert response["statusCode"] == 503
    assert response["headers"]["content-type"] == "application/problem+json"
    assert response["headers"]["retry-after"] == "1"


def test_further_members_of_a_problem_replace_none_of_its_own() -> None:
    members = {"status": 200, "modelStatus": 500}
    problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "sample-refused", "No.", members=members)
    document = json.loads(messages.render_problem(problem, "id")["body"])
    assert (document["status"], document["modelStatus"]) == (503, 500)
