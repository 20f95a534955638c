import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.comparison import Comparison
from ephemeral_endpoints.features.checks.comparison.differences import (
    ABSENT,
    LARGEST,
    MOST_DEPTH,
    MOST_DIFFERENCES,
    Content,
    Difference,
    Kind,
    Rules,
    differences,
)

DEEP = "[" * (MOST_DEPTH + 5) + "%s" + "]" * (MOST_DEPTH + 5)
TOO_DEEP = b"[" * 100_000 + b"]" * 100_000

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)


def rules(**spec: Any) -> Rules:  # noqa: ANN401 - members of a spec
    return Rules.of(Comparison.model_validate({"with": {"endpoint": "main"}, **spec}))


def compared(base: str | bytes, head: str | bytes, **spec: Any) -> tuple[Difference, ...]:  # noqa: ANN401 - likewise
    contents = (each if isinstance(each, bytes) else each.encode() for each in (base, head))
    one, other = (Content(each, "application/json") for each in contents)
    return differences(one, other, rules(**spec))


@pytest.mark.parametrize(
    ("base", "head", "expected", "reason"),
    [
        ("1", "1.0", [], "a number has one value however it is written"),
        ('{"a":1,"b":2}', '{ "b": 2, "a": 1 }', [], "neither order of members nor space matters"),
        ("1", "2", [("", Kind.NUMBER, 1.0)], "an answer that is a number"),
        ('{"a":[{"b":1},{"b":2}]}', '{"a":[{"b":1},{"b":5}]}', [("/a/-/b", Kind.NUMBER, 3.0)], "within an array"),
        ("true", "1", [("", Kind.TYPE, None)], "to Python, but to nobody else, true is 1"),
        ("true", "false", [("", Kind.VALUE, None)], "truths are no numbers"),
        ("null", "0", [("", Kind.TYPE, None)], "null is no number"),
        ('"1"', "1", [("", Kind.TYPE, None)], "a text is no number"),
        ('{"a":{}}', '{"a":[]}', [("/a", Kind.TYPE, None)], "an object is no array"),
        ('{"a":1}', "{}", [("/a", Kind.MISSING, None)], "a member that is gone"),
        ("{}", '{"a":null}', [("/a", Kind.ADDED, None)], "null is a value"),
        ("[1]", "[1,2]", [("/-", Kind.ADDED, None)], "a longer array"),
        ("[1,2,3]", "[3,1,2]", [("", Kind.ORDER, None)], "the same elements in another order are one difference"),
        ("[1,1]", "[1,1]", [], "equal elements are in order"),
        ("[1,2]", "[2,2]", [("/-", Kind.NUMBER, 1.0)], "no other order: other elements"),
        ("NaN", "NaN", [], "no number is the same as no number"),
        ("NaN", "1", [("", Kind.NUMBER, None)], "which is at no distance of any number"),
        ("Infinity", "-Infinity", [("", Kind.NUMBER, None)], "nor is what is infinite"),
        ("1e308", "-1e308", [("", Kind.NUMBER, LARGEST)], "a distance beyond all numbers"),
        ("1" + "0" * 400, "2" + "0" * 400, [("", Kind.NUMBER, LARGEST)], "integers beyond all floating-point numbers"),
        ("9" * 5000, "8" * 5000, [("", Kind.BYTES, None)], "more digits than Python reads"),
        ('{"a":1,"a":2}', '{"a":2}', [("", Kind.BYTES, None)], "a member twice: it has no single meaning"),
        ("{", "{}", [("", Kind.BYTES, None)], "what is said to be JSON and is not"),
        ("{", "{", [], "nor is the other, and both are the same"),
        (TOO_DEEP, TOO_DEEP + b" ", [("", Kind.BYTES, None)], "nested more deeply than Python reads"),
        (DEEP % 1, DEEP % 2, [("/-" * MOST_DEPTH, Kind.VALUE, None)], "below the depth as a whole"),
        (DEEP % "NaN", DEEP % " NaN", [], "also there no number is no number"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value and len(value) < 60 else "",
)
def test_differences_are_found(
    base: str | bytes, head: str | bytes, expected: list[tuple[str, Kind, float | None]], reason: str
) -> None:
    found = compared(base, head)
    assert [(each.folded, each.kind, each.distance) for each in found] == expected, reason


@pytest.mark.parametrize(
    ("base", "head", "spec", "is_equal", "reason"),
    [
        (0.1, 0.1 + 1e-12, {}, True, "rounding"),
        (0.1, 0.1001, {}, False, "no rounding"),
        (2**53, 2**53 + 1, {"tolerances": [{"pointer": ""}]}, False, "integers are compared exactly"),
        (1, 1.5, {"tolerances": [{"pointer": "", "absolute": 0.5}]}, True, "as far as allowed"),
        (1, 1.51, {"tolerances": [{"pointer": "", "absolute": 0.5}]}, False, "farther"),
        (100, 110, {"tolerances": [{"pointer": "", "relative": 0.1}]}, True, "a share of the larger"),
        (110, 100, {"tolerances": [{"pointer": "", "relative": 0.1}]}, True, "either way"),
        (-100, 100, {"tolerances": [{"pointer": "", "relative": 1}]}, False, "the opposite is twice as far"),
        (1, 2, {"tolerances": [{"pointer": "/x", "absolute": 9}]}, False, "a tolerance elsewhere"),
        (1, 2, {"tolerances": [{"pointer": ""}, {"pointer": "", "absolute": 9}]}, False, "the first that matches"),
        (1, 2, {"ignore": [""]}, True, "ignored"),
    ],
)
def test_numbers_are_equal_within_their_tolerance(
    base: float,
    head: float,
    spec: dict[str, Any],
    *,
    is_equal: bool,
    reason: str,
) -> None:
    assert (compared(json.dumps(base), json.dumps(head), **spec) == ()) is is_equal, reason


@pytest.mark.parametrize(
    ("base", "head", "label", "expected", "reason"),
    [
        ('{"predictions":[{"label":"cat"}]}', '{"predictions":[{"label":"dog"}]}', None, True, "by its name"),
        ('{"predictions":["cat"]}', '{"predictions":["dog"]}', None, True, "elements have the name of the array"),
        ('"cat"', '"dog"', None, True, "a text alone"),
        ('{"text":"cat"}', '{"text":"dog"}', None, False, "another name"),
        ('{"label":1}', '{"label":2}', None, False, "a number, unless it is named"),
        ('{"label":1}', '{"label":2}', "/label", True, "a number that is named"),
        ('{"kind":"cat"}', '{"kind":"dog"}', "/kind", True, "another name that is named"),
        ('{"label":"cat"}', '{"label":"dog"}', "/kind", False, "no other than the named one"),
        ('{"label":"cat"}', "{}", "/label", True, "a label that is gone"),
        ('{"label":{"a":1}}', '{"label":[]}', "/label", False, "an object is no label"),
    ],
)
def test_labels_are_recognized(base: str, head: str, label: str | None, *, expected: bool, reason: str) -> None:
    [found] = compared(base, head, **({"label": label} if label else {}))
    assert found.is_label is expected, reason


def test_what_is_redacted_is_compared_and_marked_with_all_that_contains_it() -> None:
    spec = {"redact": ["/a/b"]}
    [inside] = compared('{"a":{"b":{"c":1}}}', '{"a":{"b":{"c":2}}}', **spec)
    [above] = compared('{"a":{"b":1}}', "{}", **spec)
    [beside] = compared('{"a":{"b":1,"x":1}}', '{"a":{"b":1,"x":2}}', **spec)
    [unreadable] = compared('{"a', '{"b', **spec)
    assert [each.is_redacted for each in (inside, above, beside, unreadable)] == [True, True, False, True]


def test_what_is_redacted_is_not_compared_with_a_revision_of_which_it_is_not_kept() -> None:
    spec = Comparison.model_validate({"with": {"previousRevision": True}, "redact": ["/a"]})
    one, other = (Content(each, "application/json") for each in (b'{"a":1}', b'{"a":2}'))
    assert differences(one, other, Rules.of(spec)) == ()


@pytest.mark.parametrize(
    ("base", "head", "expected", "reason"),
    [
        (("1,2", "text/csv"), ("1,2", "text/csv; charset=utf-8"), [], "parameters are no difference"),
        (("1,2", "text/csv"), ("1,3", "text/csv"), [Kind.BYTES], "what is no JSON is compared as bytes"),
        (("1", "text/csv"), ("1.0", "text/csv"), [Kind.BYTES], "also what could be read as JSON"),
        (('{"a":1}', "application/json"), ('{"a":1}', "text/html"), [Kind.CONTENT_TYPE], "another media type"),
        (('{"a":1}', "application/json"), ("<p>", "text/html"), [Kind.CONTENT_TYPE, Kind.BYTES], "a page of errors"),
        (('{"a":1}', "application/json"), ('{"a": 1}', "application/ld+json"), [Kind.CONTENT_TYPE], "both are JSON"),
    ],
)
def test_media_types_decide_how_answers_are_compared(
    base: tuple[str, str], head: tuple[str, str], expected: list[Kind], reason: str
) -> None:
    one, other = (Content(body.encode(), media_type) for body, media_type in (base, head))
    assert [each.kind for each in differences(one, other, Rules())] == expected, reason


def test_beginnings_are_compared_as_bytes() -> None:
    one, other = (Content(each, "application/json", is_cut=True) for each in (b'{"a":1', b'{"a":2'))
    assert [each.kind for each in differences(one, other, Rules())] == [Kind.BYTES]
    assert differences(one, one, Rules()) == ()


def test_no_more_differences_are_looked_for_than_are_of_use() -> None:
    assert len(compared(json.dumps([0] * 5000), json.dumps([1] * 5000))) == MOST_DIFFERENCES


@given(VALUES)
def test_an_answer_does_not_differ_from_itself(value: Any) -> None:  # noqa: ANN401 - any JSON
    assert compared(json.dumps(value), json.dumps(value, indent=1, sort_keys=True)) == ()


@given(VALUES, VALUES)
def test_base_and_head_may_be_exchanged(one: Any, other: Any) -> None:  # noqa: ANN401 - any JSON
    mirrored = {Kind.MISSING: Kind.ADDED, Kind.ADDED: Kind.MISSING}
    there = compared(json.dumps(one), json.dumps(other))
    back = compared(json.dumps(other), json.dumps(one))
    assert [(each.path, each.kind, each.distance) for each in there] == [
        (each.path, mirrored.get(each.kind, each.kind), each.distance) for each in back
    ]
    assert [(each.base is ABSENT, each.head is ABSENT) for each in there] == [
        (each.head is ABSENT, each.base is ABSENT) for each in back
    ]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5), st.floats(1, 1e6))
def test_all_elements_of_an_array_are_one_place(numbers: list[float], shift: float) -> None:
    head = [each + shift * max(1.0, abs(each)) for each in numbers]
    found = compared(json.dumps({"a": numbers}), json.dumps({"a": head}))
    assert {each.folded for each in found} <= {"/a/-", "/a"}
    assert all(0 <= each.relative <= 2 for each in found)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(0, 1), st.floats(0, 1e9))
def test_a_tolerance_is_symmetric(one: float, other: float, relative: float, absolute: float) -> None:
    spec = {"tolerances": [{"pointer": "", "relative": relative, "absolute": absolute}]}
    assert len(compared(json.dumps(one), json.dumps(other), **spec)) == len(
        compared(json.dumps(other), json.dumps(one), **spec)
    )
