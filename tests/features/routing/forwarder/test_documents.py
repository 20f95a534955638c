"""The OpenAPI description, held against what the forwarder answers."""

import json
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any
from urllib.parse import urljoin

import pytest
from tests.features.routing.forwarder.deployed import (
    ABOUT,
    END,
    PATH,
    TOKEN,
    TOKEN_SHA256,
    Context,
    Reply,
    Runtime,
    event,
)
from tests.features.routing.forwarder.site import behind_http
from tests.fixtures.described import judge

from ephemeral_endpoints.features.routing.forwarder import documents
from ephemeral_endpoints.features.routing.forwarder.config import (
    AsyncConfig,
    Base,
    Cors,
    ForwarderConfig,
    Sample,
    Variant,
)
from ephemeral_endpoints.features.routing.forwarder.examples import Example

CONFIG = ForwarderConfig(
    (Variant("a", "pr-a", 1), Variant("b", "pr-b", 1)),
    TOKEN_SHA256,
    1000,
    "eu-west-1",
    ABOUT,
    PATH,
    samples=(
        Sample("praise", '{"text": "good"}', "application/json", "A sentence of praise"),
        Sample("row", "1,2", "text/csv"),
    ),
    content_types=("application/json", "text/csv"),
    cors=Cors(("https://acme.example",)),
    base=Base("main", "eep-main", (Variant("a", "main-a", 1), Variant("b", "main-b", 1))),
)


def ask(forwarder: ModuleType, child: str, method: str = "GET", **sent: str) -> dict[str, Any]:
    response: dict[str, Any] = forwarder.handle(
        event(method, None, {"x-api-key": TOKEN, **sent}, child=child), Context()
    )
    return response


def test_the_description_is_sent_once_and_then_known(forwarder: ModuleType) -> None:
    first = ask(forwarder, "openapi.json")
    assert json.loads(first["body"]) == documents.openapi(CONFIG, "sentiment", END)
    assert first["headers"]["cache-control"] == "private, no-cache"
    for known in (first["headers"]["etag"], f'"other", W/{first["headers"]["etag"]}', "*"):
        again = ask(forwarder, "openapi.json", **{"if-none-match": known})
        assert (again["statusCode"], again["body"]) == (304, "")
        assert again["headers"]["etag"] == first["headers"]["etag"]
    assert ask(forwarder, "openapi.json", **{"if-none-match": '"other"'})["statusCode"] == 200
    assert forwarder.handle(event("GET", None, {}, child="openapi.json"), Context())["statusCode"] == 401


@pytest.mark.parametrize(
    ("key", "proxy", "url", "base"),
    [
        (f"ANY {PATH}/{{proxy+}}", "openapi.json", f"{PATH}/openapi.json", PATH),
        (f"ANY {PATH}/{{proxy+}}", "openapi.json", f"/stage/base{PATH}/openapi.json", f"/stage/base{PATH}"),
        (f"ANY {PATH}/operator/{{proxy+}}", "openapi.json", f"{PATH}/operator/openapi.json", f"{PATH}/operator"),
    ],
)
def test_the_server_is_the_url_that_the_description_was_fetched_below(
    forwarder: ModuleType, key: str, proxy: str, url: str, base: str
) -> None:
    document = asked_below(forwarder, key, proxy)
    assert [urljoin(f"https://host{url}", each["url"]) for each in document["servers"]] == [f"https://host{base}"]
    links = document["info"]["x-ephemeral-endpoint"]["links"].values()
    assert {urljoin(f"https://host{url}", each).rpartition("/")[0] for each in links} == {f"https://host{base}"}


@pytest.mark.parametrize(
    ("key", "url", "base"),
    [
        (f"ANY {PATH}", PATH, PATH),
        (f"GET {PATH}", PATH, PATH),
        (f"ANY {PATH}/{{proxy+}}", f"{PATH}/", PATH),
        (f"ANY {PATH}/operator/{{proxy+}}", f"{PATH}/operator/", f"{PATH}/operator"),
    ],
)
def test_links_hold_with_and_without_a_slash_at_the_end(forwarder: ModuleType, key: str, url: str, base: str) -> None:
    links = asked_below(forwarder, key, "")["links"].values()
    assert {urljoin(f"https://host{url}", each).rpartition("/")[0] for each in links} == {f"https://host{base}"}


