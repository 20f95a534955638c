"""The handler as deployed, against a real HTTP server in SageMaker's place."""

import base64
import hashlib
import json
import random
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urljoin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.features.routing.forwarder.deployed import (
    ABOUT,
    END,
    JSON,
    PATH,
    TOKEN,
    TOKEN_SHA256,
    Context,
    Reply,
    Runtime,
    Time,
    deployed,
    event,
    refusal,
)

from ephemeral_endpoints.features.routing.forwarder.config import (
    FeedbackConfig,
    Former,
    ForwarderConfig,
    Sample,
    Variant,
)
from ephemeral_endpoints.features.routing.forwarder.feedback import ID_HEADER
from ephemeral_endpoints.features.routing.forwarder.invocation import Clients

CONFIG = ForwarderConfig((Variant("main", "nlp-sentiment", 1),), TOKEN_SHA256, 1000, "eu-west-1", ABOUT, PATH)
UUID = "41744303-4f13-45cb-8207-ca3b38dbd486"


def test_post_reaches_the_model_and_its_answer_the_caller(forwarder: ModuleType, runtime: Runtime) -> None:
    sent = {"Authorization": f"Bearer {TOKEN}", "content-type": "text/csv", "accept": "application/json"}
    sent |= {"X-Amzn-SageMaker-Custom-Attributes": "trace=1", "X-Amzn-SageMaker-Inference-Id": "i-1", "x-other": "y"}
    response = forwarder.handle(event(body="1,2", headers=sent), Context())
    assert response["statusCode"] == 200
    assert response["headers"]["content-type"] == "application/json"
    assert response["body"] == '{"label":"positive"}'
    [(path, headers, body)] = runtime.requests
    assert (path, body) == ("/endpoints/nlp-sentiment/invocations", b"1,2")
    assert (headers["Content-Type"], headers["Accept"]) == ("text/csv", "application/json")
    assert headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace=1"
    assert headers["X-Amzn-SageMaker-Inference-Id"] == "i-1"
    assert "X-Amzn-SageMaker-Target-Variant" not in headers, "a single variant needs no name"
    assert "x-other" not in str(headers).lower()
    assert TOKEN not in str(headers)


def test_what_sagemaker_tells_beside_the_answer_reaches_the_caller(forwarder: ModuleType, runtime: Runtime) -> None:
    session = "s-1; Expires=2026-11-28T20:00:00Z"
    reported = {
        "X-Amzn-SageMaker-Custom-Attributes": "trace=1",
        "X-Amzn-SageMaker-New-Session-Id": session,
        "X-Amzn-SageMaker-Closed-Session-Id": "s-0",
        "x-Amzn-Invoked-Production-Variant": "AllTraffic",
    }
    runtime.answer_with(Reply(headers={**JSON, **reported}))
    headers = forwarder.handle(event(), Context())["headers"]
    assert headers["x-amzn-sagemaker-custom-attributes"] == "trace=1"
    assert headers["x-amzn-sagemaker-new-session-id"] == session
    assert headers["x-amzn-sagemaker-closed-session-id"] == "s-0"
    assert headers["x-amzn-invoked-production-variant"] == "main", "by its name for callers"


def test_what_a_model_tells_that_cannot_be_a_header_is_left_out(forwarder: ModuleType, runtime: Runtime) -> None:
    runtime.answer_with(Reply(headers={**JSON, "X-Amzn-SageMaker-Custom-Attributes": "\x01\xe9"}))
    response = forwarder.handle(event(), Context())
    assert response["statusCode"] == 200
    assert "x-amzn-sagemaker-custom-attributes" not in response["headers"]


@pytest.mark.parametrize(
    ("reply", "status", "kind"),
    [
        (refusal(400, "ValidationError", "Session s-1 not found."), 400, "session-refused"),
        (refusal(400, "ValidationError", "The model has no sessions."), 400, "session-refused"),
        (refusal(400, "ValidationError", "Endpoint e of account 000000000000 not found."), 503, "endpoint-not-ready"),
        (refusal(503, "ServiceUnavailable"), 503, "service-unavailable"),
    ],
)
def test_a_session_that_sagemaker_refuses_is_the_callers(
    forwarder: ModuleType, runtime: Runtime, reply: Reply, status: int, kind: str
) -> None:
    runtime.answer_with(reply)
    sent = {"authorization": f"Bearer {TOKEN}", "x-amzn-sagemaker-session-id": "s-1"}
    response = forwarder.handle(event(headers=sent), Context())
    assert (response["statusCode"], json.loads(response["body"])["type"].rpartition(":")[2]) == (status, kind)
    assert runtime.requests[0].headers["X-Amzn-SageMaker-Session-Id"] == "s-1"


