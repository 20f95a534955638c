"""Asynchronous inference as deployed, against real HTTP servers in the places of SageMaker and S3."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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
    refusal,
    serving,
)

from ephemeral_endpoints.features.routing.forwarder import asynchronous
from ephemeral_endpoints.features.routing.forwarder.config import AsyncConfig, ForwarderConfig, Sample, Variant
from ephemeral_endpoints.features.routing.forwarder.inference_id import InferenceId

FOLDERS = AsyncConfig("s3://bucket/pr/in/", "s3://bucket/pr/out/", "s3://bucket/pr/bad/")
CONFIG = ForwarderConfig((Variant("main", "pr", 1),), TOKEN_SHA256, 6_291_456, "eu-west-1", ABOUT, PATH, FOLDERS)
UUID = "41744303-4f13-45cb-8207-ca3b38dbd486"
OUTPUT = f"/bucket/pr/out/{UUID}.out"
FAILURE = f"/bucket/pr/bad/{UUID}-error.out"


def queued(output: str = f"s3:/{OUTPUT}", failure: str = f"s3:/{FAILURE}") -> Reply:
    """The answer of InvokeEndpointAsync."""
    locations = {"X-Amzn-SageMaker-OutputLocation": output, "X-Amzn-SageMaker-FailureLocation": failure}
    return Reply(202, {"Content-Type": "application/json", **locations}, b'{"InferenceId":"sagemakers-own"}')


class Store(ThreadingHTTPServer):
    """S3 with ``objects`` by path, their content and type; ``refusals`` by method are answered instead."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _StoreHandler)
        self.empty()

    def empty(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.refusals: dict[str, tuple[int, str]] = {}
        self.requests: list[tuple[str, str]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller may hang up before it has read everything."""


class _StoreHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Store

    def do_GET(self) -> None:
        self._asked()
        if self.path in self.server.objects:
            self._answer(200, *self.server.objects[self.path])
        else:
            self._refuse(404, "NoSuchKey")

    do_HEAD = do_GET  # noqa: N815 - the base class's name for it

    def do_PUT(self) -> None:
        self._asked()
        content = self.rfile.read(int(self.headers["Content-Length"]))
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        if self.headers.get("Content-MD5", digest) != digest and "PUT" not in self.server.refusals:
            self._refuse(400, "BadDigest")
            return
        self.server.objects[self.path] = (content, "binary/octet-stream")
        self._answer(200, b"", "application/xml")

    def _asked(self) -> None:
        self.path = self.path.partition("?")[0]
        self.server.requests.append((self.command, self.path))

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code></Error>".encode(), "application/xml")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        if self.command in self.server.refusals:
            status, code = self.server.refusals[self.command]
            body = f"<Error><Code>{code}</Code></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Runtime, Store]]:
    runtime, store = Runtime(), Store()
    with serving(runtime), serving(store):
        yield runtime, store


@pytest.fixture(scope="module")
def forwarder(servers: tuple[Runtime, Store], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    runtime, store = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    urls = {"SAGEMAKER_RUNTIME": runtime, "S3": store}
    with deployed(CONFIG, tmp_path_factory.mktemp("function"), urls) as module:
        yield module


@pytest.fixture
def runtime(servers: tuple[Runtime, Store]) -> Runtime:
    servers[0].answer_with(queued())
    return servers[0]


@pytest.fixture
def store(servers: tuple[Runtime, Store]) -> Store:
    servers[1].empty()
    return servers[1]


class Clock:
    """The module ``time`` where nobody waits: to sleep is to be later."""

    time = staticmethod(time.time)

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asynchronous, "time", clock)
    return clock


def post(forwarder: ModuleType, body: str = "{}", headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    response: dict[str, Any] = forwarder.handle(event("POST", body, headers), Context())
    return response


def fetch(forwarder: ModuleType, inference: str) -> dict[str, Any]:
    response: dict[str, Any] = forwarder.handle(event("GET", None, query={"inference": inference}), Context())
    return response


def id_of(response: Mapping[str, Any]) -> str:
    return str(json.loads(response["body"])["inferenceId"])


def test_post_queues_the_body_and_returns_the_location_of_the_result(
    forwarder: ModuleType, runtime: Runtime, store: Store
) -> None:
    sent = {"authorization": f"Bearer {TOKEN}", "content-type": "text/csv", "accept": "application/json"}
    response = post(forwarder, body="1,2", headers=sent)
    assert response["statusCode"] == 202
    inference = id_of(response)
    assert json.loads(response["body"]) == {"inferenceId": inference, "status": "Pending"}
    assert response["headers"]["location"] == f"sentiment/invocations/{inference}"
    assert response["headers"]["retry-after"] == "2"
    assert response["headers"]["eep-variant"] == "main"
    [(path, headers, body)] = runtime.requests
    assert (path, body) == ("/endpoints/pr/async-invocations", b"")
    assert headers["X-Amzn-SageMaker-Content-Type"] == "text/csv"
    assert headers["X-Amzn-SageMaker-Accept"] == "application/json"
    name = headers["X-Amzn-SageMaker-Inference-Id"]
    assert headers["X-Amzn-SageMaker-InputLocation"] == f"s3://bucket/pr/in/{name}"
    assert store.objects == {f"/bucket/pr/in/{name}": (b"1,2", "binary/octet-stream")}


def test_no_request_overwrites_another(forwarder: ModuleType, runtime: Runtime, store: Store) -> None:
    for _ in range(3):
        post(forwarder)
    assert (
        len(store.objects) == len({asked.headers["X-Amzn-SageMaker-Inference-Id"] for asked in runtime.requests}) == 3
    )


def test_the_result_is_fetched_by_its_id(forwarder: ModuleType, runtime: Runtime, store: Store) -> None:
    inference = id_of(post(forwarder))
    waiting = fetch(forwarder, inference)
    assert (waiting["statusCode"], id_of(waiting)) == (202, inference)
    assert waiting["headers"]["retry-after"] == "2"
    store.objects[OUTPUT] = (b"a,b\n", "text/csv")
    done = fetch(forwarder, inference)
    assert (done["statusCode"], done["headers"]["content-type"], done["body"]) == (200, "text/csv", "a,b\n")
    assert done["headers"]["eep-variant"] == "main"
    assert len(runtime.requests) == 1, "the model was asked once"


def test_a_failure_is_a_problem_that_keeps_its_content(forwarder: ModuleType, runtime: Runtime, store: Store) -> None:
    inference = id_of(post(forwarder))
    store.objects[FAILURE] = (b"Traceback: secret.py", "text/plain")
    response = fetch(forwarder, inference)
    assert (response["statusCode"], response["headers"]["eep-variant"]) == (502, "main")
    assert json.loads(response["body"])["type"].endswith(":model-error")
    assert "secret" not in str(response)
    assert runtime.requests


def test_a_result_outlives_the_time_that_it_is_awaited(forwarder: ModuleType, store: Store) -> None:
    lost = str(InferenceId(int(time.time()) - asynchronous.PENDING_SECONDS - 60, f"{UUID}.out", f"{UUID}-error.out"))
    assert fetch(forwarder, lost)["statusCode"] == 404, "what did not come by then never will"
    store.objects[OUTPUT] = (b"1", "text/plain")
    assert fetch(forwarder, lost)["statusCode"] == 200


@pytest.mark.parametrize(
    "text", ["", "1", UUID, f"65f00000~../in/{UUID}~{UUID}-error.out", f"65f00000~{UUID}.out~{UUID}.out\n"]
)
def test_what_is_no_id_never_reaches_s3(forwarder: ModuleType, store: Store, text: str) -> None:
    response = fetch(forwarder, text)
    assert response["statusCode"] == 404
    assert json.loads(response["body"])["type"].endswith(":unknown-inference")
    assert not store.requests


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=120) | st.from_regex(r"[0-9a-f]{8}~[0-9a-f./%-]{36}[a-z./%]*~[0-9a-f./-]{36}[a-z./]*"))
def test_whatever_the_id_nothing_but_results_is_read(forwarder: ModuleType, store: Store, text: str) -> None:
    response = fetch(forwarder, text)
    assert response["statusCode"] in {202, 404}
    assert all(path.startswith(("/bucket/pr/out/", "/bucket/pr/bad/")) for _, path in store.requests)
    assert not [path for _, path in store.requests if ".." in path or path.count("/") != 4]


def test_only_whom_the_token_opens_fetches_results(forwarder: ModuleType, store: Store) -> None:
    asked = event("GET", headers={"x": "y"}, query={"inference": f"65f00000~{UUID}.out~{UUID}-error.out"})
    assert forwarder.handle(asked, Context())["statusCode"] == 401
    assert not store.requests


def test_a_result_larger_than_lambda_can_return_stays_in_s3(forwarder: ModuleType, store: Store) -> None:
    store.objects[OUTPUT] = (b"1" * 6_500_000, "text/plain")
    response = fetch(forwarder, f"{int(time.time()):08x}~{UUID}.out~{UUID}-error.out")
    assert response["statusCode"] == 502
    assert json.loads(response["body"])["type"].endswith(":answer-too-large")


@dataclass(frozen=True, kw_only=True)
class Case:
    method: str
    refused: tuple[int, str]
    status: int
    kind: str


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Case(method="PUT", refused=(403, "AccessDenied"), status=502, kind="storage-refused"),
            id="the role may not write",
        ),
        pytest.param(
            Case(method="GET", refused=(403, "AccessDenied"), status=502, kind="storage-refused"),
            id="the role may not read, or not list",
        ),
        pytest.param(
            Case(method="HEAD", refused=(403, "AccessDenied"), status=502, kind="storage-refused"),
            id="the role may not see failures",
        ),
        pytest.param(
            Case(method="PUT", refused=(404, "NoSuchBucket"), status=502, kind="storage-refused"), id="no retry helps"
        ),
        pytest.param(
            Case(method="GET", refused=(404, "NoSuchBucket"), status=502, kind="storage-refused"),
            id="not the same as a result that is not there yet",
        ),
        pytest.param(
            Case(method="PUT", refused=(500, "InternalError"), status=503, kind="service-unavailable"),
            id="an outage passes",
        ),
        pytest.param(
            Case(method="GET", refused=(503, "SlowDown"), status=503, kind="service-unavailable"), id="S3's throttling"
        ),
    ],
)
def test_refusals_of_s3_are_distinguished(forwarder: ModuleType, runtime: Runtime, store: Store, case: Case) -> None:
    store.refusals[case.method] = case.refused
    posted = case.method == "PUT"
    response = post(forwarder) if posted else fetch(forwarder, f"{int(time.time()):08x}~{UUID}.out~{UUID}-error.out")
    assert response["statusCode"] == case.status
    assert json.loads(response["body"])["type"].endswith(f":{case.kind}")
    assert ("retry-after" in response["headers"]) == (case.status == 503)
    assert not runtime.requests, "what could not be stored is not queued"


@pytest.mark.parametrize(
    ("reply", "status", "kind", "reason"),
    [
        (refusal(400, "ValidationError", "Endpoint pr of account 0 not found."), 503, "endpoint-not-ready", "gone"),
        (refusal(400, "ThrottlingException"), 503, "throttled", "too many"),
        (refusal(403, "AccessDeniedException", "arn:aws:sts::000000000000"), 502, "invocation-refused", "denied"),
        (Reply(hang_up=True), 503, "service-unavailable", "no answer, twice"),
        (queued(output="s3://bucket/else/x.out"), 502, "result-unreachable", "SageMaker writes where we do not look"),
        (queued(failure=""), 502, "result-unreachable", "a failure would never be seen"),
        (Reply(202, {}, b"{}"), 502, "result-unreachable", "no location at all"),
    ],
)
def test_a_request_that_is_not_queued_is_not_accepted(
    forwarder: ModuleType, runtime: Runtime, store: Store, *, reply: Reply, status: int, kind: str, reason: str
) -> None:
    runtime.answer_with(reply)
    response = post(forwarder)
    assert response["statusCode"] == status, reason
    assert json.loads(response["body"])["type"].endswith(f":{kind}"), reason
    assert "arn:" not in response["body"]
    assert response["headers"]["eep-variant"] == "main"
    assert store.objects


NEITHER = refusal(400, "ValidationError", "Body and InputLocation are mutually exclusive. Provide exactly one of them.")


def test_ready_when_requests_could_be_stored_and_queued_and_results_read(
    forwarder: ModuleType, runtime: Runtime, store: Store
) -> None:
    runtime.answer_with(NEITHER)
    response = forwarder.handle(event("GET", child="readyz"), Context())
    assert (response["statusCode"], json.loads(response["body"])) == (200, {"status": "Ready"})
    [asked] = runtime.requests
    assert (asked.path, asked.body) == ("/endpoints/pr/async-invocations", b"")
    assert "X-Amzn-SageMaker-InputLocation" not in asked.headers
    assert [(method, path.rpartition("/")[0]) for method, path in store.requests] == [
        ("PUT", "/bucket/pr/in"),
        ("HEAD", "/bucket/pr/out"),
        ("HEAD", "/bucket/pr/bad"),
    ]
    assert store.objects == {}, "nothing is left behind"


@pytest.mark.parametrize(
    ("refused", "reply", "kind"),
    [
        pytest.param({"PUT": (403, "AccessDenied")}, NEITHER, "storage-refused", id="requests cannot be stored"),
        pytest.param({"HEAD": (403, "AccessDenied")}, NEITHER, "storage-refused", id="results cannot be read"),
        pytest.param({"PUT": (404, "NoSuchBucket")}, NEITHER, "storage-refused", id="there is no bucket"),
        pytest.param({"PUT": (503, "SlowDown")}, NEITHER, "service-unavailable", id="nothing is known"),
        pytest.param({}, refusal(403, "AccessDeniedException"), "invocation-denied", id="nothing can be queued"),
        pytest.param({}, Reply(hang_up=True), "service-unavailable", id="no answer, twice"),
    ],
)
def test_not_ready_when_a_permission_is_missing(
    forwarder: ModuleType,
    runtime: Runtime,
    store: Store,
    *,
    refused: dict[str, tuple[int, str]],
    reply: Reply,
    kind: str,
) -> None:
    store.refusals |= refused
    runtime.answer_with(reply)
    response = forwarder.handle(event("GET", child="readyz"), Context())
    assert (response["statusCode"], json.loads(response["body"])["type"].rpartition(":")[2]) == (503, kind)
    assert response["headers"]["retry-after"] == "5"


@pytest.fixture(scope="module")
def sampling(servers: tuple[Runtime, Store], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    runtime, store = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    config = replace(CONFIG, samples=(Sample("row", "1,2", "text/csv"),), readiness="row")
    urls = {"SAGEMAKER_RUNTIME": runtime, "S3": store}
    with deployed(config, tmp_path_factory.mktemp("sampling"), urls) as module:
        yield module


def test_a_sample_is_queued_and_its_result_awaited(sampling: ModuleType, runtime: Runtime, store: Store) -> None:
    store.objects[OUTPUT] = (b"", "text/plain")
    response = sampling.handle(event("GET", child="readyz"), Context())
    assert (response["statusCode"], json.loads(response["body"])) == (200, {"status": "Ready"})
    [asked] = runtime.requests
    assert asked.headers["X-Amzn-SageMaker-Content-Type"] == "text/csv"
    assert (b"1,2", "binary/octet-stream") in store.objects.values()


def test_a_failure_on_the_sample_is_told(sampling: ModuleType, runtime: Runtime, store: Store) -> None:
    store.objects[FAILURE] = (b"KeyError: 'text' " + b"x" * 9000, "text/plain")
    problem = json.loads(sampling.handle(event("GET", child="readyz"), Context())["body"])
    assert (problem["status"], problem["type"].rpartition(":")[2]) == (503, "sample-refused")
    assert (problem["sample"], problem["modelStatus"]) == ("row", None)
    assert problem["modelMessage"].startswith("KeyError: 'text' ")
    assert len(problem["modelMessage"]) == 500
    assert runtime.requests


@pytest.mark.parametrize(
    ("milliseconds", "looks", "waited"),
    [
        pytest.param(30_000, 41, 20, id="all the time"),
        pytest.param(9_000, 11, 5, id="less, and the answer has to be given too"),
        pytest.param(1_000, 1, 0, id="one look is always taken"),
    ],
)
def test_not_ready_when_no_result_comes_in_the_time_that_remains(
    sampling: ModuleType, runtime: Runtime, store: Store, clock: Clock, *, milliseconds: int, looks: int, waited: float
) -> None:
    response = sampling.handle(event("GET", child="readyz"), Context(milliseconds))
    assert (response["statusCode"], response["headers"]["retry-after"]) == (503, "5")
    assert json.loads(response["body"])["type"].endswith(":model-not-ready")
    assert (store.requests.count(("HEAD", OUTPUT)), clock.now) == (looks, waited)
    assert runtime.requests


def test_parameters_of_asynchronous_inference_are_passed_on(
    forwarder: ModuleType, runtime: Runtime, store: Store
) -> None:
    sent = {
        "authorization": f"Bearer {TOKEN}",
        "X-Amzn-SageMaker-Custom-Attributes": "trace=1",
        "X-Amzn-SageMaker-Inference-Id": "mine",
        "X-Amzn-SageMaker-RequestTTLSeconds": "60",
        "X-Amzn-SageMaker-InvocationTimeoutSeconds": "3600",
    }
    response = post(forwarder, headers=sent)
    assert response["statusCode"] == 202
    headers = runtime.requests[0].headers
    assert {name: headers[name] for name in sent if name in headers} == {
        name: value for name, value in sent.items() if name != "authorization"
    }
    [stored] = store.objects
    assert "mine" not in stored, "what a caller chooses names no object"


@pytest.mark.parametrize("header", ["InputLocation", "S3OutputPathExtension", "Filename", "Session-Id"])
def test_parameters_that_would_lead_elsewhere_are_refused(
    forwarder: ModuleType, runtime: Runtime, store: Store, header: str
) -> None:
    sent = {"authorization": f"Bearer {TOKEN}", f"X-Amzn-SageMaker-{header}": "s3://other/key"}
    problem = json.loads(post(forwarder, headers=sent)["body"])
    assert (problem["status"], header.lower() in problem["detail"]) == (400, True)
    assert not runtime.requests
    assert not store.requests


def test_the_log_contains_neither_id_nor_content(
    forwarder: ModuleType, runtime: Runtime, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    inference = id_of(post(forwarder, body="private-text"))
    store.objects[OUTPUT] = (b"private-result", "text/plain")
    fetch(forwarder, inference)
    lines = capsys.readouterr().out
    assert [json.loads(line)["status"] for line in lines.splitlines()] == [202, 200]
    assert [json.loads(line)["variant"] for line in lines.splitlines()] == ["main", "main"]
    assert not [secret for secret in (UUID, "private", TOKEN) if secret in lines]
    assert runtime.requests
