"""Several variants behind one route, against a real HTTP server in SageMaker's place."""

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from types import ModuleType

import pytest
from tests.features.routing.forwarder.deployed import (
    ABOUT,
    JSON,
    PATH,
    TOKEN,
    TOKEN_SHA256,
    Asked,
    Context,
    Reply,
    Runtime,
    deployed,
    event,
    refusal,
)

from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig, Variant

APART = (Variant("a", "pr-a", 3), Variant("b", "pr-b", 1), Variant("dark", "pr-dark", 0))
TOGETHER = (Variant("a", "pr", 3), Variant("b", "pr", 1), Variant("dark", "pr", 0))
GONE = refusal(400, "ValidationError", "Endpoint of account 000000000000 not found.")
BAD_REQUEST = refusal(424, "ModelError", OriginalStatusCode=400, OriginalMessage="no text")
DENIED = refusal(403, "AccessDeniedException", "not authorized")


def forwarder(
    variants: tuple[Variant, ...], server: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModuleType]:
    config = ForwarderConfig(variants, TOKEN_SHA256, 1000, "eu-west-1", ABOUT, PATH)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with deployed(config, tmp_path_factory.mktemp("function"), {"SAGEMAKER_RUNTIME": url}) as module:
        yield module


@pytest.fixture(scope="module")
def apart(server: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The forwarder of serverless variants, which have an endpoint each."""
    yield from forwarder(APART, server, tmp_path_factory)


@pytest.fixture(scope="module")
def together(server: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The forwarder of variants on instances, which share an endpoint."""
    yield from forwarder(TOGETHER, server, tmp_path_factory)


def endpoints(requests: list[Asked]) -> Counter[str]:
    return Counter(asked.path.split("/")[2] for asked in requests)


def wanted(asked: Asked) -> str | None:
    return asked.headers.get("X-Amzn-SageMaker-Target-Variant")


def answered_by(variant: str) -> Reply:
    return Reply(headers={**JSON, "x-Amzn-Invoked-Production-Variant": variant})


def test_apart_each_request_goes_to_one_of_the_endpoints_with_a_weight(
    apart: ModuleType, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "GENERATOR", random.Random(1))  # noqa: S311 - reproducible draws
    reported = Counter(apart.handle(event(), Context())["headers"]["eep-variant"] for _ in range(12))
    asked = endpoints(runtime.requests)
    assert asked.keys() == {"pr-a", "pr-b"}
    assert asked == {f"pr-{name}": count for name, count in reported.items()}
    assert not any(wanted(request) for request in runtime.requests), "the endpoint has one variant"


@pytest.mark.parametrize("name", ["a", "b", "dark"])
def test_apart_the_one_asked_for_answers(apart: ModuleType, runtime: Runtime, name: str) -> None:
    response = apart.handle(event(variant=name), Context())
    assert (response["statusCode"], response["headers"]["eep-variant"]) == (200, name)
    assert endpoints(runtime.requests) == {f"pr-{name}": 1}


def test_in_one_endpoint_sagemaker_chooses_and_names_the_variant(
    together: ModuleType, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.answer_with(answered_by("b"))
    response = together.handle(event(), Context())
    assert response["headers"]["eep-variant"] == "b"
    [asked] = runtime.requests
    assert (asked.path, wanted(asked)) == ("/endpoints/pr/invocations", None)
    assert json.loads(capsys.readouterr().out)["variant"] == "b"


def test_together_who_answered_counts_not_who_was_wanted(together: ModuleType, runtime: Runtime) -> None:
    runtime.answer_with(answered_by("b"))
    assert together.handle(event(variant="a"), Context())["headers"]["eep-variant"] == "b"


def test_in_several_endpoints_sagemakers_name_of_the_variant_is_hidden(apart: ModuleType, runtime: Runtime) -> None:
    runtime.answer_with(answered_by("AllTraffic"))
    assert apart.handle(event(variant="a"), Context())["headers"]["eep-variant"] == "a"


@pytest.mark.parametrize("header", ["eep-variant", "X-Amzn-SageMaker-Target-Variant"])
def test_in_one_endpoint_the_callers_variant_is_passed_to_sagemaker(
    together: ModuleType, runtime: Runtime, header: str
) -> None:
    runtime.answer_with(answered_by("dark"))
    response = together.handle(event(headers={"x-api-key": TOKEN, header: "dark"}), Context())
    assert response["headers"]["eep-variant"] == "dark"
    assert response["headers"]["x-amzn-invoked-production-variant"] == "dark"
    [asked] = runtime.requests
    assert (asked.path, wanted(asked)) == ("/endpoints/pr/invocations", "dark")


@pytest.mark.parametrize(
    ("reported", "reason"),
    [("", "no name"), ("a b", "no name"), ("-", "likewise"), ("x" * 64, "longer than any")],
)
def test_in_one_endpoint_an_invalid_name_is_not_passed_on(
    together: ModuleType, runtime: Runtime, reported: str, reason: str
) -> None:
    runtime.answer_with(answered_by(reported))
    response = together.handle(event(), Context())
    assert response["statusCode"] == 200
    assert "eep-variant" not in response["headers"], reason


@pytest.mark.parametrize(("method", "child"), [("GET", "readyz"), ("POST", ""), ("POST", "invocations")])
@pytest.mark.parametrize("name", ["c", "A", "a,b"])
def test_an_unknown_name_is_refused_and_costs_nothing(
    apart: ModuleType, together: ModuleType, runtime: Runtime, *, method: str, child: str, name: str
) -> None:
    for module in (apart, together):
        response = module.handle(event(method, variant=name, child=child), Context())
        assert response["statusCode"] == 400
        assert response["headers"]["content-type"] == "application/problem+json"
        assert "a, b, dark" in json.loads(response["body"])["detail"]
    assert not runtime.requests


def test_a_session_is_of_one_variant_and_apart_the_caller_says_of_which(
    apart: ModuleType, together: ModuleType, runtime: Runtime
) -> None:
    sent = {"x-api-key": TOKEN, "x-amzn-sagemaker-session-id": "NEW_SESSION"}
    unnamed = apart.handle(event(headers=sent), Context())
    assert (unnamed["statusCode"], "eep-variant" in json.loads(unnamed["body"])["detail"]) == (400, True)
    assert not runtime.requests, "the next request of the session might go to another endpoint"
    assert apart.handle(event(headers=sent, variant="a"), Context())["statusCode"] == 200
    assert together.handle(event(headers=sent), Context())["statusCode"] == 200
    assert {asked.headers["X-Amzn-SageMaker-Session-Id"] for asked in runtime.requests} == {"NEW_SESSION"}


def test_a_strangers_wish_is_not_even_read(apart: ModuleType, runtime: Runtime) -> None:
    response = apart.handle(event(headers={"x": "y"}, variant="c"), Context())
    assert response["statusCode"] == 401
    assert "dark" not in response["body"]
    assert not runtime.requests


def test_a_variant_that_is_gone_is_not_replaced_by_another(
    apart: ModuleType, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.answer_with(Reply(), replies_of={"pr-b": GONE})
    response = apart.handle(event(variant="b"), Context())
    assert (response["statusCode"], response["headers"]["retry-after"]) == (503, "10")
    assert response["headers"]["eep-variant"] == "b"
    assert endpoints(runtime.requests) == {"pr-b": 1}
    assert json.loads(capsys.readouterr().out)["variant"] == "b"


def test_a_models_refusal_names_its_variant_too(apart: ModuleType, together: ModuleType, runtime: Runtime) -> None:
    reported = {**BAD_REQUEST.headers, "x-Amzn-Invoked-Production-Variant": "a"}
    runtime.answer_with(BAD_REQUEST, Reply(BAD_REQUEST.status, reported, BAD_REQUEST.body), BAD_REQUEST)
    asked_for = apart.handle(event(variant="a"), Context())
    drawn = together.handle(event(), Context())
    untold = together.handle(event(), Context())
    assert [each["statusCode"] for each in (asked_for, drawn, untold)] == [400, 400, 400]
    assert [each["headers"].get("eep-variant") for each in (asked_for, drawn, untold)] == ["a", "a", None]


def test_ready_asks_every_variant_that_gets_requests(apart: ModuleType, together: ModuleType, runtime: Runtime) -> None:
    assert apart.handle(event("GET", child="readyz"), Context())["statusCode"] == 200
    assert endpoints(runtime.requests) == {"pr-a": 1, "pr-b": 1}
    runtime.answer_with(Reply())
    assert together.handle(event("GET", child="readyz"), Context())["statusCode"] == 200
    assert sorted(filter(None, map(wanted, runtime.requests))) == ["a", "b"]


def test_ready_can_be_asked_of_one_variant(apart: ModuleType, runtime: Runtime) -> None:
    runtime.answer_with(GONE, replies_of={"pr-dark": Reply()})
    assert apart.handle(event("GET", variant="dark", child="readyz"), Context())["statusCode"] == 200
    assert endpoints(runtime.requests) == {"pr-dark": 1}


@pytest.mark.parametrize(
    ("replies", "first", "kind"),
    [
        ({"pr-b": GONE}, "b", "endpoint-not-ready"),
        ({"pr-a": DENIED}, "a", "invocation-denied"),
        ({"pr-a": DENIED, "pr-b": GONE}, "a", "invocation-denied"),
    ],
)
def test_not_ready_names_the_first_variant_that_requests_do_not_reach(
    apart: ModuleType, runtime: Runtime, replies: dict[str, Reply], *, first: str, kind: str
) -> None:
    runtime.answer_with(Reply(), replies_of=replies)
    response = apart.handle(event("GET", child="readyz"), Context())
    problem = json.loads(response["body"])
    assert response["statusCode"] == 503
    assert response["headers"]["retry-after"]
    assert response["headers"]["eep-variant"] == first
    assert problem["detail"].startswith(f"{first}: ")
    assert problem["variant"] == first
    assert problem["type"].endswith(f":{kind}")


def test_ready_asks_all_variants_at_the_same_time(apart: ModuleType, runtime: Runtime) -> None:
    both = threading.Barrier(2)

    class Meeting(threading.Event):
        """Lets nobody on before both are there."""

        def wait(self, timeout: float | None = None) -> bool:
            both.wait(timeout)
            return True

    runtime.answer_with(Reply(hold=Meeting()))
    response = apart.handle(event("GET", child="readyz"), Context(milliseconds=0))
    assert not both.broken, "one was asked only after the other"
    assert (response["statusCode"], endpoints(runtime.requests)) == (503, {"pr-a": 1, "pr-b": 1})
