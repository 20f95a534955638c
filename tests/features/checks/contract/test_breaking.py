import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ephemeral_endpoints.features.checks.contract.breaking import narrowed
from ephemeral_endpoints.features.checks.contract.worker import answer
from ephemeral_endpoints.features.routing.forwarder.schema import compile_schema

TEXT = {"type": "string"}
OBJECT: dict[str, Any] = {"type": "object", "properties": {"text": TEXT}, "required": ["text"]}
TREE = {"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "properties": {"a": {"$ref": "#/$defs/t"}}}}}


@pytest.mark.parametrize(
    ("before", "after", "pointer"),
    [
        (OBJECT, {**OBJECT, "required": ["text", "language"]}, "/required/language"),
        (OBJECT, {**OBJECT, "additionalProperties": False}, "/additionalProperties"),
        (OBJECT, {**OBJECT, "properties": {"text": {"type": "integer"}}}, "/properties/text/type"),
        (OBJECT, {**OBJECT, "properties": {"text": {**TEXT, "maxLength": 9}}}, "/properties/text/maxLength"),
        (
            {**OBJECT, "additionalProperties": False},
            {"type": "object", "additionalProperties": False},
            "/properties/text",
        ),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, "/enum"),
        ({"enum": ["a", 1]}, TEXT, ""),
        (TEXT, {"enum": ["a"]}, "/enum"),
        (TEXT, {"const": "a"}, "/const"),
        (TEXT, False, ""),
        (True, TEXT, "/type"),
        ({"type": ["string", "null"]}, TEXT, "/type"),
        ({"type": "number"}, {"type": "integer"}, "/type"),
        ({"type": "number", "minimum": 0}, {"type": "number", "minimum": 1}, "/minimum"),
        ({"type": "number", "minimum": 0}, {"type": "number", "exclusiveMinimum": 0}, "/exclusiveMinimum"),
        ({"type": "number"}, {"type": "number", "maximum": 10}, "/maximum"),
        ({"type": "integer"}, {"type": "integer", "multipleOf": 2}, "/multipleOf"),
        ({**TEXT, "minLength": 1}, {**TEXT, "minLength": 2}, "/minLength"),
        (TEXT, {**TEXT, "format": "date"}, "/format"),
        (TEXT, {**TEXT, "pattern": "^x"}, "/pattern"),
        ({"type": "array"}, {"type": "array", "uniqueItems": True}, "/uniqueItems"),
        ({"type": "array", "items": {}}, {"type": "array", "items": TEXT}, "/items/type"),
        ({"type": "array"}, {"type": "array", "prefixItems": [TEXT]}, "/prefixItems/0/type"),
        ({"type": "array"}, {"type": "array", "maxItems": 32}, "/maxItems"),
        ({"anyOf": [TEXT, {"type": "null"}]}, TEXT, ""),
        ({"anyOf": [TEXT, {"type": "integer"}]}, TEXT, "/type"),
        ({"type": "object", "not": {"required": ["a"]}}, {"type": "object", "required": ["b"]}, "/required/b"),
        (
            TREE,
            {**TREE, "$defs": {"t": {**TREE["$defs"]["t"], "required": ["a"]}}},  # type: ignore[index]
            "/required/a",
        ),
    ],
)
def test_what_breaks_callers_has_its_pointer(before: Any, after: Any, pointer: str) -> None:  # noqa: ANN401 - schemas
    found = narrowed(before, after)
    assert [each.pointer for each in found.breaks] == [pointer]
    assert found.unclear == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (OBJECT, OBJECT),
        (OBJECT, {"type": "object"}),
        (OBJECT, {}),
        (OBJECT, {**OBJECT, "description": "other words", "$id": "x"}),
        (OBJECT, {**OBJECT, "properties": {**OBJECT["properties"], "language": TEXT}}),
        (OBJECT, {"$ref": "#/$defs/o", "$defs": {"o": OBJECT}}),
        ({**OBJECT, "additionalProperties": False}, {**OBJECT, "properties": {"text": TEXT, "b": {"type": "null"}}}),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}),
        ({"enum": ["a"]}, {**TEXT, "maxLength": 1}),
        (TEXT, {"type": ["string", "null"]}),
        ({"type": "integer", "minimum": 1}, {"type": "number", "exclusiveMinimum": 0}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "integer"}, {"multipleOf": 1}),
        ({"type": "integer", "multipleOf": 6}, {"type": "integer", "multipleOf": 3}),
        ({"type": "object"}, {"type": "object", "maxLength": 3}),
        ({"anyOf": [TEXT]}, {"anyOf": [{"type": "null"}, TEXT]}),
        (TEXT, {"anyOf": [{"type": "null"}, TEXT]}),
        (TREE, TREE),
        (TREE, {**TREE, "title": "a tree"}),
        ({"not": TEXT, "if": {}}, {"not": TEXT, "if": {}}),
        ({"type": "boolean"}, {"enum": [True, False]}),
    ],
)
def test_what_breaks_nobody_is_no_difference(before: Any, after: Any) -> None:  # noqa: ANN401 - schemas
    assert not narrowed(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"not": {"type": "null"}}, {"not": {"type": "boolean", "const": 5}}),
        ({**TEXT, "pattern": "^abc"}, {**TEXT, "pattern": "^abcd"}),
        ({"oneOf": [TEXT]}, {"oneOf": [TEXT, {"minLength": 3}]}),
        ({"type": "object", "patternProperties": {"^a": {}}}, {"type": "object", "patternProperties": {"^a": TEXT}}),
    ],
)
def test_what_cannot_be_decided_is_said(before: Any, after: Any) -> None:  # noqa: ANN401 - schemas
    found = narrowed(before, after)
    assert found.breaks == []
    assert found.unclear


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1, 2, 7, 0.5, "", "a", "ab", "abc", [], [1], ["a", "a"], {}]
)
DOCUMENTS = VALUES | st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2) | st.lists(VALUES, max_size=3)
TYPES = st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string"])


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    members = st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    possible: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), st.integers(0, 3)),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties"), st.integers(0, 2)),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "uniqueItems": st.booleans(),
        "required": st.lists(st.sampled_from("ab"), max_size=2, unique=True),
        "pattern": st.sampled_from(["^a", "b$"]),
        "properties": members,
        "items": inner,
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
        "$ref": st.just("#/$defs/x"),
    }
    chosen = st.lists(st.sampled_from(sorted(possible)), max_size=3, unique=True)
    # A member that was not spoken of may be restricted: of closed objects there is none.
    closed = st.just({"additionalProperties": False})
    made = chosen.flatmap(lambda names: st.fixed_dictionaries({name: possible[name] for name in names}))
    return st.tuples(made, closed).map(lambda pair: {**pair[1], **pair[0]})


