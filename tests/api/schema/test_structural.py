from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.schema.structural import NotStructuralError, structural
from ephemeral_endpoints.api.v1alpha1.json_values import PRESERVE, AnyJson, JsonSchema

RULE = Rule("self > 1", "must be more than 1")


class Size(Enum):
    """How large."""

    SMALL = "Small"
    LARGE = "Large"


class Inner(BaseModel):
    """Something inside."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    size: Size = Size.SMALL
    """How
    large
    it is."""


class Node(BaseModel):
    """Contains its own kind."""

    children: list["Node"]


def _with_a_field(kind: Any) -> dict[str, Any]:  # noqa: ANN401 any annotation, as pydantic takes it
    """Return the JSON Schema of a model that has one field of this type."""
    return create_model("Outer", field=(kind, ...)).model_json_schema()


@pytest.mark.parametrize(
    ("kind", "expected", "reason"),
    [
        (str, {"type": "string"}, "a plain type loses its title"),
        (str | None, {"type": "string"}, "null is an absent field"),
        (Literal["a"], {"type": "string", "enum": ["a"]}, "a constant is an enumeration of one"),
        (Literal[1, 2], {"type": "integer", "enum": [1, 2]}, "an enumeration keeps its values"),
        (Annotated[int, Field(gt=0, lt=9)], {"type": "integer", "minimum": 1, "maximum": 8}, "integers have a next"),
        (
            Annotated[str, Field(max_length=3, pattern="^a")],
            {"type": "string", "maxLength": 3, "pattern": "^a"},
            "text",
        ),
        (list[str], {"type": "array", "items": {"type": "string"}}, "a list"),
        (tuple[str, ...], {"type": "array", "items": {"type": "string"}}, "a tuple of any length is a list"),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}, "a map"),
        (
            Annotated[int, RULE],
            {"type": "integer", "x-kubernetes-validations": [{"rule": RULE.cel, "message": RULE.message}]},
            "a rule",
        ),
        (AnyJson, {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}, "any JSON, null among it"),
        (
            JsonSchema | None,
            {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "x-kubernetes-map-type": "atomic",
            },
            "an object with any members",
        ),
        (
            Annotated[Any, WithJsonSchema({PRESERVE: True, "type": "object", "properties": {"a": {"type": "string"}}})],
            {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "properties": {"a": {"type": "string"}},
            },
            "an object with any members beside one that is named",
        ),
    ],
)
def test_a_type_is_translated(kind: object, expected: dict[str, Any], reason: str) -> None:
    schema = _with_a_field(kind)
    assert structural(schema)["properties"]["field"] == expected, reason


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param(int | str, r"^\.field: is a union", id="no type in common"),
        pytest.param(tuple[int, str], r"^\.field: prefixItems", id="a list whose entries differ"),
        pytest.param(list[tuple[int, str]], r"^\.field\[\]: .*prefixItems", id="deep in a list"),
        pytest.param(dict[str, int | str], r"^\.field{}: is a union", id="deep in a map"),
        pytest.param(Annotated[float, Field(gt=0)], r"^\.field: exclusiveMinimum", id="numbers have no next"),
        pytest.param(Any, r"^\.field: has not exactly one type", id="anything"),
        pytest.param(set[str], r"^\.field: uniqueItems", id="Kubernetes forbids it, because it is costly"),
        pytest.param(dict[str, Any], r"^\.field: additionalProperties must say a type", id="a map of anything"),
        pytest.param(
            Annotated[Any, WithJsonSchema({PRESERVE: False})],
            r"^\.field: x-kubernetes-preserve-unknown-fields can only be true",
            id="what Kubernetes does not take",
        ),
        pytest.param(
            Annotated[Any, WithJsonSchema({PRESERVE: True, "type": "string"})],
            r"^\.field: x-kubernetes-preserve-unknown-fields needs the type object",
            id="a text has no fields",
        ),
        pytest.param(
            Annotated[Any, WithJsonSchema({PRESERVE: True, "type": "object", "properties": {"a": {}}})],
            r"^\.field\.a: has not exactly one type",
            id="a member that is named is looked into",
        ),
        pytest.param(
            Annotated[Any, WithJsonSchema({PRESERVE: True, "maxLength": 3})],
            r"^\.field: maxLength does not go with",
            id="a limit that would be none",
        ),
        pytest.param(
            Annotated[str, WithJsonSchema({"type": "string", "nullable": True})],
            r"^\.field: is nullable",
            id="null is an absent field",
        ),
        pytest.param(Node, r"^\.field\.children\[\]: Node contains itself", id="endless"),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_path(kind: object, message: str) -> None:
    schema = _with_a_field(kind)
    with pytest.raises(NotStructuralError, match=message):
        structural(schema)


def test_a_reference_to_nowhere_is_refused() -> None:
    with pytest.raises(NotStructuralError, match=r"^\.: refers to #/\$defs/Gone"):
        structural({"$ref": "#/$defs/Gone"})


def test_a_reference_is_inlined_and_what_stands_beside_it_wins() -> None:
    class Outer(BaseModel):
        inner: Annotated[Inner, RULE] = Field(default=Inner(), description="A better description.")

    assert structural(Outer.model_json_schema())["properties"]["inner"] == {
        "description": "A better description.",
        "type": "object",
        "default": {"size": "Small"},
        "x-kubernetes-validations": [{"rule": RULE.cel, "message": RULE.message}],
        "properties": {
            "size": {
                "description": "How large it is.",
                "type": "string",
                "enum": ["Small", "Large"],
                "default": "Small",
            }
        },
    }


def test_defaults_that_say_no_more_than_absence_go() -> None:
    class Outer(BaseModel):
        gone: str | None = None
        empty: tuple[str, ...] = ()
        nothing: int = 0

    properties = structural(Outer.model_json_schema())["properties"]
    assert [name for name, part in properties.items() if "default" in part] == ["nothing"]


def test_paragraphs_of_a_description_stay_apart() -> None:
    assert structural({"type": "string", "description": "One\nline.\n\nTwo."})["description"] == "One line.\n\nTwo."


STRUCTURAL = st.recursive(
    st.sampled_from([str, int, bool, str | None, Literal["x"], Size]),
    lambda inner: st.one_of(
        inner.map(lambda kind: list[kind]),  # type: ignore[valid-type] # a type made at run time
        inner.map(lambda kind: dict[str, kind]),  # type: ignore[valid-type] # likewise
        inner.map(lambda kind: create_model("Part", part=(kind, ...), other=(kind | None, None))),
    ),
    max_leaves=6,
)


@given(STRUCTURAL)
def test_every_node_of_a_translation_has_a_type_and_no_foreign_word(kind: object) -> None:
    def check(node: dict[str, Any]) -> None:
        assert isinstance(node["type"], str)
        assert not {"$ref", "$defs", "anyOf", "allOf", "const", "title", "prefixItems"} & node.keys()
        assert not ("properties" in node and "additionalProperties" in node)
        for part in [*node.get("properties", {}).values(), node.get("items"), node.get("additionalProperties")]:
            if part is not None:
                check(part)

    check(structural(_with_a_field(kind)))


@given(STRUCTURAL)
def test_translating_changes_nothing_twice(kind: object) -> None:
    once = structural(_with_a_field(kind))
    assert structural(once) == once
