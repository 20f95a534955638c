"""Requests into arrays and predictions into answers, as JSON and as CSV.

The model's measurements describe a valid request: JSON is validated with the schema that they give, and CSV rows and
plain arrays follow their order.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fastjsonschema
import numpy as np

from model.tables import Array

JSON = "application/json"
CSV = "text/csv"


class InvalidRequest(Exception):  # noqa: N818 (named as what the client sent, like the status it becomes)
    """A request that cannot be answered, by the client's fault.

    Attributes:
        status: the HTTP status that says so, 4xx.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the model said.

    Attributes:
        classes: the labels, in the order of the columns of `probabilities`.
        probabilities: shape (n, len(classes)); rows add up to 1.
        revision: git SHA of the model.
    """

    classes: tuple[str, ...]
    probabilities: Array
    revision: str

    @property
    def labels(self) -> list[str]:
        """The most probable class of each row."""
        return [self.classes[column] for column in self.probabilities.argmax(axis=1)]


def request_schema(columns: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of requests with measurements of these names."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Rows to classify",
        "description": f"One entry a row: the {len(columns)} measurements by name, or as an array in their order here.",
        "type": "object",
        "required": ["instances"],
        "additionalProperties": False,
        "properties": {
            "instances": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "if": {"type": "object"},
                    "then": {"$ref": "#/definitions/measurements"},
                    "else": {
                        "type": "array",
                        "minItems": len(columns),
                        "maxItems": len(columns),
                        "items": {"type": "number"},
                    },
                },
            }
        },
        "definitions": {
            "measurements": {
                "type": "object",
                "additionalProperties": False,
                "required": list(columns),
                "properties": {name: {"type": "number"} for name in columns},
            }
        },
    }


class Decoder:
    """Understands requests for measurements of some names. Safe to share between threads."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._validate = fastjsonschema.compile(request_schema(columns))
        self._decoders: dict[str, Callable[[str], Array]] = {JSON: self._from_json, CSV: self._from_csv}

    def decode(self, body: bytes, content_type: str | None) -> Array:
        """Returns the measurements of shape (n, columns), n at least 1, all finite.

        Raises:
            InvalidRequest: 415 for another content type than JSON or CSV, 400 for what does not parse or fit.
        """
        media_type = _media_type(content_type)
        if media_type not in self._decoders:
            raise InvalidRequest(415, f"Content-Type is {media_type or 'missing'}; send {JSON} or {CSV}")
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidRequest(400, f"the body is not UTF-8 (byte {error.start})") from error
        array = self._decoders[media_type](text)
        if not np.isfinite(array).all():
            row, column = np.argwhere(~np.isfinite(array))[0]
            raise InvalidRequest(400, f"row {row}: {self._columns[column]} is not a finite number")
        return array

    def _from_json(self, text: str) -> Array:
        try:
            document = json.loads(text)
            self._validate(document)
            return np.array([self._row(instance) for instance in document["instances"]], dtype=np.float64)
        except fastjsonschema.JsonSchemaValueException as error:
            raise InvalidRequest(400, error.message.replace("data", "the body", 1)) from error
        except RecursionError as error:
            raise InvalidRequest(400, "the body is nested too deeply") from error
        except OverflowError as error:
            raise InvalidRequest(400, "a number is too large") from error
        except ValueError as error:
            raise InvalidRequest(400, f"the body is not JSON: {error}") from error

    def _row(self, instance: Mapping[str, float] | Sequence[float]) -> Sequence[float]:
        return [instance[name] for name in self._columns] if isinstance(instance, Mapping) else instance

    def _from_csv(self, text: str) -> Array:
        rows: list[list[float]] = []
        try:
            for number, cells in enumerate(csv.reader(io.StringIO(text), strict=True)):
                if cells:
                    rows.append(self._cells(number, cells))
        except csv.Error as error:
            raise InvalidRequest(400, f"the body is not CSV: {error}") from error
        if not rows:
            raise InvalidRequest(400, f"the body holds no row; send {len(self._columns)} numbers a line")
        return np.array(rows, dtype=np.float64)

    def _cells(self, number: int, cells: list[str]) -> list[float]:
        if len(cells) != len(self._columns):
            expected = f"{len(self._columns)}: {', '.join(self._columns)}"
            raise InvalidRequest(400, f"row {number} has {len(cells)} columns, not {expected}")
        try:
            return [float(cell) for cell in cells]
        except ValueError as error:
            raise InvalidRequest(400, f"row {number} holds something else than numbers; send no header") from error


def negotiate(accept: str | None) -> str:
    """Returns the media type to answer with: the first acceptable one, JSON where the client does not care.

    Raises:
        InvalidRequest: 406, nothing that we speak is acceptable.
    """
    wanted = [_media_type(choice) for choice in (accept or "*/*").split(",")]
    for choice in wanted:
        if choice in _ENCODERS:
            return choice
        if choice in {"*/*", "application/*"}:
            return JSON
        if choice == "text/*":
            return CSV
    raise InvalidRequest(406, f"Accept is {', '.join(wanted)}; this model answers {JSON} or {CSV}")


def encode(predictions: Predictions, media_type: str) -> bytes:
    """Renders `predictions` as `media_type`, which `negotiate` returned.

    CSV rows are, without a header as SageMaker's algorithms do it: label, one probability per class, revision.
    """
    return _ENCODERS[media_type](predictions).encode()


def _media_type(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()


def _to_json(predictions: Predictions) -> str:
    rows: list[dict[str, Any]] = [
        {"label": label, "probabilities": dict(zip(predictions.classes, row, strict=True))}
        for label, row in zip(predictions.labels, predictions.probabilities.tolist(), strict=True)
    ]
    return json.dumps({"revision": predictions.revision, "predictions": rows})


def _to_csv(predictions: Predictions) -> str:
    buffer = io.StringIO()
    rows = zip(predictions.labels, predictions.probabilities.tolist(), strict=True)
    csv.writer(buffer, lineterminator="\n").writerows([label, *row, predictions.revision] for label, row in rows)
    return buffer.getvalue()


_ENCODERS: dict[str, Callable[[Predictions], str]] = {JSON: _to_json, CSV: _to_csv}