def test_binary_goes_both_ways(forwarder: ModuleType, runtime: Runtime) -> None:
    runtime.answer_with(Reply(headers={"Content-Type": "image/png"}, body=b"\x89PNG\xff"))
    response = forwarder.handle(event(body=base64.b64encode(b"\x00\xff").decode(), encoded=True), Context())
    assert runtime.requests[0][2] == b"\x00\xff"
    assert response["isBase64Encoded"]
    assert base64.b64decode(response["body"]) == b"\x89PNG\xff"


NOT_FOUND = refusal(400, "ValidationError", "Endpoint nlp-sentiment of account 000000000000 not found.")
INVALID = refusal(400, "ValidationError", "Account 000000000000 may not.")
STARTING = refusal(429, "ModelNotReadyException", "internal text")
THROTTLED = refusal(400, "ThrottlingException", "Rate exceeded")
DENIED = refusal(403, "AccessDeniedException", "arn:aws:sts::000000000000:assumed-role/x is not authorized")
MODEL_400 = refusal(424, "ModelError", OriginalStatusCode=400, OriginalMessage='{"error":"no text"}')
MODEL_415 = refusal(424, "ModelError", OriginalStatusCode=415, OriginalMessage="send CSV")
MODEL_DEEP = refusal(424, "ModelError", OriginalStatusCode=422, OriginalMessage="[" * 100_000)
MODEL_500 = refusal(424, "ModelError", OriginalStatusCode=500, OriginalMessage="Traceback: secret.py")
MODEL_SILENT = refusal(424, "ModelError", OriginalStatusCode=0, OriginalMessage="Your invocation timed out")
TRUNCATED = Reply(headers={"Content-Length": "1000", **JSON}, body=b"{")
HUGE = Reply(body=b"1" * 6_500_000)
HANG_UP = Reply(hang_up=True)


