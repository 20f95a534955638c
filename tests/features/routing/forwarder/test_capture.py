"""What the handler captures, against HTTP servers in the places of SageMaker and of Firehose."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
    refusal,
    serving,
)
from tests.fixtures.waiting import TIMEOUT_SECONDS, eventually

from ephemeral_endpoints.features.routing.forwarder.capture import ID_HEADER
from ephemeral_endpoints.features.routing.forwarder.config import (
    Base,
    CaptureConfig,
    FeedbackConfig,
    ForwarderConfig,
    Postprocess,
    Variant,
)
from ephemeral_endpoints.features.routing.forwarder.outlet import WAIT_SECONDS

MAIN = Variant("main", "nlp-sentiment", 1)
CAPTURE = CaptureConfig(
    "records", is_kinesis=False, sampling_percent=100, max_bytes=1000, redact=("/email",), uid="uid-1"
)
CONFIG = ForwarderConfig(
    (MAIN,),
    TOKEN_SHA256,
    10_000,
    "eu-west-1",
    ABOUT,
    PATH,
    base=Base("base", "0" * 40, (Variant("b", "base", 1),)),
    capture=CAPTURE,
)
AUTHORIZED = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
REQUEST_ID = "JKJaXmPLvHcESHA="


class Streams(ThreadingHTTPServer):
    """Takes records, or answers as ``status`` and ``body`` say; waits for ``hold`` before."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.connections = 0
        self.status, self.body = 200, {"RecordId": "1"}
        self.hold: threading.Event | None = None
        self.hang_up = False

    def refuse(self, code: str, status: int = 400) -> None:
        self.status, self.body = status, {"__type": f"com.amazonaws.firehose#{code}", "message": "private"}

    def get_request(self) -> Any:  # noqa: ANN401 - of the standard library
        self.connections += 1
        return super().get_request()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(base64.b64decode(asked["Record"]["Data"])) for _, asked in self.asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Streams

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.hold:
            self.server.hold.wait(TIMEOUT_SECONDS)
        self.server.asked.append((dict(self.headers), json.loads(content)))
        if self.server.hang_up:
            self.close_connection = True
            return
        body = json.dumps(self.server.body).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def forwarding(runtime_url: str, config: ForwarderConfig, streams_url: str, folder: Path) -> Iterator[ModuleType]:
    urls = {"SAGEMAKER_RUNTIME": runtime_url, "FIREHOSE": streams_url, "KINESIS": streams_url}
    with deployed(config, folder, urls) as module:
        yield module
        for each in module.OUTLETS:
            each.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Runtime, str]]:
    runtime = Runtime()
    with serving(runtime) as url:
        yield runtime, url


@pytest.fixture
def runtime(servers: tuple[Runtime, str]) -> Runtime:
    servers[0].answer_with(Reply())
    return servers[0]


@pytest.fixture
def streams() -> Iterator[Streams]:
    server = Streams()
    with serving(server):
        yield server
        if server.hold:
            server.hold.set()


@pytest.fixture
def forwarder(servers: tuple[Runtime, str], runtime: Runtime, streams: Streams, tmp_path: Path) -> Iterator[ModuleType]:
    assert runtime is servers[0]
    with forwarding(servers[1], CONFIG, f"http://127.0.0.1:{streams.server_address[1]}", tmp_path) as module:
        yield module


def line_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    [line] = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_of_a_chained_answer_the_first_one_is_captured_and_both_ids_name_it(
    servers: tuple[Runtime, str], runtime: Runtime, streams: Streams, tmp_path: Path
) -> None:
    runtime.answer_with(Reply(), replies_of={"classifier": Reply(body=b'{"tone":"kind"}')})
    votes = FeedbackConfig("votes", "key", reasons=True)
    chained = replace(CONFIG, postprocess=Postprocess("classifier"), feedback=votes)
    with forwarding(servers[1], chained, f"http://127.0.0.1:{streams.server_address[1]}", tmp_path) as module:
        response = module.handle(event(), Context())
    assert json.loads(response["body"])["postprocess"]["answer"] == {"tone": "kind"}
    [record] = streams.records
    assert record["captureData"]["endpointOutput"]["data"] == '{"label":"positive"}'
    assert record["eventMetadata"]["inferenceId"] == response["headers"][ID_HEADER]
    assert response["headers"]["eep-feedback-id"].startswith(f"{REQUEST_ID}.")


