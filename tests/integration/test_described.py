"""The public API of a deployed object: as it describes itself, and under many callers at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

import requests
from tests.fixtures.described import judge
from tests.fixtures.operator import Bench

CALLS: Final = 200
CALLERS: Final = 10
"""At once. Each has a process of the forwarder here, whose start takes a third of a second of a core."""

LABELLED: Final = {"SAY": '{"label": "positive"}', "MEDIA_TYPE": "application/json"}
REQUEST: Final = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "maxLength": 20}, "top": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}
ANSWER: Final = {"type": "object", "required": ["label"], "properties": {"label": {"type": "string"}}}
CHECKED: Final = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "unsupported_method",
    "ignored_auth",
}


def test_what_a_deployed_object_describes_is_what_its_url_answers(bench: Bench) -> None:
    """Its examples are what the model answered: to the sample that made it ready."""
    samples = [{"name": "praise", "request": '{"text": "good"}', "description": "A sentence of praise"}]
    api = {"requestSchema": {"inline": REQUEST}, "responseSchema": {"inline": ANSWER}, "samples": samples}
    api["readiness"] = {"sample": "praise"}
    model = {"image": bench.image, "environment": LABELLED}
    bench.apply("described", bench.spec(model=model, api=api, feedback={}))
    url, token = bench.wait_ready("described")["status"]["url"], bench.token("described")
    page = requests.get(url, headers={"accept": "text/html"}, timeout=60)
    seen = url.partition("://")[2]
    assert f"connect-src {seen}/;" in page.headers["content-security-policy"], "the page may call its own URL"
    headers = {"Authorization": f"Bearer {token}"}
    described = requests.get(f"{url}/openapi.json", headers=headers, timeout=60).json()
    answer = described["paths"]["/invocations"]["post"]["responses"]["200"]["content"]["application/json"]
    assert answer["examples"] == {
        "praise": {"summary": "What the variant main answered.", "value": {"label": "positive"}}
    }
    judged = judge(
        url,
        token,
        phases={"stateful": {"enabled": False}, "fuzzing": {"enabled": True}},
        generation={"max-examples": 5},
    )
    assert judged.contradictions == []
    assert judged.cases > 100
    assert judged.checks >= CHECKED


def test_each_of_many_callers_at_once_gets_the_answer_to_its_own_request(bench: Bench) -> None:
    serving = {"serverless": {"maxConcurrency": CALLERS}}
    bench.apply("repeating", bench.spec(model={"image": bench.image, "environment": {"REPEAT": "1"}}, serving=serving))
    url, token = bench.wait_ready("repeating")["status"]["url"], bench.token("repeating")
    sent = [json.dumps({"nonce": number}).encode() for number in range(CALLS)]
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(lambda body: bench.call(url, body, token=token), sent))
    assert [answer.text for answer in answers if answer.status_code != HTTPStatus.OK] == []
    assert [answer.content for answer in answers] == sent
    assert len({answer.headers["eep-request-id"] for answer in answers}) == CALLS
