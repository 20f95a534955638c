import csv
import json
from pathlib import Path

import fastjsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model.codec import CSV, JSON, Decoder, InvalidRequest, Predictions, encode, negotiate, request_schema
from model.datasets import load

MODEL = Path(__file__).parents[2] / "model"
SAMPLES = MODEL / "samples"
TYPES = {".json": JSON, ".csv": CSV}
COLUMNS = load("wine").columns

decode = Decoder(COLUMNS).decode

finite = st.floats(allow_nan=False, allow_infinity=False)
rows = st.lists(st.lists(finite, min_size=13, max_size=13), min_size=1, max_size=5)


@pytest.mark.parametrize("sample", sorted((SAMPLES / "valid").iterdir()), ids=lambda path: path.name)
def test_valid_samples_are_understood(sample: Path) -> None:
    array = decode(sample.read_bytes(), TYPES[sample.suffix])
    assert array.shape[1] == 13
    assert array[0][0] == 14.23


def test_the_published_schema_is_that_of_the_columns_of_wine() -> None:
    assert json.loads((MODEL / "schemas" / "request.schema.json").read_text()) == request_schema(COLUMNS)


@pytest.mark.parametrize("sample", sorted((SAMPLES / "invalid").iterdir()), ids=lambda path: path.name)
def test_invalid_samples_are_the_clients_fault(sample: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(sample.read_bytes(), TYPES[sample.suffix])
    assert caught.value.status == 400


@given(rows)
def test_every_way_to_write_rows_means_the_same(values: list[list[float]]) -> None:
    as_json = json.dumps({"instances": values}).encode()
    named = json.dumps({"instances": [dict(zip(COLUMNS, row, strict=True)) for row in values]}).encode()
    as_csv = "\n".join(",".join(map(repr, row)) for row in values).encode()
    decoded = [decode(as_json, JSON), decode(named, f"{JSON}; charset=utf-8"), decode(as_csv, CSV)]
    assert all(np.array_equal(array, np.array(values)) for array in decoded)


@given(st.binary(max_size=20), st.sampled_from([JSON, CSV, "text/html", None]))
def test_no_body_whatever_is_our_fault(body: bytes, content_type: str | None) -> None:
    # Any other exception would be a 500, and none of these bodies holds thirteen numbers.
    with pytest.raises(InvalidRequest) as caught:
        decode(body, content_type)
    assert 400 <= caught.value.status < 500


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=20))
def test_no_json_whatever_is_our_fault(value: object) -> None:
    with pytest.raises(InvalidRequest):
        decode(json.dumps({"instances": value, "more": value}).encode(), JSON)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        pytest.param(b'{"instances":' + b"[" * 100_000, "nested", id="nesting beyond the parser"),
        pytest.param(b'{"instances": [[1e999' + b", 1" * 12 + b"]]}", "finite", id="a float beyond its range"),
        pytest.param(b'{"instances": [[1' + b"0" * 400 + b", 1" * 12 + b"]]}", "too large", id="an integer beyond it"),
        pytest.param(b'{"instances": [[1' + b"0" * 5000 + b", 1" * 12 + b"]]}", "JSON", id="one that Python refuses"),
        pytest.param(b"\xff\xfe", "UTF-8", id="another encoding"),
    ],
)
def test_extreme_bodies_are_refused_with_the_reason(body: bytes, complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        decode(body, JSON)


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        pytest.param(None, JSON, id="no wish"),
        pytest.param("*/*", JSON, id="anything"),
        pytest.param("text/csv", CSV, id="CSV"),
        pytest.param("image/png, text/csv;q=0.5", CSV, id="the first that we speak"),
        pytest.param("TEXT/CSV", CSV, id="media types know no case"),
    ],
)
def test_accept_is_honoured(accept: str | None, answer: str) -> None:
    assert negotiate(accept) == answer


def test_what_cannot_be_answered_is_not_acceptable() -> None:
    with pytest.raises(InvalidRequest) as caught:
        negotiate("image/png")
    assert caught.value.status == 406


def test_answers_follow_their_schema_in_json_and_say_the_same_in_csv() -> None:
    predictions = Predictions(
        ("class_0", "class_1", "class_2"), np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]]), "abc123"
    )
    answer = json.loads(encode(predictions, JSON))
    fastjsonschema.compile(json.loads((MODEL / "schemas" / "response.schema.json").read_text()))(answer)
    lines = list(csv.reader(encode(predictions, CSV).decode().splitlines()))
    assert [line[0] for line in lines] == [each["label"] for each in answer["predictions"]] == ["class_0", "class_2"]
    assert lines[0][1:] == ["0.7", "0.2", "0.1", "abc123"]
