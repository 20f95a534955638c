import json
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.features.routing.forwarder.deployed import TOKEN

from ephemeral_endpoints.engine.conditions import MESSAGE_LENGTH
from ephemeral_endpoints.features.routing.answers import Answer, SampleAnswer, read_answer
from ephemeral_endpoints.features.routing.forwarder.messages import Problem, render_problem
from ephemeral_endpoints.features.routing.stage import INVOCATION_DENIED, SAMPLE_REFUSED, refused

ROLE = "arn:aws:iam::123456789012:role/forwarder"
UNREADY = "the URL answers 503 Service Unavailable"


def problem(kind: str, detail: str = "No.", **members: object) -> bytes:
    document = {"type": f"urn:ephemeral-endpoints:problem:{kind}", "detail": detail, **members}
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        pytest.param(b"", Answer(ok=False, message=UNREADY), id="nothing"),
        pytest.param(b'{"message":"Forbidden"}', Answer(ok=False, message=UNREADY), id="API Gateway's own words"),
        pytest.param(b'["type"]', Answer(ok=False, message=UNREADY), id="no object"),
        pytest.param(b"[" * 9000, Answer(ok=False, message=UNREADY), id="hostile nesting"),
        pytest.param(b'{"type": 1}', Answer(ok=False, message=UNREADY), id="a type that is no text"),
        pytest.param(b'{"type":"about:blank"}', Answer(ok=False, message=UNREADY), id="somebody else's problem"),
        pytest.param(
            problem("throttled"), Answer(ok=False, message=f"{UNREADY}: No.", kind="throttled"), id="the forwarder's"
        ),
        pytest.param(
            problem("sample-refused", sample="a", variant="v", modelStatus=500, modelMessage="Traceback\n  line\r\n"),
            Answer(
                ok=False,
                message=f"{UNREADY}: No.",
                kind="sample-refused",
                sample=SampleAnswer("a", "v", 500, "Traceback line"),
            ),
            id="a model's words, in one line",
        ),
        pytest.param(
            problem("sample-refused", sample="a", variant=1, modelStatus="500", modelMessage=["x"]),
            Answer(
                ok=False, message=f"{UNREADY}: No.", kind="sample-refused", sample=SampleAnswer("a", None, None, "")
            ),
            id="values of other types are none",
        ),
    ],
)
def test_what_an_answer_is_read_as(body: bytes, answer: Answer) -> None:
    assert read_answer(503, "Service Unavailable", body) == answer


def test_only_200_is_a_good_answer() -> None:
    assert read_answer(200, "OK", b"").ok
    assert not read_answer(202, "Accepted", b"").ok


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_the_url_answers_it_is_read(body: bytes) -> None:
    answer = read_answer(500, "x", body)
    assert not answer.ok
    assert answer.message


def test_what_the_forwarder_renders_is_understood() -> None:
    members = {"sample": "a", "modelStatus": 0, "modelMessage": ""}
    unready = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "sample-refused", "No.", members=members)
    rendered = render_problem(unready, "id")
    answer = read_answer(503, "Service Unavailable", rendered["body"].encode())
    assert answer.sample == SampleAnswer("a", None, 0, "")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            SampleAnswer("a", None, 500, "KeyError: 'text'"),
            "the model answered the sample a with 500: \"KeyError: 'text'\"",
        ),
        (SampleAnswer("a", "b", 422, ""), "variant b answered the sample a with 422; its log says why"),
        (SampleAnswer("a", None, 0, ""), "the model did not answer the sample a in time, or its server ended; its log"),
        (SampleAnswer("a", None, None, "no"), 'the model failed on the sample a: "no"'),
    ],
)
def test_a_refused_sample_is_told_with_the_models_status_and_words(answer: SampleAnswer, said: str) -> None:
    cause = refused(Answer(ok=False, kind="sample-refused", sample=answer), ROLE)
    assert cause is not None
    assert cause.reason is SAMPLE_REFUSED
    assert cause.message.startswith(said)
    assert "push a commit" in cause.message


def test_a_models_words_are_bounded_and_tell_no_credential() -> None:
    words = f"Authorization: Bearer {TOKEN}-and-more " + "x " * 5000
    body = problem("sample-refused", sample="a" * 5000, modelStatus=500, modelMessage=words)
    cause = refused(read_answer(503, "x", body), ROLE)
    assert cause is not None
    assert len(cause.message) < MESSAGE_LENGTH
    assert TOKEN not in cause.message


@pytest.mark.parametrize(
    ("kind", "what"), [("invocation-denied", "invoke the endpoint"), ("storage-refused", "read and write the requests")]
)
def test_a_missing_permission_names_the_role_and_who_grants_it(kind: str, what: str) -> None:
    cause = refused(Answer(ok=False, kind=kind), ROLE)
    assert cause is not None
    assert cause.reason is INVOCATION_DENIED
    assert f"the role {ROLE} may not {what}" in cause.message
    assert "a platform engineer must grant it" in cause.message


@pytest.mark.parametrize("kind", [None, "model-not-ready", "throttled", "endpoint-not-ready", "service-unavailable"])
def test_nobody_must_act_on_what_passes(kind: str | None) -> None:
    assert refused(Answer(ok=False, kind=kind), ROLE) is None