def asked_below(forwarder: ModuleType, key: str, proxy: str) -> dict[str, Any]:
    """The document at the route of that key, as API Gateway sends it."""
    sent = {**event("GET", None, {"x-api-key": TOKEN}), "routeKey": key, "pathParameters": {"proxy": proxy}}
    found: dict[str, Any] = json.loads(forwarder.handle(sent, Context())["body"])
    return found


HOSTILE = '</script><img src=x onerror=alert(1)> \u2028 {"$ref": "#/components"}'


def test_what_the_model_answered_to_a_sample_is_an_example_whoever_sent_it(
    forwarder: ModuleType, server: Runtime
) -> None:
    server.answer_with(Reply(body=json.dumps({"label": HOSTILE}).encode()))
    before = ask(forwarder, "openapi.json")["headers"]["etag"]
    sent = {"x-api-key": TOKEN, "content-type": "application/json"}
    forwarder.handle(event("POST", CONFIG.samples[0].request, sent, variant="a"), Context())
    forwarder.handle(event("POST", '{"text": "of a caller"}', sent), Context())
    response = ask(forwarder, "openapi.json")
    assert response["headers"]["etag"] != before
    answers = json.loads(response["body"])["paths"]["/invocations"]["post"]["responses"]["200"]["content"]
    assert answers["application/json"]["examples"] == {
        "praise": {"summary": "What the variant a answered.", "value": {"label": HOSTILE}}
    }


def test_the_description_has_the_samples_and_what_a_page_needs() -> None:
    made = documents.openapi(
        replace(CONFIG, request_schema='{"type":"object"}', response_schema='{"type":"array"}'), "sentiment"
    )
    content = made["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert content == {
        "application/json": {
            "schema": {"type": "object"},
            "examples": {"praise": {"summary": "A sentence of praise", "value": {"text": "good"}}},
        },
        "text/csv": {"schema": {}, "examples": {"row": {"value": "1,2"}}},
    }
    answers = made["paths"]["/invocations"]["post"]["responses"]["200"]["content"]
    assert answers["application/json"] == {"schema": {"type": "array"}}
    about = made["info"]["x-ephemeral-endpoint"]
    assert (about["pullRequest"], about["asynchronous"], about["links"]["readyz"]) == (42, False, "readyz")
    assert made["servers"] == [{"url": "../sentiment"}]


def test_the_description_has_what_the_model_answered_to_the_samples() -> None:
    answered = (
        Example("praise", "a", "application/json; charset=utf-8", '{"label": "positive"}'),
        Example("row", "", "text/csv", "positive"),
    )
    answers = documents.openapi(CONFIG, "sentiment", None, answered)["paths"]["/invocations"]["post"]["responses"][
        "200"
    ]["content"]
    assert answers["application/json"]["examples"] == {
        "praise": {"summary": "What the variant a answered.", "value": {"label": "positive"}}
    }
    assert answers["text/csv"]["examples"] == {"row": {"value": "positive"}}


def test_an_asynchronous_endpoint_describes_its_results() -> None:
    folders = AsyncConfig("s3://bucket/in/", "s3://bucket/out/")
    made = documents.openapi(replace(CONFIG, variants=CONFIG.variants[:1], asynchronous=folders), "sentiment")
    assert "202" in made["paths"]["/invocations"]["post"]["responses"]
    assert "/invocations/{id}" in made["paths"]
    assert "/invocations/{id}" not in documents.openapi(CONFIG, "sentiment")["paths"]


def test_a_page_of_a_listed_origin_may_call(forwarder: ModuleType) -> None:
    asked = {"origin": "https://acme.example", "access-control-request-method": "POST"}
    preflight = forwarder.handle(event("OPTIONS", None, asked, child="invocations"), Context())
    assert preflight["statusCode"] == 204, "without a token, which browsers do not send with it"
    assert preflight["headers"]["access-control-allow-methods"] == "OPTIONS, POST"
    assert preflight["headers"]["access-control-allow-origin"] == "https://acme.example"
    refused = forwarder.handle(event("POST", headers=asked, child="invocations"), Context())
    assert refused["statusCode"] == 401
    assert refused["headers"]["access-control-allow-origin"] == "https://acme.example", "so that it can read why"


@pytest.fixture
def url(forwarder: ModuleType, server: Runtime) -> Iterator[str]:
    """The forwarder behind HTTP."""
    server.answer_with(Reply())
    with behind_http(forwarder) as url:
        yield url


def test_what_is_described_is_what_is_answered(url: str) -> None:
    judged = judge(url, TOKEN, phases={"stateful": {"enabled": False}, "fuzzing": {"enabled": False}})
    assert judged.contradictions == []
    assert judged.cases > 50