def test_an_answer_is_captured_and_its_id_told(
    forwarder: ModuleType, streams: Streams, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    response = forwarder.handle(event(body='{"text":"good","email":"ada@example.com"}'), Context())
    assert (response["statusCode"], response["body"]) == (200, '{"label":"positive"}')
    assert response["headers"][ID_HEADER] == response["headers"]["eep-request-id"] == REQUEST_ID
    assert runtime.requests[0].headers["X-Amzn-SageMaker-Inference-Id"] == REQUEST_ID
    assert b"ada@example.com" in runtime.requests[0].body, "the model gets what was sent"
    [record] = streams.records
    data = record["captureData"]
    assert json.loads(data["endpointInput"]["data"]) == {"text": "good", "email": "[redacted]"}
    assert data["endpointOutput"]["data"] == '{"label":"positive"}'
    assert (record["eventMetadata"]["eventId"], record["eventMetadata"]["inferenceId"]) == (REQUEST_ID, REQUEST_ID)
    assert record["ephemeralEndpoint"] == {
        "namespace": "nlp",
        "name": "sentiment",
        "uid": "uid-1",
        "repository": "acme/sentiment",
        "revision": "4f1c" * 10,
        "variant": "main",
        "endpointName": "nlp-sentiment",
    }
    [(headers, asked)] = streams.asked
    assert asked["DeliveryStreamName"] == "records"
    assert headers["x-amz-target"] == "Firehose_20150804.PutRecord"
    assert "/eu-west-1/firehose/aws4_request" in headers["Authorization"]
    line = line_of(capsys)
    assert (line["capture"], line["captureCause"], "_aws" in line) == ("Captured", None, False)


def test_the_callers_own_id_names_the_inference(forwarder: ModuleType, streams: Streams) -> None:
    sent = {**AUTHORIZED, "x-amzn-sagemaker-inference-id": "mine"}
    assert forwarder.handle(event(headers=sent), Context())["headers"][ID_HEADER] == "mine"
    metadata = streams.records[0]["eventMetadata"]
    assert (metadata["inferenceId"], metadata["eventId"]) == ("mine", REQUEST_ID)


def test_a_connection_serves_many_records(forwarder: ModuleType, streams: Streams) -> None:
    for _ in range(3):
        forwarder.handle(event(), Context())
    assert (len(streams.records), streams.connections) == (3, 1)


@pytest.mark.parametrize(
    ("code", "status"),
    [("AccessDeniedException", 400), ("ServiceUnavailableException", 503), ("ResourceNotFoundException", 400)],
)
def test_a_stream_that_refuses_costs_the_record_and_not_the_answer(
    forwarder: ModuleType, streams: Streams, capsys: pytest.CaptureFixture[str], code: str, status: int
) -> None:
    streams.refuse(code, status)
    response = forwarder.handle(event(), Context())
    assert (response["statusCode"], response["body"]) == (200, '{"label":"positive"}')
    line = line_of(capsys)
    assert (line["capture"], line["captureCause"]) == ("Lost", code)
    assert "private" not in json.dumps(line)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "EphemeralEndpoints",
        "Dimensions": [["Stream"]],
        "Metrics": [{"Name": "CaptureLost", "Unit": "Count"}],
    }
    assert (line["Stream"], line["CaptureLost"]) == ("records", 1)
    assert len(streams.asked) == 1, "no second try"


