import json
from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1 import schemas as api
from ephemeral_endpoints.features.routing.forwarder.schema import DIALECT, OTHER_DIALECT, SchemaError, compile_schema
from ephemeral_endpoints.features.routing.schema_rules import broken_sample, compiled, endless
from ephemeral_endpoints.features.routing.schema_worker import answer


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels - 1):
        schema = {"items": schema}
    return schema


def test_admission_and_the_forwarder_mean_the_same_dialect() -> None:
    assert api.DIALECT == DIALECT
    assert api._RULE.message == OTHER_DIALECT  # noqa: SLF001 - one message in two places that cannot share it


@pytest.mark.parametrize(
    "schema",
    [
        {},
        nested(32),
        {"properties": {"tree": {"items": {"$ref": "#/properties/tree"}}}},
        {"pattern": "[0-9]+$", "maxLength": 10_000},
        {"pattern": "^.*a.*b.*$", "maxLength": 464},
        {"pattern": "^[a-z]+$"},
        {"patternProperties": {"_[a-z]+$": {}}, "propertyNames": {"maxLength": 100}},
        {"$schema": f"{DIALECT}#"},
    ],
)
def test_schemas_that_a_forwarder_may_have(schema: dict[str, Any]) -> None:
    compiled(schema)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (nested(33), f"{'/items' * 32}: is within more than 32 other schemas"),
        ({"$ref": "#"}, "the schema: refers to itself without descending"),
        ({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, "/$defs/a: refers to itself without descending"),
        ({"properties": {"a": {"pattern": "^(a+)+$"}}}, "/properties/a/pattern: can take exponentially long"),
        ({"pattern": "[0-9]+$"}, "/pattern: can take as long as the length of the text to the power of 2"),
        ({"pattern": "[0-9]+$", "maxLength": 10_001}, "set maxLength to at most 10000 beside it"),
        ({"pattern": "^.*a.*b.*$", "maxLength": 465}, "set maxLength to at most 464 beside it"),
        ({"patternProperties": {"a/[a-z]+[a-z]+": {}}}, "/patternProperties/a~1[a-z]+[a-z]+: can take"),
        ({"patternProperties": {"[a-z]+": {}}}, "propertyNames.maxLength to at most 10000"),
        ({"$ref": "https://example.com/"}, "/$ref: names https://example.com/, which is not in the schema"),
        ({"$defs": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}, "/$defs/a/$schema: must be"),
    ],
)
def test_schemas_that_a_forwarder_must_not_have(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        compiled(schema)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("body", "content_type", "why"),
    [
        ('{"text":"a"}', "application/json", None),
        ("{}", "application/json", "does not match it: /text is missing (required)"),
        ('{"text":1,"n":2}', "application/json", "/text must be of type string (type), and 1 more"),
        ("text", "application/json", "is not JSON: Expecting value at character 0"),
        ('{"text":"a","text":"b"}', "application/json", "has a name twice in an object"),
        ("a,b", "text/csv", "is text/csv, and the schema takes JSON only"),
        ("[" * 900 + "]" * 900, "application/json", "does not match it"),
    ],
)
def test_samples_are_held_against_the_schema_of_requests(body: str, content_type: str, why: str | None) -> None:
    schema = compiled({"type": "object", "properties": {"text": {"type": "string"}, "n": False}, "required": ["text"]})
    told = broken_sample(schema, body, content_type)
    assert told is None if why is None else why in str(told)


def test_the_worker_tells_which_schema_or_sample_is_none() -> None:
    bad, good = json.dumps({"type": "text"}), json.dumps({"type": "string"})
    samples = [["a", '"x"', "application/json"], ["b", "1", "application/json"]]
    ask = {"requestSchema": good, "responseSchema": good, "samples": samples}
    assert answer(ask)["sample"][0] == "b"
    assert answer({**ask, "samples": samples[:1]}) == {}
    assert answer({**ask, "requestSchema": None}) == {}
    assert answer({**ask, "responseSchema": bad})["schema"][0] == "responseSchema"


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"$ref": "#"}, ""),
        ({"properties": {"a": {"anyOf": [{"$ref": "#/properties/a"}]}}}, "/properties/a"),
        ({"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"if": {"$ref": "#/$defs/a"}}}}, "/$defs/a"),
        ({"items": {"$ref": "#"}}, None),
        (
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {}}, "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]},
            None,
        ),
    ],
)
def test_a_schema_that_refers_to_itself_without_an_end_is_found(schema: object, pointer: str | None) -> None:
    assert endless(compile_schema(schema)) == pointer