@dataclass(frozen=True, kw_only=True)
class Fault:
    reply: Reply
    status: int
    kind: str
    retry_after: str | None


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Fault(reply=NOT_FOUND, status=503, kind="endpoint-not-ready", retry_after="10"),
            id="said of an endpoint that is being created",
        ),
        pytest.param(
            Fault(reply=STARTING, status=503, kind="model-not-ready", retry_after="3"), id="a serverless cold start"
        ),
        pytest.param(
            Fault(reply=THROTTLED, status=503, kind="throttled", retry_after="1"), id="more than MaxConcurrency at once"
        ),
        pytest.param(
            Fault(reply=refusal(429, "TooManyRequestsException"), status=503, kind="throttled", retry_after="1"),
            id="another code for the same status",
        ),
        pytest.param(
            Fault(reply=refusal(503, "ServiceUnavailable"), status=503, kind="service-unavailable", retry_after="5"),
            id="an outage passes",
        ),
        pytest.param(
            Fault(reply=refusal(500, "InternalFailure"), status=503, kind="service-unavailable", retry_after="5"),
            id="a fault of AWS passes",
        ),
        pytest.param(
            Fault(
                reply=refusal(530, "InternalDependencyException"),
                status=503,
                kind="service-unavailable",
                retry_after="5",
            ),
            id="a dependency's fault passes",
        ),
        pytest.param(
            Fault(reply=Reply(502, {}, b"<html>"), status=503, kind="service-unavailable", retry_after="5"),
            id="not even an AWS error",
        ),
        pytest.param(
            Fault(reply=HANG_UP, status=503, kind="service-unavailable", retry_after="5"), id="no answer, twice"
        ),
        pytest.param(
            Fault(reply=TRUNCATED, status=503, kind="service-unavailable", retry_after="5"), id="half an answer is none"
        ),
        pytest.param(
            Fault(reply=INVALID, status=502, kind="invocation-refused", retry_after=None),
            id="no retry helps, and the reason is not the caller's business",
        ),
        pytest.param(
            Fault(reply=DENIED, status=502, kind="invocation-refused", retry_after=None),
            id="a denial is not the caller's business",
        ),
        pytest.param(
            Fault(reply=MODEL_500, status=502, kind="model-error", retry_after=None), id="the model's own fault"
        ),
        pytest.param(
            Fault(reply=MODEL_SILENT, status=504, kind="model-timeout", retry_after=None),
            id="how SageMaker reports that the container did not answer",
        ),
        pytest.param(
            Fault(reply=HUGE, status=502, kind="answer-too-large", retry_after=None), id="more than Lambda can return"
        ),
    ],
)
def test_what_a_fault_of_the_model_or_of_sagemaker_becomes(
    forwarder: ModuleType, runtime: Runtime, case: Fault
) -> None:
    runtime.answer_with(case.reply)
    response = forwarder.handle(event(), Context())
    problem = json.loads(response["body"])
    assert (response["statusCode"], problem["type"].rpartition(":")[2]) == (case.status, case.kind)
    assert response["headers"].get("retry-after") == case.retry_after
    assert response["headers"]["content-type"] == "application/problem+json"
    assert not [leak for leak in ("000000000000", "Traceback", "arn:", "internal text") if leak in str(response)]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    reply: Reply
    status: int
    content_type: str
    body: str


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Refusal(reply=MODEL_400, status=400, content_type="application/json", body='{"error":"no text"}'),
            id="the caller can mend it",
        ),
        pytest.param(
            Refusal(reply=MODEL_415, status=415, content_type="text/plain; charset=utf-8", body="send CSV"),
            id="status and text are the model's",
        ),
        pytest.param(
            Refusal(reply=MODEL_DEEP, status=422, content_type="text/plain; charset=utf-8", body="[" * 100_000),
            id="hostile nesting does no harm",
        ),
    ],
)
def test_a_models_own_refusal_is_passed_on(forwarder: ModuleType, runtime: Runtime, case: Refusal) -> None:
    runtime.answer_with(case.reply)
    response = forwarder.handle(event(), Context())
    assert (response["statusCode"], response["headers"]["content-type"]) == (case.status, case.content_type)
    assert response["body"] == case.body


@pytest.mark.parametrize(
    ("request_event", "status", "header", "reason"),
    [
        (event(headers={"x": "y"}), 401, ("www-authenticate", "Bearer"), "no token"),
        (
            event("GET", headers={"x": "y"}, child="readyz"),
            401,
            ("www-authenticate", "Bearer"),
            "readiness is not public either",
        ),
        (event("HEAD"), 405, ("allow", "GET, OPTIONS, POST"), "nothing to report without a body"),
        (event("DELETE"), 405, ("allow", "GET, OPTIONS, POST"), "the endpoint is not the caller's to delete"),
        (event(body="x" * 1001), 413, ("cache-control", "no-store"), "above maxBodyBytes"),
        (event(body="%%%", encoded=True), 400, ("cache-control", "no-store"), "not base64"),
        (event(headers={"x-api-key": TOKEN, "accept": "a\r\nb"}), 400, ("cache-control", "no-store"), "injection"),
        (
            event(headers={"x-api-key": TOKEN, "X-Amzn-SageMaker-Target-Model": "m"}),
            400,
            ("cache-control", "no-store"),
            "a parameter that the endpoint does not have",
        ),
        (event(variant="other"), 400, ("cache-control", "no-store"), "a variant that it does not have"),
    ],
)
def test_a_bad_request_never_reaches_the_model(
    forwarder: ModuleType,
    runtime: Runtime,
    request_event: dict[str, Any],
    status: int,
    *,
    header: tuple[str, str],
    reason: str,
) -> None:
    response = forwarder.handle(request_event, Context())
    assert response["statusCode"] == status, reason
    assert header in response["headers"].items(), reason
    assert not runtime.requests, reason


