"""The schemas of an API on real parts: the URL that keeps to them, and the check of a change that breaks callers."""

import json
from typing import Any

import pytest
import requests
from kubernetes.client import V1ConfigMap, V1ObjectMeta
from kubernetes.client.exceptions import ApiException
from tests.fixtures.operator import Bench
from tests.fixtures.waiting import eventually

from eep_platform.workbench import Object

REQUEST: dict[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string", "maxLength": 20}},
    "required": ["text"],
    "additionalProperties": False,
}
RESPONSE = {"type": "object", "properties": {"label": {"enum": ["positive", "negative"]}}, "required": ["label"]}
OPEN = {"type": "None"}
SAMPLE = {"name": "praise", "request": '{"text":"fine"}'}


def put(bench: Bench, schema: object) -> None:
    body = V1ConfigMap(metadata=V1ObjectMeta(name="schemas"), data={"request.json": json.dumps(schema)})
    try:
        bench.core.create_namespaced_config_map(bench.namespace, body)
    except ApiException:
        bench.core.replace_namespaced_config_map("schemas", bench.namespace, body)


def post(obj: Object, body: str) -> requests.Response:
    return requests.post(obj["status"]["url"], data=body, headers={"content-type": "application/json"}, timeout=60)


def model(bench: Bench, answer: object) -> dict[str, Any]:
    environment = {"SAY": json.dumps(answer), "MEDIA_TYPE": "application/json"}
    return {"image": bench.image, "environment": environment}


def test_the_url_keeps_to_the_schemas_and_a_change_that_breaks_callers_is_a_failed_check(bench: Bench) -> None:
    reference = {"configMapKeyRef": {"name": "schemas", "key": "request.json"}}
    api = {"auth": OPEN, "requestSchema": reference, "responseSchema": {"inline": RESPONSE}, "samples": [SAMPLE]}
    bench.apply("main", bench.spec(api=api, model=model(bench, {"label": "positive"})))
    bench.wait_condition("main", "Ready", reason="SchemaUnavailable")
    put(bench, REQUEST)
    main = bench.wait_ready("main")
    assert post(main, '{"text":"a"}').json() == {"label": "positive"}
    refused = post(main, '{"text":1,"more":2}')
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert [(each["pointer"], each["keyword"]) for each in refused.json()["errors"]] == [
        ("/text", "type"),
        ("/more", "additionalProperties"),
    ]

    # One that is none does not reach the URL, and is told with its place.
    put(bench, {**REQUEST, "properties": {"text": {"pattern": "^(a+)+$"}}})
    stalled = bench.wait_condition("main", "Stalled", reason="SchemaInvalid")
    assert "/properties/text/pattern: can take exponentially long" in str(stalled["status"]["conditions"])
    assert post(main, '{"text":"a"}').status_code == 200
    put(bench, {**REQUEST, "required": ["text", "language"]})
    broken = bench.wait_condition("main", "Stalled", reason="SampleInvalid")
    assert "the sample praise breaks spec.api.requestSchema" in str(broken["status"]["conditions"])
    put(bench, {**REQUEST, "properties": {"text": {"type": "string", "maxLength": 1}}})
    bench.wait_condition("main", "Stalled", reason="SampleInvalid")
    put(bench, {**REQUEST, "properties": {"text": {"type": "string", "maxLength": 5}}})
    eventually(lambda: post(main, '{"text":"abcdef"}').status_code == 400, "the changed schema")
    assert post(main, '{"text":"abcde"}').status_code == 200

    # A model that breaks its promise, and a schema that asks for more than the base's.
    narrower = {**REQUEST, "properties": {"text": {"type": "string", "maxLength": 4}}}
    changed = {**api, "requestSchema": {"inline": narrower}}
    compare = {"with": {"endpoint": "main"}}
    bench.apply("pr", bench.spec(api=changed, model=model(bench, {"label": "neutral"}), compare=compare))
    head = bench.wait_ready("pr")
    answered = post(head, '{"text":"a"}')
    assert answered.status_code == 502
    assert answered.json()["errors"] == [
        {"pointer": "/label", "keyword": "enum", "detail": "must be one of the values that the schema lists"}
    ]
    failed = bench.wait_condition("pr", "ChecksPassed", reason="ChecksFailed")
    [result] = failed["status"]["checks"]["results"]
    assert (result["name"], result["outcome"]) == ("BreakingSchema", "Failed")
    assert "requestSchema /properties/text/maxLength: must be at most 4 now" in result["message"]
    bench.wait_condition("pr", "Compared", reason="NothingCompared")


def test_another_dialect_is_refused_when_the_object_is_applied(bench: Bench) -> None:
    schema = {"inline": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}}
    with pytest.raises(ApiException) as caught:
        bench.apply("pr", bench.spec(api={"requestSchema": schema}))
    assert "a list in items is prefixItems, definitions is $defs" in str(caught.value.body)