LEAVES = st.booleans() | st.builds(lambda name: {"type": name}, TYPES)
SCHEMAS = schemas(LEAVES | schemas(LEAVES))
FREE = schemas(LEAVES).filter(lambda schema: "$ref" not in json.dumps(schema))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(SCHEMAS, st.none() | SCHEMAS, FREE, FREE, st.lists(DOCUMENTS, min_size=8, max_size=8))
def test_without_a_difference_no_document_is_lost(
    before: dict[str, Any], after: dict[str, Any] | None, x: dict[str, Any], y: dict[str, Any], documents: list[Any]
) -> None:
    old = {**before, "$defs": {"x": x}}
    new = {**(before if after is None else after), "$defs": {"x": y}}
    if not narrowed(old, new):
        own, other = compile_schema(json.loads(json.dumps(old))), compile_schema(json.loads(json.dumps(new)))
        assert [each for each in documents if own.is_valid(each) and not other.is_valid(each)] == [], (old, new)


def test_schemas_of_requests_may_widen_and_those_of_answers_narrow() -> None:
    narrow, wide = json.dumps(TEXT), json.dumps({"type": ["string", "null"]})
    assert answer({"base": [narrow, wide], "head": [wide, narrow]}) == {"breaks": [], "unclear": []}
    assert answer({"base": [wide, narrow], "head": [narrow, wide]})["breaks"] == [
        "requestSchema /type: no longer allows null",
        "responseSchema /type: no longer allows null, by what the base promised",
    ]
    assert answer({"base": [None, narrow], "head": [narrow, None]}) == {"breaks": [], "unclear": []}
