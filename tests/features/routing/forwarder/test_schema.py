"""The validator against the official suite (see json_schema_suite/README.md), and against jsonschema-rs."""

import io
import json
import socket
import sys
import tarfile
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ephemeral_endpoints.features.routing.forwarder import keywords as implementation
from ephemeral_endpoints.features.routing.forwarder.formats import FORMATS
from ephemeral_endpoints.features.routing.forwarder.schema import (
    DIALECT,
    MOST_VIOLATIONS,
    SchemaError,
    TooDeepError,
    compile_schema,
)

SUITE = Path(__file__).with_name("json_schema_suite") / "suite.tar.xz"
OTHER_DIALECTS = {
    "applicator vocabulary still works",
    "no validation: valid number",
    "no validation: invalid number, but it still validates",
    "string value",
    "number value",
}
"""The five required tests that are not passed: they name dialects of their own by ``$schema``, which are refused."""

REQUIRED = 1299


@cache
def suite() -> dict[str, Any]:
    with tarfile.open(SUITE) as archive:
        files = {each.name.removeprefix("./"): archive.extractfile(each) for each in archive if each.isfile()}
        return {name: json.load(io.BytesIO(file.read())) for name, file in files.items() if file}


@cache
def others() -> dict[str, Any]:
    """The documents that the suite refers to, by their URIs, but for those of other dialects."""
    found = {}
    for name, document in suite().items():
        folder, _, rest = name.partition("/")
        if folder == "remotes" and document.get("$schema", DIALECT) == DIALECT:
            found[f"http://localhost:1234/draft2020-12/{rest}"] = document
        if folder == "metaschema":
            found[document["$id"]] = document
    return found


def failures(folder: str, *, asserts_formats: bool) -> Iterator[tuple[str, str]]:
    """The file and the description of each test that is not passed."""
    for name, groups in suite().items():
        if name.startswith(f"{folder}/"):
            for group in groups:
                try:
                    schema = compile_schema(group["schema"], others=others(), asserts_formats=asserts_formats)
                except SchemaError:
                    schema = None
                for test in group["tests"]:
                    if (
                        schema is None
                        or schema.is_valid(test["data"]) != test["valid"]
                        or bool(schema.violations(test["data"])) == test["valid"]
                    ):
                        yield name.rpartition("/")[2], test["description"]


def test_all_required_tests_of_the_official_suite_are_passed_but_those_of_other_dialects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the validator opens a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    groups = [group for name, each in suite().items() if name.startswith("required/") for group in each]
    assert sum(len(each["tests"]) for each in groups) == REQUIRED
    assert sorted(failures("required", asserts_formats=False)) == sorted(
        ("vocabulary.json", each) for each in OTHER_DIALECTS
    )


def test_the_asserted_formats_and_patterns_are_those_of_the_official_suite() -> None:
    groups = {name: each for name, each in suite().items() if name.startswith("optional/")}
    assert {group["schema"].get("format") for each in groups.values() for group in each} >= FORMATS.keys()
    # The format "regex" is none of ours.
    of_regex = {
        test["description"]
        for group in groups["optional/ecmascript-regex.json"]
        if "format" in group["schema"]
        for test in group["tests"]
    }
    assert [each for each in failures("optional", asserts_formats=True) if each[1] not in of_regex] == []


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 30) | st.floats(-3, 30, width=16) | st.text("ab1é", max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
COUNTS = st.integers(0, 3)


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    members = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    names = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
    schemas = st.lists(inner, min_size=1, max_size=3)
    types = st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string"])
    possible: dict[str, st.SearchStrategy[Any]] = {
        "type": types | st.lists(types, min_size=1, max_size=2, unique=True),
        "enum": st.lists(DOCUMENTS, min_size=1, max_size=3),
        "const": DOCUMENTS,
        "multipleOf": st.sampled_from([1, 2, 0.5, 0.1, 3]),
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), st.integers(-3, 10)),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), COUNTS),
        **dict.fromkeys(("minProperties", "maxProperties", "minContains", "maxContains"), COUNTS),
        "pattern": st.sampled_from(["^a", "b$", "[0-9]", "^\\w+$", "^.{2}$", "a|1"]),
        "uniqueItems": st.booleans(),
        "required": names,
        "properties": members,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", "[bc]"]), inner, max_size=2),
        "dependentRequired": st.dictionaries(st.sampled_from("abc"), names, max_size=2),
        "dependentSchemas": members,
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), schemas),
        **dict.fromkeys(("additionalProperties", "propertyNames", "items", "contains", "not"), inner),
        **dict.fromkeys(("if", "then", "else", "unevaluatedItems", "unevaluatedProperties"), inner),
        "$ref": st.sampled_from(["#/$defs/x", "#y"]),
    }
    chosen = st.lists(st.sampled_from(sorted(possible)), max_size=4, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: possible[name] for name in names}))


