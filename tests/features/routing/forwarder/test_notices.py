"""What the forwarder tells the operator, against HTTP servers in the places of SageMaker and of SQS."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import botocore.session
import pytest
from tests.features.routing.forwarder.deployed import (
    ABOUT,
    PATH,
    TOKEN_SHA256,
    Context,
    Reply,
    Runtime,
    deployed,
    event,
    serving,
)
from tests.features.routing.forwarder.test_capture import AUTHORIZED, MAIN, Streams
from tests.fixtures.waiting import eventually

from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig, NoticesConfig
from ephemeral_endpoints.features.routing.forwarder.connection import Connection, Operation
from ephemeral_endpoints.features.routing.forwarder.notices import RETRY_SECONDS, USED, USED_SECONDS, Notices

QUEUE = NoticesConfig("123456789012", "eep-events", "uid-1")
CONFIG = ForwarderConfig((MAIN,), TOKEN_SHA256, 10_000, "eu-west-1", ABOUT, PATH, notices=QUEUE)
NOON = 1_800_000_000.5


@pytest.fixture
def queue() -> Iterator[Streams]:
    server = Streams()
    with serving(server):
        yield server
        if server.hold:
            server.hold.set()


def url(queue: Streams) -> str:
    return f"http://127.0.0.1:{queue.server_address[1]}"


@pytest.fixture
def runtime() -> Iterator[tuple[Runtime, str]]:
    runtime = Runtime()
    with serving(runtime) as found:
        yield runtime, found


@pytest.fixture
def forwarder(runtime: tuple[Runtime, str], queue: Streams, tmp_path: Path) -> Iterator[ModuleType]:
    with deployed(CONFIG, tmp_path, {"SAGEMAKER_RUNTIME": runtime[1], "SQS": url(queue)}) as module:
        yield module
        if queue.hold:
            queue.hold.set()
        module.NOTICES.close()


class Clock:
    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def notices(queue: Streams, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notices]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", url(queue))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    operation = Operation("sqs", "AmazonSQS.SendMessage", "1.0")
    notices = Notices(QUEUE, Connection(botocore.session.get_session(), "eu-west-1", operation), clock)
    yield notices
    if queue.hold:
        queue.hold.set()
    notices.close()


def told(queue: Streams, count: int) -> list[dict[str, Any]]:
    """So many notices, once they have arrived."""
    eventually(lambda: len(queue.asked) >= count, f"{count} notices arrive")
    return [json.loads(content["MessageBody"]) for _, content in queue.asked]


def test_a_call_is_told_once_and_by_a_signed_message_to_the_queue(forwarder: ModuleType, queue: Streams) -> None:
    for _ in range(3):
        assert forwarder.handle(event(), Context())["statusCode"] == 200
    [notice] = told(queue, 1)
    assert notice == {"notice": "used", "uid": "uid-1", "at": notice["at"]}
    [(headers, content)] = queue.asked
    assert content["QueueUrl"] == f"{url(queue)}/123456789012/eep-events"
    assert headers["x-amz-target"] == "AmazonSQS.SendMessage"
    assert "/eu-west-1/sqs/aws4_request" in headers["Authorization"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (event(headers={**AUTHORIZED, "eep-purpose": "check"}), "the operator's own checks are no use"),
        (event(headers={"content-type": "application/json"}), "nobody who may not call can keep it alive"),
        (event("GET", child="healthz"), "nor can whoever asks whether it lives"),
        (event("GET", child="readyz"), "the operator's proof is a request to the model, and no use"),
    ],
)
def test_what_is_no_use_is_not_told(
    forwarder: ModuleType, queue: Streams, request_: dict[str, Any], reason: str
) -> None:
    forwarder.handle(request_, Context())
    forwarder.NOTICES.close()
    assert queue.asked == [], reason


def test_an_answer_neither_waits_for_a_queue_that_hangs_nor_fails_with_it(
    forwarder: ModuleType, queue: Streams, runtime: tuple[Runtime, str]
) -> None:
    queue.hold = threading.Event()
    for _ in range(2):
        assert forwarder.handle(event(), Context())["statusCode"] == 200
    assert not queue.hold.is_set()
    assert len(runtime[0].requests) == 2
    assert len(queue.asked) == 0, "the answers came before the queue's"


def test_a_refused_notice_is_logged_by_its_code(
    forwarder: ModuleType, queue: Streams, capsys: pytest.CaptureFixture[str]
) -> None:
    queue.refuse("AccessDeniedException")
    forwarder.handle(event(), Context())
    eventually(lambda: forwarder.NOTICES.error, "the notice fails")
    capsys.readouterr()
    assert forwarder.handle(event(), Context())["statusCode"] == 200
    assert json.loads(capsys.readouterr().out)["noticeCause"] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("seconds", "count"),
    [
        pytest.param(USED_SECONDS - 1, 1, id="use costs a message in a while only"),
        pytest.param(USED_SECONDS, 2, id="then it is told again"),
        pytest.param(-3600.0, 2, id="a clock that was set back does not silence it"),
    ],
)
def test_a_notice_is_repeated_after_a_while(
    notices: Notices, queue: Streams, clock: Clock, seconds: float, count: int
) -> None:
    notices.tell(USED, USED_SECONDS)
    assert told(queue, 1) == [{"notice": "used", "uid": "uid-1", "at": int(NOON)}]
    eventually(lambda: not notices.is_sending, "the first one is sent")
    clock.at = NOON + seconds
    notices.tell(USED, USED_SECONDS)
    assert len(told(queue, count)) == count


def test_a_lost_notice_is_sent_again_soon(notices: Notices, queue: Streams, clock: Clock) -> None:
    queue.hang_up = True
    notices.tell(USED, USED_SECONDS)
    eventually(lambda: notices.error and not notices.is_sending, "the notice fails")
    queue.hang_up = False
    notices.tell(USED, USED_SECONDS)
    assert len(queue.asked) == 1, "a queue that is away is not asked with every request"
    clock.at += RETRY_SECONDS
    notices.tell(USED, USED_SECONDS)
    told(queue, 2)
    eventually(lambda: notices.error is None, "the failure is forgotten")


def test_an_object_without_a_queue_tells_nothing(runtime: tuple[Runtime, str], tmp_path: Path) -> None:
    runtime[0].answer_with(Reply())
    config = ForwarderConfig((MAIN,), TOKEN_SHA256, 10_000, "eu-west-1", ABOUT, PATH)
    with deployed(config, tmp_path, {"SAGEMAKER_RUNTIME": runtime[1]}) as module:
        assert module.NOTICES is None
        assert module.handle(event(), Context())["statusCode"] == 200