NO_MULTI_MODEL = refusal(
    400,
    "ValidationError",
    "Endpoint nlp-sentiment is not a multi-model endpoint and does not support target model header.",
    ErrorCode="TARGET_MODEL_HEADER_NOT_SUPPORTED",
)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(NO_MULTI_MODEL, None, id="SageMaker refuses the model behind its permission check"),
        pytest.param(INVALID, None, id="whatever its words are"),
        pytest.param(STARTING, None, id="a serverless endpoint that starts is behind the permission check"),
        pytest.param(MODEL_500, None, id="and so is a model, if SageMaker ever asks it"),
        pytest.param(Reply(), None, id="likewise"),
        pytest.param(DENIED, "invocation-denied", id="the role may not invoke the endpoint"),
        pytest.param(NOT_FOUND, "endpoint-not-ready", id="it does not serve yet"),
        pytest.param(
            refusal(400, "ValidationError", "Variant main not found."), "endpoint-not-ready", id="nor does it"
        ),
        pytest.param(THROTTLED, "throttled", id="nothing is known"),
        pytest.param(refusal(500, "InternalFailure"), "service-unavailable", id="nor here"),
        pytest.param(HANG_UP, "service-unavailable", id="no answer, twice"),
    ],
)
def test_get_proves_the_way_without_a_request_to_the_model(
    forwarder: ModuleType, runtime: Runtime, reply: Reply, kind: str | None
) -> None:
    runtime.answer_with(reply)
    response = forwarder.handle(event("GET", body=None, child="readyz"), Context())
    assert response["statusCode"] == (200 if kind is None else 503)
    if kind is None:
        assert json.loads(response["body"]) == {"status": "Ready"}
    else:
        assert json.loads(response["body"])["type"].rpartition(":")[2] == kind
        assert response["headers"]["retry-after"]
    assert not [leak for leak in ("000000000000", "Traceback", "arn:") if leak in str(response)]
    for asked in runtime.requests:
        assert asked.body == b"", "nothing of ours could reach a model"
        assert asked.headers["X-Amzn-SageMaker-Target-Model"] == "readiness"


SAMPLE = Sample("greeting", '{"text":"good ü"}', "application/json; charset=utf-8")


@pytest.fixture(scope="module", params=[TOKEN_SHA256, None], ids=["with a token", "open to all"])
def sampling(
    request: pytest.FixtureRequest, server: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModuleType]:
    config = replace(CONFIG, token_sha256=request.param, samples=(SAMPLE,), readiness=SAMPLE.name)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with deployed(config, tmp_path_factory.mktemp("sampling"), {"SAGEMAKER_RUNTIME": url}) as module:
        yield module


def test_a_sample_is_sent_as_it_is_and_answered(sampling: ModuleType, runtime: Runtime) -> None:
    response = sampling.handle(event("GET", body=None, child="readyz"), Context())
    assert (response["statusCode"], json.loads(response["body"])) == (200, {"status": "Ready"})
    [asked] = runtime.requests
    assert (asked.body.decode(), asked.headers["Content-Type"]) == (SAMPLE.request, SAMPLE.content_type)


@pytest.mark.parametrize(
    ("reply", "kind", "model_status", "words"),
    [
        pytest.param(MODEL_400, "sample-refused", 400, '{"error":"no text"}', id="the model refuses it"),
        pytest.param(MODEL_500, "sample-refused", 500, "Traceback: secret.py", id="the model fails on it"),
        pytest.param(MODEL_SILENT, "sample-refused", 0, "", id="the model does not answer"),
        pytest.param(MODEL_DEEP, "sample-refused", 422, "[" * 500, id="only so much of what it says"),
        pytest.param(DENIED, "invocation-denied", None, None, id="the role may not invoke the endpoint"),
        pytest.param(STARTING, "model-not-ready", None, None, id="it is asked again when it has started"),
        pytest.param(INVALID, "invocation-refused", None, None, id="no proof, since the request was for the model"),
        pytest.param(HANG_UP, "service-unavailable", None, None, id="no answer of SageMaker"),
    ],
)
def test_a_sample_that_is_not_answered(
    sampling: ModuleType,
    runtime: Runtime,
    *,
    reply: Reply,
    kind: str,
    model_status: int | None,
    words: str | None,
) -> None:
    runtime.answer_with(reply)
    response = sampling.handle(event("GET", body=None, child="readyz"), Context())
    problem = json.loads(response["body"])
    assert (response["statusCode"], problem["type"].rpartition(":")[2]) == (503, kind)
    assert problem.get("modelStatus") == model_status
    assert "variant" not in problem, "there is only one"
    is_open = sampling.CONFIG.token_sha256 is None
    assert problem.get("modelMessage") == ("" if is_open and words else words), "for those who may call it"
    assert problem.get("sample") == (None if words is None else "greeting")