SCHEMAS = st.recursive(st.booleans() | keywords(st.booleans()), keywords, max_leaves=6)
FREE = keywords(st.booleans() | keywords(st.booleans())).filter(lambda schema: "$ref" not in json.dumps(schema))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(SCHEMAS, FREE, FREE, st.lists(DOCUMENTS, min_size=5, max_size=5))
def test_documents_are_valid_for_it_exactly_if_they_are_for_jsonschema_rs(
    root: dict[str, Any] | bool,  # noqa: FBT001 - a schema
    one: dict[str, Any],
    other: dict[str, Any],
    documents: list[Any],
) -> None:
    body = root if isinstance(root, dict) else {"not": {}}
    text = json.dumps({**body, "$defs": {"x": one, "y": {**other, "$anchor": "y"}}})
    oracle, ours = jsonschema_rs.Draft202012Validator(json.loads(text)), compile_schema(json.loads(text))
    for document in documents:
        expected = oracle.is_valid(document)
        assert ours.is_valid(document) == expected, (text, document)
        assert bool(ours.violations(document)) != expected, (text, document)


@pytest.mark.parametrize(("step", "is_valid"), [(0.5, True), (0.75, False), (10**399, True), (1e-320, True)])
def test_numbers_beyond_those_of_a_float_are_numbers(step: float, is_valid: bool) -> None:  # noqa: FBT001 - a table
    assert compile_schema({"multipleOf": step, "minimum": 0.5}).is_valid(10**400) is is_valid


def test_no_text_that_is_too_long_is_searched_for_a_pattern() -> None:
    """How long a search can take is judged by the greatest length of the texts: beyond it, nothing is found."""
    names = {"patternProperties": {"^a+$": False}, "propertyNames": {"maxLength": 3}}
    text = compile_schema({"pattern": "^a+$", "maxLength": 3})
    assert [text.is_valid("a" * length) for length in (3, 4)] == [True, False]
    assert {each.keyword for each in text.violations("aaaa")} == {"maxLength", "pattern"}
    assert {each.keyword for each in compile_schema(names).violations({"aaa": 1})} == {"patternProperties"}
    assert {each.keyword for each in compile_schema(names).violations({"aaaa": 1})} == {"propertyNames"}
    others = compile_schema({**names, "patternProperties": {"^a+$": True}, "additionalProperties": False})
    assert {each.keyword for each in others.violations({"aaaa": 1})} == {"additionalProperties", "propertyNames"}


def test_numbers_of_a_document_do_not_collide() -> None:
    """Python hashes all of these to zero, and a set of them takes the square of their number."""
    numbers = [factor * sys.hash_info.modulus for factor in range(100)]
    assert len({hash(implementation._hashable(each)) for each in numbers}) > 90  # noqa: SLF001 - no result shows it
    unique = compile_schema({"uniqueItems": True})
    assert unique.is_valid(numbers)
    assert not unique.is_valid([2**70, float(2**70)])
    assert not unique.is_valid([-(2**70), [], -float(2**70)])


def test_all_characters_are_looked_at_once_for_all_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, category = [0], unicodedata.category

    def counted(character: str) -> str:
        looked[0] += 1
        return category(character)

    monkeypatch.setattr(unicodedata, "category", counted)
    separators = compile_schema({"anyOf": [{"pattern": f"^\\p{{Z{each}}}$"} for each in "lps"]})
    assert [separators.is_valid(each) for each in ("\u2028", "\u2029", "\u00a0", "a")] == [True, True, True, False]
    assert looked[0] <= 0x34000 + 0x200 + 1


