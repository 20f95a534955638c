"""What the forwarder does when the endpoint does not exist, against HTTP servers in the places of SageMaker and SQS."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.features.routing.forwarder.deployed import Context, Runtime, deployed, event, refusal
from tests.features.routing.forwarder.test_capture import AUTHORIZED, Streams
from tests.features.routing.forwarder.test_notices import CONFIG, queue, runtime, url

__all__ = ["queue", "runtime"]

GONE = refusal(400, "ValidationError", "Endpoint pr of account 123456789012 not found.")
WAKES = replace(CONFIG, sleeps=True, wakes=True)
Deploy = Callable[..., ModuleType]


@pytest.fixture
def deploy(runtime: tuple[Runtime, str], queue: Streams, tmp_path: Path) -> Iterator[Deploy]:
    with ExitStack() as stack:

        def deployed_as(config: Any) -> ModuleType:  # noqa: ANN401 - a configuration
            runtime[0].answer_with(GONE)
            services = {"SAGEMAKER_RUNTIME": runtime[1], "SQS": url(queue)}
            module = stack.enter_context(deployed(config, tmp_path, services))
            stack.callback(lambda: module.NOTICES and module.NOTICES.close())
            return module

        yield deployed_as


def kinds(queue: Streams) -> list[str]:
    return [json.loads(content["MessageBody"])["notice"] for _, content in queue.asked]


def answer(forwarder: ModuleType, request: dict[str, Any] | None = None) -> tuple[int, str, str | None]:
    response = forwarder.handle(request or event(), Context())
    kind = json.loads(response["body"])["type"].rpartition(":")[2]
    return response["statusCode"], kind, response["headers"].get("retry-after")


def test_a_request_is_answered_when_the_notice_that_wakes_has_arrived_once_a_minute(
    deploy: Deploy,
    queue: Streams,
) -> None:
    forwarder = deploy(WAKES)
    for _ in range(3):
        assert answer(forwarder) == (503, "endpoint-asleep", "240")
    assert kinds(queue) == ["used", "wake"]


@pytest.mark.parametrize(
    ("request_", "expected", "reason"),
    [
        (event(headers={"content-type": "application/json"}), (401, "unauthorized"), "who may not call wakes nothing"),
        (event(headers={**AUTHORIZED, "eep-purpose": "check"}), (503, "endpoint-asleep"), "nor does the operator"),
        (event("GET", child="readyz"), (503, "endpoint-not-ready"), "nor its proof"),
    ],
)
def test_nothing_else_wakes(
    deploy: Deploy,
    queue: Streams,
    request_: dict[str, Any],
    expected: tuple[int, str],
    reason: str,
) -> None:
    forwarder = deploy(WAKES)
    assert answer(forwarder, request_)[:2] == expected, reason
    forwarder.NOTICES.close()
    assert queue.asked == [], reason


BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_browser_is_shown_a_page_that_looks_again_and_wakes_it(deploy: Deploy, queue: Streams, method: str) -> None:
    forwarder = deploy(WAKES)
    response = forwarder.handle(event(method, headers={**AUTHORIZED, **BROWSER}), Context())
    headers = response["headers"]
    assert (response["statusCode"], headers["retry-after"]) == (503, "240")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert "sandbox" not in headers["content-security-policy"], "it would keep the page from looking again"
    assert "this request wakes it" in response["body"]
    assert '<meta http-equiv="refresh" content="30">' in response["body"]
    assert kinds(queue)[-1] == "wake"


def test_a_browser_that_is_not_authenticated_wakes_nothing(deploy: Deploy, queue: Streams) -> None:
    forwarder = deploy(WAKES)
    assert answer(forwarder, event("GET", headers=BROWSER))[:2] == (401, "unauthorized")
    forwarder.NOTICES.close()
    assert queue.asked == []


def test_a_browser_that_opens_an_endpoint_that_serves_gets_what_it_always_did(
    deploy: Deploy, queue: Streams, runtime: tuple[Runtime, str]
) -> None:
    forwarder = deploy(WAKES)
    runtime[0].answer_with(refusal(400, "ValidationError", "Endpoint pr is not a multi-model endpoint."))
    response = forwarder.handle(event("GET", headers={**AUTHORIZED, **BROWSER}), Context())
    assert (response["statusCode"], response["headers"]["content-type"]) == (200, "application/json")
    forwarder.NOTICES.close()
    assert queue.asked == []


def test_where_requests_wake_nothing_callers_are_told_so(deploy: Deploy, queue: Streams) -> None:
    forwarder = deploy(replace(WAKES, wakes=False))
    response = forwarder.handle(event(), Context())
    assert "requests do not wake it" in json.loads(response["body"])["detail"]
    forwarder.NOTICES.close()
    assert kinds(queue) == ["used"]


def test_what_cannot_sleep_is_only_not_in_service(deploy: Deploy) -> None:
    assert answer(deploy(CONFIG))[:2] == (503, "endpoint-not-ready")