def test_readiness_is_no_traffic_in_the_log(
    forwarder: ModuleType, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.answer_with(NO_MULTI_MODEL)
    for asked in (event("GET", child="readyz"), event(), event("GET", query={"inference": UUID})):
        forwarder.handle(asked, Context())
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["readiness"] for line in lines] == [True, False, False]


def test_an_endpoint_that_answers_at_once_has_no_results_to_fetch(forwarder: ModuleType, runtime: Runtime) -> None:
    assert forwarder.QUEUE is None, "a client of S3 would slow the cold start"
    reported = f"65f00000~{UUID}.out~{UUID}-error.out"
    for query in ({"inference": reported}, {"inference": ""}):
        assert forwarder.handle(event("GET", None, query=query), Context())["statusCode"] == 404
    assert not runtime.requests


def test_a_connection_that_died_while_lambda_slept_is_replaced(forwarder: ModuleType, runtime: Runtime) -> None:
    runtime.answer_with(HANG_UP, Reply())
    assert forwarder.handle(event(), Context())["statusCode"] == 200
    assert len(runtime.requests) == 2


def test_it_is_not_tried_again_when_the_time_would_not_suffice(forwarder: ModuleType, runtime: Runtime) -> None:
    runtime.answer_with(HANG_UP, Reply())
    assert forwarder.handle(event(), Context(milliseconds=26_000))["statusCode"] == 503
    assert len(runtime.requests) == 1


