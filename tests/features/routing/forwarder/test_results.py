"""What the handler publishes: to a topic of the embedded SNS, and to an HTTP server in Firehose's place."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.features.notifications.test_delivery import subscribed
from tests.features.routing.forwarder.deployed import (
    Context,
    Reply,
    Runtime,
    deployed,
    event,
    refusal,
    serving,
)
from tests.features.routing.forwarder.test_capture import AUTHORIZED, CONFIG, REQUEST_ID, Streams, line_of
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig, ResultsConfig
from ephemeral_endpoints.features.routing.forwarder.records import MOST_RECORD_BYTES, Content
from ephemeral_endpoints.features.routing.forwarder.results import MOST_MESSAGE_BYTES, document

TO_STREAM = replace(
    CONFIG,
    region=ministack.REGION,
    capture=None,
    results=ResultsConfig("firehose", "results", include_request=False),
)
JSON = "application/json"
MANY = 10_000


@pytest.mark.parametrize(
    ("content", "part", "why"),
    [
        (Content(JSON, b'{"a":1}'), {"contentType": JSON, "bytes": 7, "encoding": "UTF-8", "data": '{"a":1}'}, "JSON"),
        (Content("", b""), {"contentType": "", "bytes": 0, "encoding": "UTF-8", "data": ""}, "an empty answer"),
        (
            Content("image/png", b"\xff\xd8"),
            {"contentType": "image/png", "bytes": 2, "encoding": "BASE64", "data": "/9g="},
            "no text",
        ),
        (
            Content("text/plain", "é\uffff".encode()),
            {"contentType": "text/plain", "bytes": 5, "encoding": "UTF-8", "data": "é\uffff"},
            "a character that SQS refuses",
        ),
    ],
)
def test_a_body_is_text_or_base64(content: Content, part: dict[str, object], why: str) -> None:
    made = document({"status": 200}, {"answer": content}, MANY)
    assert json.loads(made) == {"status": 200, "answer": part}, why
    assert made.isascii(), "what subscribers refuse is escaped"


@pytest.mark.parametrize(
    ("answer", "request_", "omitted", "why"),
    [
        (400, 300, set(), "all fits"),
        (400, 3000, {"request"}, "the answer alone fits"),
        (3000, 300, {"request", "answer"}, "the answer does not fit"),
    ],
)
def test_what_does_not_fit_is_left_out_and_said(answer: int, request_: int, omitted: set[str], why: str) -> None:
    contents = {"answer": Content("text/plain", b"a" * answer), "request": Content("text/plain", b"r" * request_)}
    made = document({"status": 200}, contents, 1000)
    assert len(made) <= 1000
    found = json.loads(made)
    assert {name for name in contents if found[name].get("omitted") == "TooLarge"} == omitted, why
    assert {name for name in contents if "data" in found[name]} == {*contents} - omitted
    assert [found[name]["bytes"] for name in contents] == [answer, request_]


def test_the_largest_document_is_made_whole() -> None:
    content = {"answer": Content("text/plain", b"a")}
    size = len(document({}, content, MANY))
    assert "data" in json.loads(document({}, content, size))["answer"]
    assert "omitted" in json.loads(document({}, content, size - 1))["answer"]


@contextmanager
def publishing(runtime_url: str, config: ForwarderConfig, url: str, folder: Path) -> Iterator[ModuleType]:
    urls = {"SAGEMAKER_RUNTIME": runtime_url, "FIREHOSE": url, "KINESIS": url, "SNS": url}
    with deployed(config, folder, urls) as module:
        yield module
        for each in module.OUTLETS:
            each.close()


@pytest.fixture(scope="module")
def runtime() -> Iterator[tuple[Runtime, str]]:
    server = Runtime()
    with serving(server) as url:
        yield server, url


@pytest.fixture
def stream() -> Iterator[tuple[Streams, str]]:
    server = Streams()
    with serving(server) as url:
        yield server, url
        if server.hold:
            server.hold.set()


def messages(aws: Aws, queue: str) -> list[dict[str, Any]]:
    found = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=20)["Messages"]
    return [json.loads(each["Body"]) for each in found]


def test_subscribers_of_a_topic_get_the_answer_with_attributes_to_filter_by(
    runtime: tuple[Runtime, str], aws: Aws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime[0].answer_with(Reply())
    topic, queue = subscribed(aws, "results-whole")
    config = replace(TO_STREAM, results=ResultsConfig("sns", topic, include_request=True))
    with publishing(runtime[1], config, aws.endpoint, tmp_path) as module:
        response = module.handle(event(body='{"text":"good"}'), Context())
    assert (response["statusCode"], response["body"]) == (200, '{"label":"positive"}')
    [envelope] = messages(aws, queue)
    told = json.loads(envelope["Message"])
    assert told.pop("time").endswith("Z")
    assert told == {
        "object": {"namespace": "nlp", "name": "sentiment"},
        "revision": "4f1c" * 10,
        "variant": "main",
        "requestId": REQUEST_ID,
        "inferenceId": REQUEST_ID,
        "status": 200,
        "answer": {"contentType": JSON, "bytes": 20, "encoding": "UTF-8", "data": '{"label":"positive"}'},
        "request": {"contentType": JSON, "bytes": 15, "encoding": "UTF-8", "data": '{"text":"good"}'},
    }
    assert envelope["MessageAttributes"] == {
        "namespace": {"Type": "String", "Value": "nlp"},
        "name": {"Type": "String", "Value": "sentiment"},
        "variant": {"Type": "String", "Value": "main"},
        "status": {"Type": "Number", "Value": "200"},
    }
    line = line_of(capsys)
    assert (line["results"], line["resultsCause"], "_aws" in line) == ("Published", None, False)


def test_an_answer_larger_than_a_message_is_published_without_its_body(
    runtime: tuple[Runtime, str], aws: Aws, tmp_path: Path
) -> None:
    body = b'"' + b"a" * MOST_MESSAGE_BYTES + b'"'
    runtime[0].answer_with(Reply(body=body))
    topic, queue = subscribed(aws, "results-large")
    config = replace(TO_STREAM, results=ResultsConfig("sns", topic, include_request=False))
    with publishing(runtime[1], config, aws.endpoint, tmp_path) as module:
        assert module.handle(event(), Context())["body"] == body.decode()
    [envelope] = messages(aws, queue)
    assert json.loads(envelope["Message"])["answer"] == {
        "contentType": JSON,
        "bytes": len(body),
        "omitted": "TooLarge",
    }


def test_a_topic_that_refuses_costs_the_message_and_not_the_answer(
    runtime: tuple[Runtime, str], aws: Aws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime[0].answer_with(Reply())
    missing = f"arn:aws:sns:{ministack.REGION}:{ministack.ACCOUNT}:nowhere"
    config = replace(TO_STREAM, results=ResultsConfig("sns", missing, include_request=False))
    with publishing(runtime[1], config, aws.endpoint, tmp_path) as module:
        assert module.handle(event(), Context())["statusCode"] == 200
    line = line_of(capsys)
    assert (line["results"], line["resultsCause"]) == ("Lost", "NotFound")
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "EphemeralEndpoints",
        "Dimensions": [["ResultsTarget"]],
        "Metrics": [{"Name": "ResultsLost", "Unit": "Count"}],
    }
    assert (line["ResultsTarget"], line["ResultsLost"]) == (missing, 1)


@pytest.mark.parametrize("service", ["firehose", "kinesis"])
def test_a_stream_gets_a_line(
    runtime: tuple[Runtime, str], stream: tuple[Streams, str], tmp_path: Path, service: str
) -> None:
    runtime[0].answer_with(Reply(body=b'"' + b"a" * MOST_MESSAGE_BYTES + b'"'))
    config = replace(TO_STREAM, results=ResultsConfig(service, "results", include_request=False))
    with publishing(runtime[1], config, stream[1], tmp_path) as module:
        module.handle(event(), Context())
    [(_, asked)] = stream[0].asked
    record = base64.b64decode(asked["Data"] if service == "kinesis" else asked["Record"]["Data"])
    assert record.endswith(b"\n")
    assert len(record) <= MOST_RECORD_BYTES
    told = json.loads(record)
    assert "data" in told["answer"], "a stream takes more than a topic"
    assert "request" not in told, "nobody asked for it"


@pytest.mark.parametrize(
    "case",
    [
        (event(), Reply(), [200], "a caller is answered"),
        (event(), refusal(424, "ModelError", OriginalStatusCode=400, OriginalMessage="no"), [400], "the model refuses"),
        (event(), refusal(424, "ModelError", OriginalStatusCode=500, OriginalMessage="no"), [], "the model fails"),
        (event(headers={**AUTHORIZED, "eep-purpose": "check"}), Reply(), [], "a request of the operator"),
        (event(headers={**AUTHORIZED, "eep-target": "base"}), Reply(), [], "the base answers"),
        (event(headers={}), Reply(), [], "no token"),
        (event(child="readyz", method="GET"), Reply(), [], "no use of the model"),
    ],
)
def test_only_what_the_model_answers_callers_is_published(
    forwarder: ModuleType,
    runtime: tuple[Runtime, str],
    stream: tuple[Streams, str],
    case: tuple[dict[str, Any], Reply, list[int], str],
) -> None:
    asked, reply, statuses, why = case
    runtime[0].answer_with(reply)
    forwarder.handle(asked, Context())
    assert [each["status"] for each in stream[0].records] == statuses, why


@pytest.fixture
def forwarder(runtime: tuple[Runtime, str], stream: tuple[Streams, str], tmp_path: Path) -> Iterator[ModuleType]:
    with publishing(runtime[1], TO_STREAM, stream[1], tmp_path) as module:
        yield module


@pytest.mark.usefixtures("impatience")
def test_one_wait_is_for_both_sinks_and_what_comes_while_they_hang_is_lost(
    runtime: tuple[Runtime, str], stream: tuple[Streams, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime[0].answer_with(Reply())
    stream[0].hold = threading.Event()
    with publishing(runtime[1], replace(CONFIG, results=TO_STREAM.results), stream[1], tmp_path) as module:
        assert module.handle(event(), Context())["statusCode"] == 200
        line = line_of(capsys)
        assert (line["capture"], line["results"]) == ("Late", "Late")
        counted = [each["Metrics"][0]["Name"] for each in line["_aws"]["CloudWatchMetrics"]]
        assert counted == ["CaptureLost", "ResultsLost"]
        assert (line["Stream"], line["ResultsTarget"]) == ("records", "results")
        assert module.handle(event(), Context())["statusCode"] == 200
        assert line_of(capsys)["resultsCause"] == "Busy"
        stream[0].hold.set()
    assert len(stream[0].asked) == 2, "what was late arrives yet, and nothing else"
