"""The handler as deployed, against a real HTTP server in SageMaker's place."""

import base64
import json
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.forwarder.deployed import (
    JSON,
    TOKEN,
    TOKEN_SHA256,
    Context,
    Reply,
    Runtime,
    deployed,
    event,
    refusal,
    serving,
)

from ephemeral_endpoints.forwarder.config import ForwarderConfig, Variant
from ephemeral_endpoints.forwarder.invocation import make_client

CONFIG = ForwarderConfig((Variant("main", "nlp-sentiment", 1),), TOKEN_SHA256, 1000, "eu-west-1")
UUID = "41744303-4f13-45cb-8207-ca3b38dbd486"


@pytest.fixture(scope="module")
def server() -> Iterator[Runtime]:
    runtime = Runtime()
    with serving(runtime):
        yield runtime


@pytest.fixture
def runtime(server: Runtime) -> Runtime:
    server.answer_with(Reply())
    return server


@pytest.fixture(scope="module")
def forwarder(server: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with deployed(CONFIG, tmp_path_factory.mktemp("function"), {"SAGEMAKER_RUNTIME": url}) as module:
        yield module


def test_post_reaches_the_model_and_its_answer_the_caller(forwarder: ModuleType, runtime: Runtime) -> None:
    sent = {"Authorization": f"Bearer {TOKEN}", "content-type": "text/csv", "accept": "application/json"}
    sent |= {"x-amzn-sagemaker-target-variant": "other", "x-amzn-sagemaker-custom-attributes": "x"}
    response = forwarder.handle(event(body="1,2", headers=sent), Context())
    assert response["statusCode"] == 200
    assert response["headers"]["content-type"] == "application/json"
    assert response["body"] == '{"label":"positive"}'
    [(path, headers, body)] = runtime.requests
    assert (path, body) == ("/endpoints/nlp-sentiment/invocations", b"1,2")
    assert (headers["Content-Type"], headers["Accept"]) == ("text/csv", "application/json")
    assert not [name for name in headers if name.lower().startswith("x-amzn-sagemaker")], "the caller steers no variant"
    assert TOKEN not in str(headers)


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


@pytest.mark.parametrize(
    ("reply", "status", "kind", "retry_after", "reason"),
    [
        (NOT_FOUND, 503, "endpoint-not-ready", "10", "said of an endpoint that is being created"),
        (STARTING, 503, "model-not-ready", "3", "a serverless cold start"),
        (THROTTLED, 503, "throttled", "1", "more than MaxConcurrency at once"),
        (refusal(429, "TooManyRequestsException"), 503, "throttled", "1", "another code for the same status"),
        (refusal(503, "ServiceUnavailable"), 503, "service-unavailable", "5", "an outage passes"),
        (refusal(500, "InternalFailure"), 503, "service-unavailable", "5", "a fault of AWS passes"),
        (refusal(530, "InternalDependencyException"), 503, "service-unavailable", "5", "likewise"),
        (Reply(502, {}, b"<html>"), 503, "service-unavailable", "5", "not even an AWS error"),
        (HANG_UP, 503, "service-unavailable", "5", "no answer, twice"),
        (TRUNCATED, 503, "service-unavailable", "5", "half an answer is none"),
        (INVALID, 502, "invocation-refused", None, "no retry helps, and the reason is not the caller's business"),
        (DENIED, 502, "invocation-refused", None, "likewise"),
        (MODEL_500, 502, "model-error", None, "the model's own fault"),
        (MODEL_SILENT, 504, "model-timeout", None, "how SageMaker reports that the container did not answer"),
        (HUGE, 502, "answer-too-large", None, "more than Lambda can return"),
    ],
)
def test_what_a_fault_of_the_model_or_of_sagemaker_becomes(
    forwarder: ModuleType,
    runtime: Runtime,
    reply: Reply,
    status: int,
    kind: str,
    *,
    retry_after: str | None,
    reason: str,
) -> None:
    runtime.answer_with(reply)
    response = forwarder.handle(event(), Context())
    problem = json.loads(response["body"])
    assert (response["statusCode"], problem["type"].rpartition(":")[2]) == (status, kind), reason
    assert response["headers"].get("retry-after") == retry_after, reason
    assert response["headers"]["content-type"] == "application/problem+json"
    assert not [leak for leak in ("000000000000", "Traceback", "arn:", "internal text") if leak in str(response)]


@pytest.mark.parametrize(
    ("reply", "status", "content_type", "body", "reason"),
    [
        (MODEL_400, 400, "application/json", '{"error":"no text"}', "the caller can mend it"),
        (MODEL_415, 415, "text/plain; charset=utf-8", "send CSV", "status and text are the model's"),
        (MODEL_DEEP, 422, "text/plain; charset=utf-8", "[" * 100_000, "hostile nesting does no harm"),
    ],
)
def test_a_models_own_refusal_is_passed_on(
    forwarder: ModuleType, runtime: Runtime, reply: Reply, status: int, content_type: str, *, body: str, reason: str
) -> None:
    runtime.answer_with(reply)
    response = forwarder.handle(event(), Context())
    assert (response["statusCode"], response["headers"]["content-type"]) == (status, content_type), reason
    assert response["body"] == body, reason


@pytest.mark.parametrize(
    ("request_event", "status", "header", "reason"),
    [
        (event(headers={"x": "y"}), 401, ("www-authenticate", "Bearer"), "no token"),
        (event("GET", headers={"x": "y"}), 401, ("www-authenticate", "Bearer"), "readiness is not public either"),
        (event("HEAD"), 405, ("allow", "GET, POST"), "nothing to tell without a body"),
        (event("OPTIONS"), 405, ("allow", "GET, POST"), "CORS is API Gateway's"),
        (event("DELETE"), 405, ("allow", "GET, POST"), "the endpoint is not the caller's to delete"),
        (event(body="x" * 1001), 413, ("cache-control", "no-store"), "above maxBodyBytes"),
        (event(body="%%%", encoded=True), 400, ("cache-control", "no-store"), "not base64"),
        (event(headers={"x-api-key": TOKEN, "accept": "a\r\nb"}), 400, ("cache-control", "no-store"), "injection"),
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


@pytest.mark.parametrize(
    ("reply", "status", "reason"),
    [
        (Reply(), 200, "it answered"),
        (MODEL_400, 200, "it answered, though it did not like the request"),
        (MODEL_500, 503, "a model that fails is not ready"),
        (MODEL_SILENT, 503, "nor is one that does not answer"),
        (NOT_FOUND, 503, "nor one that is not there"),
        (DENIED, 503, "nor one that may not be invoked"),
    ],
)
def test_get_tells_whether_the_model_answers(
    forwarder: ModuleType, runtime: Runtime, reply: Reply, status: int, reason: str
) -> None:
    runtime.answer_with(reply)
    response = forwarder.handle(event("GET", body=None), Context())
    assert response["statusCode"] == status, reason
    assert ("retry-after" in response["headers"]) == (status == 503), reason
    [(_, headers, body)] = runtime.requests
    assert (headers["Content-Type"], body) == ("application/json", b"{}")
    if status == 200:
        assert json.loads(response["body"]) == {"status": "Ready"}


def test_an_endpoint_that_answers_at_once_has_no_results_to_fetch(forwarder: ModuleType, runtime: Runtime) -> None:
    assert forwarder.QUEUE is None, "a client of S3 would slow the cold start"
    told = f"65f00000~{UUID}.out~{UUID}-error.out"
    for query in ({"inference": told}, {"inference": ""}):
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
    impatient = make_client(CONFIG.region, read_seconds=0.05)
    monkeypatch.setattr(forwarder, "CLIENT", impatient)
    response = forwarder.handle(event(), Context())
    answered.set()
    impatient.close()
    assert (response["statusCode"], len(runtime.requests)) == (504, 1)


def test_the_access_log_has_one_line_of_figures_and_no_content(
    forwarder: ModuleType, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    forwarder.handle(event(body='{"text":"private-text"}'), Context())
    line = capsys.readouterr().out
    record = json.loads(line)
    assert record.pop("milliseconds") > 0
    assert record == {
        "requestId": "JKJaXmPLvHcESHA=",
        "method": "POST",
        "status": 200,
        "variant": "main",
        "problem": None,
        "cause": None,
        "requestBytes": 23,
        "responseBytes": 20,
    }
    assert runtime.requests
    assert not [secret for secret in (TOKEN, "private", "positive", "sentiment") if secret in line]


@pytest.mark.parametrize(
    ("reply", "request_event", "problem", "cause"),
    [
        (DENIED, event(), "invocation-refused", "AccessDeniedException"),
        (NOT_FOUND, event("GET"), "endpoint-not-ready", "ValidationError"),
        (HANG_UP, event(), "service-unavailable", "ConnectionClosedError in send, line "),
        (Reply(), event("PUT"), "method-not-allowed", None),
    ],
)
def test_the_log_names_the_cause_that_the_caller_is_not_told(
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
    monkeypatch.setattr(forwarder, "CLIENT", None)
    response = forwarder.handle(event(), Context())
    assert response["statusCode"] == 500
    log = json.loads(capsys.readouterr().out)
    assert log["cause"].startswith("AttributeError in <lambda>, line ")
    assert "NoneType" not in str(response) + str(log)


anything = st.text(st.characters(exclude_categories=[]), max_size=30)
headers = st.dictionaries(
    st.sampled_from(["authorization", "x-api-key", "content-type", "accept"]) | anything, anything
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    sent=headers,
    token=st.booleans(),
    body=st.none() | anything,
    encoded=st.booleans(),
)
def test_whatever_is_sent_the_response_is_one(
    forwarder: ModuleType,
    runtime: Runtime,
    method: str,
    sent: dict[str, str],
    body: str | None,
    *,
    token: bool,
    encoded: bool,
) -> None:
    runtime.answer_with(Reply())
    sent = {**sent, **({"x-api-key": TOKEN, "authorization": "none"} if token else {})}
    response = forwarder.handle(event(method, body, sent, encoded=encoded), Context())
    assert response["statusCode"] in {200, 400, 401, 405, 413}
    assert all(value.isascii() and value.isprintable() for value in response["headers"].values())
    assert isinstance(response["body"], str)
    json.dumps(response)