def test_a_model_that_is_too_slow_is_a_504_of_our_own(
    forwarder: ModuleType, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    runtime.answer_with(Reply(hold=answered))
    impatient = Clients(CONFIG.region, 0.05)
    monkeypatch.setattr(forwarder, "CLIENTS", impatient)
    response = forwarder.handle(event(), Context())
    answered.set()
    impatient.close()
    assert (response["statusCode"], response["headers"]["eep-attempts"]) == (504, "1")


def test_the_access_log_has_one_line_of_figures_and_no_content(
    forwarder: ModuleType, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    forwarder.handle(event(body='{"text":"private-text"}'), Context())
    line = capsys.readouterr().out
    record = json.loads(line)
    assert record.pop("milliseconds") > record.pop("modelMilliseconds") > 0
    assert record == {
        "requestId": "JKJaXmPLvHcESHA=",
        "method": "POST",
        "route": "",
        "readiness": False,
        "status": 200,
        "base": False,
        "variant": "main",
        "problem": None,
        "cause": None,
        "violations": [],
        "attempts": 1,
        "requestBytes": 23,
        "responseBytes": 20,
    }
    assert runtime.requests
    assert not [secret for secret in (TOKEN, "private", "positive", "sentiment") if secret in line]


@pytest.mark.parametrize(
    ("reply", "request_event", "problem", "cause"),
    [
        (DENIED, event(), "invocation-refused", "AccessDeniedException"),
        (NOT_FOUND, event("GET", child="readyz"), "endpoint-not-ready", "ValidationError"),
        (HANG_UP, event(), "service-unavailable", "ConnectionClosedError in send, line "),
        (Reply(), event("PUT"), "method-not-allowed", None),
    ],
)
def test_the_log_names_the_cause_that_is_hidden_from_the_caller(
    forwarder: ModuleType,
    runtime: Runtime,
    capsys: pytest.CaptureFixture[str],
    *,
    reply: Reply,
    request_event: dict[str, Any],
    problem: str,
    cause: str | None,
) -> None:
    runtime.answer_with(reply)
    forwarder.handle(request_event, Context())
    record = json.loads(capsys.readouterr().out)
    assert record["problem"] == problem
    assert record["cause"] == cause or record["cause"].startswith(cause)


def test_an_unforeseen_error_is_a_500_whose_message_stays_inside(
    forwarder: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(forwarder, "CLIENTS", None)
    response = forwarder.handle(event(), Context())
    assert response["statusCode"] == 500
    log = json.loads(capsys.readouterr().out)
    assert log["cause"].startswith("AttributeError in _send, line ")
    assert "NoneType" not in str(response) + str(log)


anything = st.text(st.characters(exclude_categories=[]), max_size=30)
headers = st.dictionaries(
    st.sampled_from(["authorization", "x-api-key", "content-type", "accept"]) | anything, anything
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "OPTIONS"]),
    child=st.sampled_from(["", "invocations", "invocations/x", "readyz", "healthz", "openapi.json"]) | anything,
    sent=headers,
    token=st.booleans(),
    body=st.none() | anything,
    encoded=st.booleans(),
)
def test_whatever_is_sent_the_response_is_one(
    forwarder: ModuleType,
    runtime: Runtime,
    method: str,
    child: str,
    sent: dict[str, str],
    *,
    body: str | None,
    token: bool,
    encoded: bool,
) -> None:
    runtime.answer_with(Reply())
    sent = {**sent, **({"x-api-key": TOKEN, "authorization": "none"} if token else {})}
    response = forwarder.handle(event(method, body, sent, encoded=encoded, child=child), Context())
    assert response["statusCode"] in {200, 204, 400, 401, 404, 405, 406, 413}
    assert all(value.isascii() and value.isprintable() for value in response["headers"].values())
    assert isinstance(response["body"], str)
    json.dumps(response)


def pages(forwarder: ModuleType, child: str, method: str = "GET", **sent: str) -> dict[str, Any]:
    response: dict[str, Any] = forwarder.handle(
        event(method, None, {"x-api-key": TOKEN, **sent}, child=child), Context()
    )
    return response


def test_the_first_path_and_the_one_below_it_invoke_the_model(forwarder: ModuleType, runtime: Runtime) -> None:
    for child in ("", "invocations"):
        response = forwarder.handle(event(child=child), Context())
        assert (response["statusCode"], response["body"]) == (200, '{"label":"positive"}')
    assert len(runtime.requests) == 2


def test_whether_it_lives_is_told_to_everybody_and_wakes_nothing(forwarder: ModuleType, runtime: Runtime) -> None:
    response = forwarder.handle(event("GET", None, {}, child="healthz"), Context())
    assert (response["statusCode"], json.loads(response["body"])) == (200, {"status": "ok"})
    assert not runtime.requests


def test_who_may_call_learns_what_the_object_is(forwarder: ModuleType, runtime: Runtime) -> None:
    found = json.loads(pages(forwarder, "")["body"])
    assert found == {
        "name": "sentiment",
        "namespace": "nlp",
        "revision": ABOUT.revision,
        "repository": "acme/sentiment",
        "pullRequest": 42,
        "expiresAt": END,
        "pullRequestUrl": None,
        "variants": [{"name": "main", "weight": 1}],
        "links": {
            "invocations": "sentiment/invocations",
            "openapi": "sentiment/openapi.json",
            "readyz": "sentiment/readyz",
            "healthz": "sentiment/healthz",
        },
    }
    assert {urljoin(f"https://host/any/stage{PATH}", link) for link in found["links"].values()} == {
        f"https://host/any/stage{PATH}/{child}" for child in ("invocations", "openapi.json", "readyz", "healthz")
    }
    assert not runtime.requests


def test_every_answer_names_its_request_revision_and_times(forwarder: ModuleType, runtime: Runtime) -> None:
    answered = forwarder.handle(event(), Context())["headers"]
    for headers in (answered, pages(forwarder, "")["headers"], pages(forwarder, "nothing")["headers"]):
        assert headers["eep-request-id"] == "JKJaXmPLvHcESHA="
        assert headers["eep-revision"] == ABOUT.revision[:12]
        assert re.fullmatch(r"(model;dur=[0-9.]+, )?total;dur=[0-9.]+", headers["server-timing"])
    assert (answered["eep-attempts"], answered["server-timing"].startswith("model;")) == ("1", True)
    assert runtime.requests


@pytest.mark.parametrize(
    ("child", "method", "allow"),
    [
        ("", "PUT", "GET, OPTIONS, POST"),
        ("invocations", "GET", "OPTIONS, POST"),
        ("invocations/x", "POST", "GET, OPTIONS"),
        ("healthz", "POST", "GET, OPTIONS"),
        ("readyz", "TRACE", "GET, OPTIONS"),
    ],
)
def test_another_method_is_refused_with_those_that_there_are(
    forwarder: ModuleType, child: str, method: str, allow: str
) -> None:
    response = pages(forwarder, child, method)
    assert (response["statusCode"], response["headers"]["allow"]) == (405, allow)
    assert pages(forwarder, child, "OPTIONS")["headers"]["allow"] == allow


@pytest.mark.parametrize(
    "child", ["x", "healthz/", "Healthz", "invocations/", "invocations/a/b", "../pr-43", "readyz/x"]
)
def test_other_paths_have_nothing(forwarder: ModuleType, runtime: Runtime, child: str) -> None:
    response = forwarder.handle(event(child=child), Context())
    problem = json.loads(response["body"])
    assert (response["statusCode"], problem["type"]) == (404, "urn:ephemeral-endpoints:problem:not-found")
    assert problem["instance"] == response["headers"]["eep-request-id"]
    assert not runtime.requests


@pytest.mark.parametrize("child", ["", "healthz", "readyz", "openapi.json"])
@pytest.mark.usefixtures("runtime")
def test_who_takes_html_only_gets_a_406(forwarder: ModuleType, child: str) -> None:
    assert pages(forwarder, child, accept="text/html")["statusCode"] == 406
    assert pages(forwarder, child, accept="text/html, */*;q=0.1")["statusCode"] == 200


@dataclass(frozen=True, kw_only=True)
class Waiting:
    replies: tuple[Reply, ...]
    status: int
    attempts: int
    sent: Mapping[str, str] = field(default_factory=dict)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Waiting(replies=(STARTING, THROTTLED, Reply()), status=200, attempts=3), id="until it is ready"),
        pytest.param(
            Waiting(replies=(refusal(500, "InternalFailure"), Reply()), status=200, attempts=2), id="AWS fails"
        ),
        pytest.param(Waiting(replies=(MODEL_500, Reply()), status=502, attempts=1), id="the model has seen it"),
        pytest.param(Waiting(replies=(MODEL_SILENT, Reply()), status=504, attempts=1), id="it may have seen it"),
        pytest.param(Waiting(replies=(DENIED, Reply()), status=502, attempts=1), id="no attempt will help"),
        pytest.param(Waiting(replies=(NOT_FOUND, Reply()), status=503, attempts=1), id="it takes minutes"),
        pytest.param(Waiting(replies=(STARTING,), status=503, attempts=9), id="as long as there is time"),
        pytest.param(
            Waiting(replies=(STARTING,), status=503, attempts=4, sent={"prefer": "respond-async, wait=5"}),
            id="as long as the caller waits",
        ),
    ],
)
def test_a_model_that_has_not_seen_the_request_is_asked_again(
    forwarder: ModuleType, runtime: Runtime, clock: Time, monkeypatch: pytest.MonkeyPatch, case: Waiting
) -> None:
    monkeypatch.setattr(forwarder, "GENERATOR", random.Random(1))  # noqa: S311 - reproducible pauses
    runtime.answer_with(*case.replies)
    clock.stand_still()
    response = forwarder.handle(event(headers={"x-api-key": TOKEN, **case.sent}), Context())
    assert (response["statusCode"], response["headers"]["eep-attempts"]) == (case.status, str(case.attempts))
    assert len(runtime.requests) == case.attempts
    assert sum(clock.pauses) < forwarder.CONFIG.timeout_seconds - 2
    assert ("retry-after" in response["headers"]) is (case.status == 503)
    assert response["headers"].get("preference-applied") == ("wait=5" if case.sent else None)


def test_the_former_token_opens_until_its_time_and_no_longer(
    server: Runtime, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = Former(hashlib.sha256(b"former").hexdigest(), until=1000)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    asked = event(headers={"authorization": "Bearer former"})
    with deployed(replace(CONFIG, former_token=former), tmp_path, {"SAGEMAKER_RUNTIME": url}) as module:
        for now, status in ((999, 200), (1000, 401)):
            monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda now=now: now))
            assert module.handle(asked, Context())["statusCode"] == status
    assert len(runtime.requests) == 1


def test_what_the_model_refused_cannot_be_voted_on(server: Runtime, runtime: Runtime, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    refused = refusal(424, "ModelError", OriginalStatusCode=422, OriginalMessage="no text")
    takes_votes = replace(CONFIG, feedback=FeedbackConfig("votes", "k" * 64, reasons=True))
    with deployed(takes_votes, tmp_path, {"SAGEMAKER_RUNTIME": url}) as module:
        assert ID_HEADER in module.handle(event(), Context())["headers"]
        runtime.answer_with(refused)
        response = module.handle(event(), Context())
    assert response["statusCode"] == 422
    assert ID_HEADER not in response["headers"]
