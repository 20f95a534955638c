"""Requests to the base, at the handler as deployed, before a real HTTP server in SageMaker's place."""

import json
import random
import time
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from tests.features.routing.forwarder.deployed import (
    ABOUT,
    FUNCTIONS,
    NO_FUNCTION,
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

from ephemeral_endpoints.features.routing.forwarder import documents
from ephemeral_endpoints.features.routing.forwarder.config import Base, FeedbackConfig, ForwarderConfig, Variant
from ephemeral_endpoints.features.routing.forwarder.kept import KEPT_SECONDS
from ephemeral_endpoints.features.routing.forwarder.revision import Revision
from ephemeral_endpoints.features.routing.forwarder.variants import choose

ALONE = ForwarderConfig(
    (Variant("main", "nlp-pr", 1),),
    TOKEN_SHA256,
    1000,
    "eu-west-1",
    ABOUT,
    PATH,
    request_schema='{"required": ["text"]}',
    response_schema='{"required": ["label", "score"]}',
    feedback=FeedbackConfig("votes", "key", reasons=True),
)
BASE = Base("sentiment-main", "eep-main", (Variant("old", "nlp-old", 0), Variant("stable", "nlp-stable", 1)))
COMPARED = replace(ALONE, base=BASE)


def function(answer: object) -> Reply:
    """What Lambda answers for a function that answered so."""
    return Reply(body=json.dumps(answer).encode())


SERVING = function({"statusCode": 200, "headers": {"eep-revision": "ba5eba5eba5e"}, "body": "{}"})


@pytest.fixture(scope="module")
def deployed_config() -> ForwarderConfig:
    return COMPARED


@pytest.fixture(autouse=True)
def answers(runtime: Runtime, forwarder: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(runtime, Reply())
    monkeypatch.setattr(forwarder, "BASE_REVISION", Revision(forwarder.LAMBDA))


def serve(runtime: Runtime, reply: Reply, function: Reply = SERVING) -> None:
    """What the base's model answers, and the base's function."""
    runtime.answer_with(reply, replies_of={"eep-main": function})


def to_models(runtime: Runtime) -> list[Asked]:
    """The requests to models."""
    return [each for each in runtime.requests if not each.path.startswith(FUNCTIONS)]


def ask(forwarder: ModuleType, body: str = '{"text":"good"}', **headers: str) -> dict[str, Any]:
    sent = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", "eep-target": "base"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    response: dict[str, Any] = forwarder.handle(event(body=body, headers=sent, child="invocations"), Context())
    return response


def test_the_base_answers_by_its_own_weights_and_says_so(forwarder: ModuleType, runtime: Runtime) -> None:
    response = ask(forwarder)
    assert (response["statusCode"], response["body"]) == (200, '{"label":"positive"}'), "the schema is not the base's"
    headers = response["headers"]
    assert (headers["eep-target"], headers["eep-variant"], headers["eep-revision"]) == (
        "base",
        "stable",
        "ba5eba5eba5e",
    )
    assert "eep-feedback-id" not in headers, "votes are on the pull request"
    [asked] = to_models(runtime)
    assert (asked.path, asked.body) == ("/endpoints/nlp-stable/invocations", b'{"text":"good"}')


def test_the_base_is_asked_once_a_minute_what_it_serves(forwarder: ModuleType, runtime: Runtime) -> None:
    for _ in range(3):
        assert ask(forwarder)["headers"]["eep-revision"] == "ba5eba5eba5e"
    [asked] = [each for each in runtime.requests if each.path.startswith(FUNCTIONS)]
    assert asked.path == f"{FUNCTIONS}eep-main/invocations"
    answered = forwarder.handle(json.loads(asked.body), Context())
    assert (answered["statusCode"], answered["headers"]["eep-revision"]) == (200, ABOUT.revision[:12]), "of any"
    serve(runtime, Reply(), function({"headers": {"eep-revision": "feed"}}))
    forwarder.BASE_REVISION.clock = lambda: time.monotonic() + KEPT_SECONDS
    assert ask(forwarder)["headers"]["eep-revision"] == "feed", "the base has moved on"


@pytest.mark.parametrize(
    "answer",
    [
        NO_FUNCTION,
        refusal(403, "AccessDeniedException"),
        Reply(hang_up=True),
        Reply(body=b"Task timed out"),
        function({"errorMessage": "2026-12-01 Task timed out after 30.00 seconds"}),
        function({"headers": None}),
        function({"headers": {"eep-revision": "x\r\nset-cookie: a=b"}}),
        function({"headers": {"eep-revision": 7}}),
        function([]),
    ],
)
def test_a_base_that_does_not_say_what_it_serves_answers_all_the_same(
    forwarder: ModuleType, runtime: Runtime, answer: Reply
) -> None:
    serve(runtime, Reply(), answer)
    response = ask(forwarder)
    assert (response["statusCode"], response["headers"]["eep-variant"]) == (200, "stable")
    assert "eep-revision" not in response["headers"], "it would be another one's"


def test_without_the_header_the_endpoint_itself_answers(forwarder: ModuleType, runtime: Runtime) -> None:
    runtime.answer_with(Reply(body=b'{"label":"positive","score":1}'))
    headers = forwarder.handle(event(), Context())["headers"]
    assert (headers["eep-variant"], headers["eep-revision"]) == ("main", ABOUT.revision[:12])
    assert "eep-target" not in headers
    assert "eep-feedback-id" in headers
    assert runtime.requests[0].path == "/endpoints/nlp-pr/invocations"


def test_a_variant_of_the_base_can_be_named(forwarder: ModuleType, runtime: Runtime) -> None:
    assert ask(forwarder, eep_variant="old")["headers"]["eep-variant"] == "old"
    assert to_models(runtime)[0].path == "/endpoints/nlp-old/invocations"
    refused = json.loads(ask(forwarder, eep_variant="main")["body"])
    assert refused["detail"].endswith("must be the name of a variant: old, stable.")


def test_a_sticky_value_keeps_its_variant_of_the_base() -> None:
    base = replace(BASE, variants=tuple(Variant(name, f"nlp-{name}", 1) for name in "ab"))
    drawn = {(key, choose(base, None, random.SystemRandom(), key).variant) for key in map(str, range(20))}
    assert len(drawn | {(key, choose(base, None, random.SystemRandom(), key).variant) for key, _ in drawn}) == 20
    assert {variant for _, variant in drawn} == {"a", "b"}


def test_a_base_that_is_not_in_service_is_named(forwarder: ModuleType, runtime: Runtime) -> None:
    serve(runtime, refusal(400, "ValidationError", "Endpoint nlp-stable of account 1 not found."))
    response = ask(forwarder)
    problem = json.loads(response["body"])
    assert (response["statusCode"], problem["type"].rpartition(":")[2]) == (503, "endpoint-not-ready")
    assert problem["detail"] == "The base sentiment-main did not answer. The endpoint is not in service."
    assert response["headers"]["eep-target"] == "base"
    assert (response["headers"]["retry-after"], response["headers"]["eep-revision"]) == ("10", "ba5eba5eba5e")


def test_a_refusal_of_the_base_is_passed_on(forwarder: ModuleType, runtime: Runtime) -> None:
    serve(runtime, refusal(424, "ModelError", OriginalStatusCode=422, OriginalMessage="too short"))
    response = ask(forwarder)
    assert (response["statusCode"], response["body"]) == (422, "too short")


def test_the_request_has_to_match_the_schema_and_the_token_all_the_same(
    forwarder: ModuleType, runtime: Runtime
) -> None:
    assert ask(forwarder, "{}")["statusCode"] == 400
    assert ask(forwarder, authorization="Bearer wrong")["statusCode"] == 401
    refused = ask(forwarder, eep_target="production")
    assert json.loads(refused["body"])["type"].endswith(":unknown-target")
    assert not runtime.requests


def test_the_log_tells_which_requests_were_for_the_base(
    forwarder: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(forwarder)
    assert json.loads(capsys.readouterr().out)["base"] is True


def test_without_a_base_there_is_none_to_ask(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> None:
    url = f"http://127.0.0.1:{runtime.server_address[1]}"
    with deployed(ALONE, tmp_path_factory.mktemp("function"), {"SAGEMAKER_RUNTIME": url}) as alone:
        refused = ask(alone)
    assert (refused["statusCode"], json.loads(refused["body"])["type"].rpartition(":")[2]) == (404, "no-base")
    assert "eep-target" not in refused["headers"]
    assert not runtime.requests


@pytest.mark.parametrize("config", [ALONE, COMPARED], ids=["alone", "compared"])
def test_the_base_is_described_where_there_is_one(config: ForwarderConfig) -> None:
    made = documents.openapi(config, "sentiment")
    operation = made["paths"]["/invocations"]["post"]
    has_base = config.base is not None
    assert made["info"]["x-ephemeral-endpoint"]["compare"] is has_base
    assert ("eep-target" in {each["name"] for each in operation["parameters"]}) is has_base
    assert ("eep-target" in operation["responses"]["200"]["headers"]) is has_base