@pytest.mark.usefixtures("impatience")
def test_an_answer_waits_for_a_slow_stream_no_longer_than_promised(
    forwarder: ModuleType, streams: Streams, capsys: pytest.CaptureFixture[str]
) -> None:
    streams.hold = threading.Event()
    response = forwarder.handle(event(), Context())
    assert response["statusCode"] == 200
    line = line_of(capsys)
    assert (line["capture"], line["CaptureLost"]) == ("Late", 1)
    # The next answers do not wait at all, while the stream still hangs.
    assert forwarder.handle(event(), Context())["statusCode"] == 200
    line = line_of(capsys)
    assert (line["capture"], line["captureCause"], line["CaptureLost"]) == ("Lost", "Busy", 1)
    streams.hold.set()
    eventually(lambda: streams.asked, "what was late")
    assert len(streams.asked) == 1, "what was late arrives yet"


def test_the_promise_is_50_milliseconds() -> None:
    assert WAIT_SECONDS == 0.05


def test_a_stream_that_is_not_reached_costs_the_record_and_not_the_answer(
    servers: tuple[Runtime, str], runtime: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runtime.replies
    with forwarding(servers[1], CONFIG, "http://127.0.0.1:1", tmp_path) as module:
        assert module.handle(event(), Context())["statusCode"] == 200
        assert (line_of(capsys)["capture"]) == "Lost"


def test_a_connection_that_ends_without_an_answer_is_a_loss_and_the_next_record_has_a_new_one(
    forwarder: ModuleType, streams: Streams, capsys: pytest.CaptureFixture[str]
) -> None:
    streams.hang_up = True
    assert forwarder.handle(event(), Context())["statusCode"] == 200
    assert line_of(capsys)["capture"] == "Lost"
    streams.hang_up = False
    forwarder.handle(event(), Context())
    assert line_of(capsys)["capture"] == "Captured"
    assert len(streams.asked) == 2


@pytest.mark.parametrize(
    "case",
    [
        (event(headers={**AUTHORIZED, "eep-purpose": "check"}), Reply(), "a request of the operator"),
        (event(headers={**AUTHORIZED, "eep-target": "base"}), Reply(), "the base answers"),
        (event(headers={}), Reply(), "no token"),
        (event(child="readyz", method="GET"), Reply(), "no use of the model"),
        (event(), refusal(424, "ModelError", OriginalStatusCode=400, OriginalMessage="no"), "the model refuses"),
        (event(), refusal(424, "ModelError", OriginalStatusCode=500, OriginalMessage="no"), "the model fails"),
    ],
)
def test_only_what_callers_are_answered_is_captured(
    forwarder: ModuleType, servers: tuple[Runtime, str], streams: Streams, case: tuple[dict[str, Any], Reply, str]
) -> None:
    asked, reply, why = case
    servers[0].answer_with(reply)
    forwarder.handle(asked, Context())
    assert streams.asked == [], why


def test_what_is_not_sampled_is_not_captured(
    servers: tuple[Runtime, str], runtime: Runtime, streams: Streams, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runtime.replies
    config = replace(CONFIG, capture=replace(CAPTURE, sampling_percent=1))
    with forwarding(servers[1], config, f"http://127.0.0.1:{streams.server_address[1]}", tmp_path) as module:
        for _ in range(3):
            assert ID_HEADER in module.handle(event(), Context())["headers"]
    assert streams.asked == []
    assert "capture" not in capsys.readouterr().out


def test_kinesis_gets_the_same_records_by_its_own_operation(
    servers: tuple[Runtime, str], runtime: Runtime, streams: Streams, tmp_path: Path
) -> None:
    assert runtime.replies
    config = replace(CONFIG, capture=replace(CAPTURE, is_kinesis=True))
    with forwarding(servers[1], config, f"http://127.0.0.1:{streams.server_address[1]}", tmp_path) as module:
        module.handle(event(), Context())
    [(headers, asked)] = streams.asked
    assert headers["x-amz-target"] == "Kinesis_20131202.PutRecord"
    assert (asked["StreamName"], asked["PartitionKey"]) == ("records", REQUEST_ID)
    assert json.loads(base64.b64decode(asked["Data"]))["eventMetadata"]["eventId"] == REQUEST_ID
