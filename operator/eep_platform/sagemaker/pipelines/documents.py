"""JSON as the standard has it, for definitions and property files; pure."""

import json
import math
from typing import Any


def read(text: str | bytes) -> Any:  # noqa: ANN401 - as many types as JSON
    """The value of a document; raises ValueError for what is no JSON, such as NaN and numbers without an end."""
    return json.loads(text, parse_constant=_no_number, parse_float=_number)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a JSON value")


def _number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)
