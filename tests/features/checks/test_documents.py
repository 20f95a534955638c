import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.checks.documents import (
    MISSING,
    NotJsonError,
    equal,
    find,
    line,
    parse,
    pointer_of,
    shown,
)

DOCUMENT = {"a": {"b": [10, {"c": None}]}, "x/y": 1, "m~n": 2, "": 3, "01": 4}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
NUMBERS = st.integers(-1000, 1000) | st.floats(-1000, 1000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"<html>", "Expecting value at character 0", id="HTML"),
        pytest.param(b"", "Expecting value at character 0", id="nothing"),
        pytest.param(b'{"a": 1} x', "Extra data at character 9", id="more than a document"),
        pytest.param(b'"\xff"', "it is not UTF-8 at byte 1", id="another encoding"),
        pytest.param('{"a": 1}'.encode("utf-16"), "it is not UTF-8 at byte 0", id="UTF-16"),
        pytest.param(b"[1, NaN]", "it contains NaN, which JSON does not have", id="Python's json.dumps(nan)"),
        pytest.param(b"-Infinity", "it contains -Infinity", id="Python's json.dumps(-inf)"),
        pytest.param(b'{"a": 1, "b": {"c": 1, "c": 2}}', 'an object has the name "c" twice', id="which one counts?"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, "it is nested too deeply", id="deeper than the stack"),
        pytest.param(b"1" * 5000, "it contains a number of too many digits", id="minutes of arithmetic"),
    ],
)
def test_what_is_no_json_is_refused_with_the_reason(content: bytes, message: str) -> None:
    with pytest.raises(NotJsonError) as caught:
        parse(content)
    assert message in str(caught.value)


def test_a_hundred_thousand_names_are_read_at_once_although_the_last_one_repeats() -> None:
    names = ",".join(f'"n{number}":0' for number in range(100_000))
    with pytest.raises(NotJsonError, match='"n99999" twice'):
        parse(f'{{{names},"n99999":1}}'.encode())