def test_violations_have_the_pointer_the_keyword_and_no_value() -> None:
    schema = compile_schema(
        {
            "type": "object",
            "required": ["text", "language"],
            "properties": {
                "text": {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"},
                "n": {"minimum": 1, "multipleOf": 2},
                "list/of~all": {"items": {"enum": ["a"]}, "uniqueItems": True, "contains": {"const": 3}},
                "either": {"anyOf": [{"type": "null"}, {"type": "integer"}], "oneOf": [True, True]},
                "email": {"format": "email"},
            },
            "additionalProperties": False,
            "propertyNames": {"maxLength": 11},
            "dependentRequired": {"n": ["m"]},
        }
    )
    secret = "SECRET"  # noqa: S105 - what must not be repeated
    document = {
        "text": secret,
        "n": -7,
        "list/of~all": [secret, secret],
        "either": secret,
        "email": secret,
        "more": secret,
        "a name that is too long": 1,
    }
    found = schema.violations(document)
    assert secret not in str(found)
    assert sorted((each.pointer, each.keyword) for each in found) == [
        ("/a name that is too long", "additionalProperties"),
        ("/a name that is too long", "propertyNames"),
        ("/either", "anyOf"),
        ("/either", "oneOf"),
        ("/email", "format"),
        ("/language", "required"),
        ("/list~1of~0all", "contains"),
        ("/list~1of~0all", "uniqueItems"),
        ("/list~1of~0all/0", "enum"),
        ("/list~1of~0all/1", "enum"),
        ("/m", "dependentRequired"),
        ("/more", "additionalProperties"),
        ("/n", "minimum"),
        ("/n", "multipleOf"),
        ("/text", "maxLength"),
        ("/text", "pattern"),
    ]


def test_at_most_twenty_violations_are_found_and_their_pointers_are_bounded() -> None:
    schema = compile_schema({"items": {"properties": {"x" * 5000: False}}})
    found = schema.violations([{"x" * 5000: 1}] * 100)
    assert len(found) == MOST_VIOLATIONS
    assert max(len(each.pointer) for each in found) == 256


def test_a_document_that_is_nested_deeper_than_the_stack_is_told_as_such() -> None:
    schema = compile_schema({"items": {"$ref": "#"}, "maxItems": 1})
    document: Any = []
    for _ in range(100_000):
        document = [document]
    with pytest.raises(TooDeepError):
        schema.is_valid(document)
    with pytest.raises(TooDeepError):
        schema.violations(document)


@pytest.mark.parametrize(
    ("schema", "pointer", "words"),
    [
        ([], "", "an object, true or false"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", "a list in items is prefixItems"),
        ({"properties": {"a": {"items": [{}]}}}, "/properties/a/items", "prefixItems"),
        ({"dependencies": {}}, "/dependencies", "dependentRequired"),
        ({"$ref": "https://example.com/x.json"}, "/$ref", "nothing is fetched"),
        ({"$ref": "other.json#/a"}, "/$ref", "nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, "/$ref", "nothing is fetched"),
        ({"$ref": "#/$defs/x"}, "/$ref", "does not exist"),
        ({"$ref": "#x"}, "/$ref", "does not exist"),
        ({"$defs": {"a": {"type": "text"}}}, "/$defs/a/type", "one or several of array"),
        ({"$defs": {"a": {"type": []}}}, "/$defs/a/type", "one or several of array"),
        ({"if": {"minLength": -1}}, "/if/minLength", "a whole number"),
        ({"maxItems": 1.5}, "/maxItems", "a whole number"),
        ({"maximum": True}, "/maximum", "a number"),
        ({"multipleOf": 0}, "/multipleOf", "greater than 0"),
        ({"required": "a"}, "/required", "a list of names"),
        ({"allOf": {}}, "/allOf", "a list of schemas"),
        ({"properties": {"a/b": 1}}, "/properties/a~1b", "an object, true or false"),
        ({"pattern": "("}, "/pattern", "no regular expression"),
        ({"patternProperties": {"[": {}}}, "/patternProperties/[", "a set of characters does not end"),
        ({"pattern": "\\p{Script=Greek}"}, "/pattern", "the Unicode property Script=Greek is not supported"),
        ({"$id": "x#y"}, "/$id", "must not have a fragment"),
        ({"$id": "http://a/", "$defs": {"a": {"$ref": "//["}}}, "/$defs/a/$ref", "is no reference: //["),
        ({"$id": "http://a/", "$defs": {"a": {"$id": "//["}}}, "/$defs/a/$id", "is no reference: //["),
    ],
)
def test_what_is_no_schema_is_refused_with_the_pointer_to_the_place(schema: object, pointer: str, words: str) -> None:
    with pytest.raises(SchemaError) as caught:
        compile_schema(schema)
    assert caught.value.pointer == pointer
    assert words in str(caught.value)
