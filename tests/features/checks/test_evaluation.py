import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.features.checks.checking import expectation
from tests.features.checks.test_documents import JSON

from ephemeral_endpoints.features.checks.evaluation import MAX_MESSAGE, evaluate, message_of
from ephemeral_endpoints.features.checks.requests import ModelAnswer

GOOD = b'{"label": "positive", "score": 0.93, "top": [{"label": "a"}], "nothing": null}'


def answer(body: bytes = GOOD, status: int | None = 200, seconds: float = 0.1, **more: Any) -> ModelAnswer:  # noqa: ANN401 - fields of an answer
    return ModelAnswer(status, seconds, body, more.pop("content_type", "application/json"), **more)


def values(*expected: dict[str, Any]) -> dict[str, Any]:
    return {"values": list(expected)}


def message(given_answer: ModelAnswer, **expect: Any) -> str:  # noqa: ANN401 - members of an expectation
    return message_of(evaluate(given_answer, expectation(**expect)).failures)


@pytest.mark.parametrize(
    ("given_answer", "expect"),
    [
        pytest.param(answer(), {}, id="any status of 2xx"),
        pytest.param(answer(status=202), {}, id="accepted"),
        pytest.param(answer(b"no such text", 422), {"status": 422}, id="a refusal that is expected"),
        pytest.param(answer(b"\xff<html>"), {}, id="content of which nothing is expected"),
        pytest.param(answer(is_truncated=True), {}, id="a long answer of which nothing is expected"),
        pytest.param(answer(seconds=0.5), {"timeLimitMs": 500}, id="just in time"),
        pytest.param(answer(), values({"pointer": "/label", "equals": "positive"}), id="a text"),
        pytest.param(answer(), values({"pointer": "/score", "equals": 0.9, "tolerance": 0.05}), id="a number, nearly"),
        pytest.param(answer(), values({"pointer": "/score", "min": 0.93, "max": 0.93}), id="both bounds are allowed"),
        pytest.param(answer(), values({"pointer": "/label", "oneOf": ["neutral", "positive"]}), id="one of two"),
        pytest.param(answer(), values({"pointer": "/nothing", "equals": None}), id="null"),
        pytest.param(answer(b"[1]"), values({"pointer": "", "equals": [1.0]}), id="the whole answer"),
    ],
)
def test_an_answer_is_as_expected(given_answer: ModelAnswer, expect: dict[str, Any]) -> None:
    assert message(given_answer, **expect) == ""


@pytest.mark.parametrize(
    ("given_answer", "expect", "expected"),
    [
        pytest.param(
            answer(b'{"detail": "text is missing"}', 422),
            values({"pointer": "/label", "equals": "positive"}),
            'status: expected 200 to 299, found 422 ({"detail": "text is missing"})',
            id="the body of another status is not looked into",
        ),
        pytest.param(answer(status=200, body=b""), {"status": 422}, "status: expected 422, found 200", id="no words"),
        pytest.param(
            answer(b"", None, error="no answer within 30 s"),
            {},
            "the answer: expected one within 30000 ms, found no answer within 30 s",
            id="a model that hangs",
        ),
        pytest.param(
            answer(seconds=1.234), {"timeLimitMs": 500}, "time: expected at most 500 ms, found 1234 ms", id="too late"
        ),
        pytest.param(
            answer(),
            values({"pointer": "/label", "equals": "negative"}),
            '/label: expected "negative", found "positive"',
            id="another text",
        ),
        pytest.param(
            answer(),
            values({"pointer": "/score", "equals": 0.8, "tolerance": 0.05}),
            "/score: expected 0.8 ± 0.05, found 0.93",
            id="too far off",
        ),
        pytest.param(
            answer(),
            values({"pointer": "/score", "min": 0.95}),
            "/score: expected a number of at least 0.95, found 0.93",
            id="too small",
        ),
        pytest.param(
            answer(),
            values({"pointer": "/label", "max": 1}),
            '/label: expected a number of at most 1.0, found "positive"',
            id="no number",
        ),
        pytest.param(
            answer(b'{"ok": true}'),
            values({"pointer": "/ok", "min": 0, "max": 1}),
            "/ok: expected a number from 0.0 to 1.0, found true",
            id="true is no number",
        ),
        pytest.param(
            answer(),
            values({"pointer": "/top/1/label", "equals": "a"}),
            '/top/1/label: expected "a", found nothing there',
            id="nothing there",
        ),
        pytest.param(
            answer(),
            values({"pointer": "/missing", "equals": None}),
            "/missing: expected null, found nothing there",
            id="nothing there is not null",
        ),
        pytest.param(
            answer(),
            values({"pointer": "/label", "oneOf": ["a", "b", "c", "d"]}),
            '/label: expected one of "a", "b", "c" and 1 more, found "positive"',
            id="none of them",
        ),
        pytest.param(
            answer(b'{"score": 1e999}'),
            values({"pointer": "/score", "min": 0}),
            "/score: expected a number of at least 0.0, found a number that is too large",
            id="a number that is too large could be any",
        ),
        pytest.param(
            answer(b'{"score": NaN}'),
            values({"pointer": "/score", "min": 0}),
            "the answer: expected JSON, found application/json that is not JSON (it contains NaN, which JSON does not "
            'have): {"score": NaN}',
            id="NaN",
        ),
        pytest.param(
            answer(b"<html><body>Sign in</body>", content_type="text/html"),
            values({"pointer": "", "equals": 1}),
            "the answer: expected JSON, found text/html that is not JSON (Expecting value at character 0): "
            "<html><body>Sign in</body>",
            id="the page of a proxy",
        ),
        pytest.param(
            answer(b"\xff\xfe", content_type=""),
            values({"pointer": "", "equals": 1}),
            "the answer: expected JSON, found no media type that is not JSON (it is not UTF-8 at byte 0): "
            "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}",
            id="no text",
        ),
        pytest.param(
            answer(b'{"label": ', is_truncated=True),
            values({"pointer": "/label", "equals": 1}),
            "the answer: expected at most 1024 KiB, or its content is not checked, found more than 1024 KiB",
            id="six megabytes",
        ),
        pytest.param(
            answer(b'{"key": "AKIAIOSFODNN7EXAMPLE"}'),
            values({"pointer": "/key", "equals": "x"}),
            '/key: expected "x", found "***"',
            id="a credential is masked",
        ),
    ],
)
def test_a_failure_says_what_was_expected_and_what_was_found(
    given_answer: ModelAnswer, expect: dict[str, Any], expected: str
) -> None:
    assert message(given_answer, **expect) == expected


def test_several_failures_are_counted() -> None:
    expected = [{"pointer": f"/{number}", "equals": number} for number in range(5)]
    assert message(answer(), **values(*expected)).endswith("; and 2 more")


@given(JSON, JSON)
def test_a_message_is_bounded_and_printable_whatever_a_model_answers(expected: Any, found: Any) -> None:  # noqa: ANN401 - JSON
    body = json.dumps({"a": found}).encode("utf-8", "surrogatepass")
    text = message(
        answer(body), **values({"pointer": "/a", "equals": expected}, {"pointer": "/a", "oneOf": [expected]})
    )
    assert len(text) <= MAX_MESSAGE
    assert text.isprintable()


@given(st.binary(max_size=200))
def test_no_bytes_of_a_model_raise(body: bytes) -> None:
    assert isinstance(message(answer(body), **values({"pointer": "/a", "equals": 1})), str)