@given(JSON)
def test_what_json_writes_is_read_as_it_was(document: Any) -> None:  # noqa: ANN401 - JSON
    assert equal(document, parse(json.dumps(document).encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize(
    ("pointer", "expected", "reason"),
    [
        ("", DOCUMENT, "the whole document"),
        ("/a/b/0", 10, "an index"),
        ("/a/b/1/c", None, "null is a value"),
        ("/x~1y", 1, "~1 is a slash"),
        ("/m~0n", 2, "~0 is a tilde"),
        ("/", 3, "a name that is empty"),
        ("/01", 4, "digits are a name in an object"),
        ("/a/b/01", MISSING, "an index has no leading zero"),
        ("/a/b/2", MISSING, "behind the end"),
        ("/a/b/-", MISSING, "the place behind the end"),
        ("/a/b/-1", MISSING, "not from the end, as in Python"),
        ("/a/b/\N{ARABIC-INDIC DIGIT ONE}", MISSING, "other scripts have digits too"),
        ("/a/b/0/0", MISSING, "within a number"),
        ("/A", MISSING, "names are case-sensitive"),
    ],
)
def test_a_pointer_leads_where_rfc_6901_says(pointer: str, expected: object, reason: str) -> None:
    assert find(DOCUMENT, pointer) == expected, reason


@given(st.lists(st.text() | st.integers(0, 5), max_size=4), JSON)
def test_a_pointer_that_was_made_leads_to_its_place(steps: list[str | int], value: Any) -> None:  # noqa: ANN401 - JSON
    document = value
    for step in reversed(steps):
        document = {step: document} if isinstance(step, str) else [None] * step + [document]
    assert find(document, pointer_of(steps)) == value


@pytest.mark.parametrize(
    ("expected", "found", "tolerance", "is_equal", "reason"),
    [
        (1, 1.0, 0, True, "one number, written in two ways"),
        (1, True, 0, False, "a number is no truth value"),
        (0, False, 0, False, "likewise"),
        (True, True, 0, True, "a truth value"),
        (None, False, 0, False, "nothing is not false"),
        ("1", 1, 0, False, "a text is no number"),
        (0.9, 0.85, 0.05, True, "as it is written, not as it is in binary"),
        (0.9, 0.8499, 0.05, False, "a little more"),
        ([1, 2], [1, 2.04], 0.05, True, "within a list"),
        ([1, 2], [2, 1], 0, False, "the order of a list"),
        ([1], [1, 2], 0, False, "a longer list"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, 0, True, "objects have no order"),
        ({"a": 1}, {"a": 1, "b": None}, 0, False, "a further member"),
        ([], {}, 0, False, "an empty list is no empty object"),
        (math.nan, math.nan, 1, False, "NaN is equal to nothing"),
        (math.inf, math.inf, 1, False, "a number that is too large could be any"),
        (1, math.inf, math.inf, False, "not even with every tolerance"),
        (10**400, 10**400, 0, True, "a number that no float can be"),
        (10**400, 1.5, 1, False, "compared with one"),
    ],
)
def test_json_is_equal_by_value(
    expected: object, found: object, tolerance: float, *, is_equal: bool, reason: str
) -> None:
    assert equal(expected, found, tolerance) is is_equal, reason


@given(JSON)
def test_a_document_is_equal_to_itself(document: Any) -> None:  # noqa: ANN401 - JSON
    assert equal(document, document)


@given(JSON, JSON, st.floats(0, 10))
def test_it_does_not_matter_which_is_expected_and_a_tolerance_makes_more_equal(
    one: Any,  # noqa: ANN401 - JSON
    other: Any,  # noqa: ANN401 - JSON
    tolerance: float,
) -> None:
    assert equal(one, other, tolerance) == equal(other, one, tolerance)
    assert not equal(one, other) or equal(one, other, tolerance)


@given(JSON, JSON)
def test_without_a_tolerance_they_are_equal_if_they_are_written_alike(one: Any, other: Any) -> None:  # noqa: ANN401 - JSON
    def written(value: Any) -> str:  # noqa: ANN401 - JSON
        def plain(part: Any) -> Any:  # noqa: ANN401 - JSON
            match part:
                case list():
                    return [plain(each) for each in part]
                case dict():
                    return {name: plain(each) for name, each in part.items()}
                case float() if part.is_integer():
                    return int(part)
                case _:
                    return part

        return json.dumps(plain(value), sort_keys=True)

    assert equal(one, other) == (written(one) == written(other))


@given(NUMBERS, NUMBERS, st.floats(0, 100))
def test_numbers_are_equal_within_the_tolerance(one: float, other: float, tolerance: float) -> None:
    distance = abs(one - other)
    if abs(distance - tolerance) > 1e-6:
        assert equal(one, other, tolerance) == (distance <= tolerance)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("positive", '"positive"'),
        (None, "null"),
        (MISSING, "nothing there"),
        (math.inf, "a number that is too large"),
        ({"a": [1, True]}, '{"a": [1, true]}'),
        ("token=abcdefgh1234", '"token=***"'),
        ("a\n\x1b[31mb\u202e", '"a\\n\\u001b[31mb "'),
    ],
)
def test_a_value_is_shown_as_json_without_secrets_and_without_tricks(value: object, text: str) -> None:
    assert shown(value) == text


@given(JSON | st.text(min_size=200))
def test_whatever_is_shown_is_one_short_printable_line(value: Any) -> None:  # noqa: ANN401 - JSON
    text = shown(value)
    assert 0 < len(text) <= 120
    assert text.isprintable()


def test_a_large_document_is_not_rendered_whole() -> None:
    assert shown([["word"] * 10] * 100_000).endswith("…")
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(nested) == "a value that is nested too deeply"


def test_a_line_is_cut_after_its_secrets_are_masked() -> None:
    assert line("password: hunter2hunter2 and so on", 20) == "password: *** and s…"
