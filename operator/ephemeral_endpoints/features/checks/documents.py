"""JSON as models answer it: read strictly, looked up by pointers, compared and shown. Pure."""

import json
import math
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from ephemeral_endpoints.engine.redaction import redacted

SHOWN: Final = 120
"""How much of a value is shown, in characters."""

_PIECES: Final = 1024
"""How many tokens of a document are rendered at most before it is cut."""

Json = Any
"""What ``json.loads`` returns."""


class NotJsonError(ValueError):
    """A text is not the JSON that RFC 8259 and I-JSON (RFC 7493) allow. The message says why, without its content."""


class _Missing:
    """Stands for a value that is not there."""


MISSING: Final = _Missing()


def parse(content: bytes) -> Json:
    """The document of an answer. Raises NotJsonError.

    Duplicate names are refused, because programs disagree on which one counts. Numbers that are too large for a float
    become infinite, and are equal to nothing.
    """
    try:
        return json.loads(content.decode(), parse_constant=_refuse_constant, object_pairs_hook=_members)
    except UnicodeDecodeError as error:
        raise NotJsonError(f"it is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise NotJsonError(f"{error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise NotJsonError("it is nested too deeply") from error
    except NotJsonError:
        raise
    except ValueError as error:
        # https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation
        raise NotJsonError("it contains a number of too many digits") from error


def find(document: Json, pointer: str) -> Json:
    """The value at a JSON pointer (RFC 6901), or MISSING."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        match document:
            case dict() if name in document:
                document = document[name]
            case list() if _is_index(name) and int(name) < len(document):
                document = document[int(name)]
            case _:
                return MISSING
    return document


def pointer_of(steps: list[str | int]) -> str:
    """The JSON pointer of these steps."""
    return "".join("/" + str(each).replace("~", "~0").replace("/", "~1") for each in steps)


def equal(expected: Json, found: Json, tolerance: float = 0.0) -> bool:
    """Whether two JSON values are equal, numbers within ``tolerance``. What is not finite is equal to nothing.

    As in JSON, true is not 1, and 1 is 1.0. Recurses as deep as the shallower one is nested.
    """
    match expected, found:
        case (list(), list()):
            is_equal = len(expected) == len(found) and all(
                equal(one, other, tolerance) for one, other in zip(expected, found, strict=True)
            )
        case (dict(), dict()):
            is_equal = expected.keys() == found.keys() and all(
                equal(value, found[name], tolerance) for name, value in expected.items()
            )
        case _ if _is_number(expected) and _is_number(found):
            is_equal = _is_close(expected, found, tolerance)
        case _:
            is_equal = type(expected) is type(found) and bool(expected == found)
    return is_equal


def is_finite(value: Json) -> bool:
    """Whether it is a number that can be compared."""
    return _is_number(value) and _finite(value)


def shown(value: Json) -> str:
    """A value for people: as JSON on one line, shortened, printable, and without credentials."""
    if value is MISSING:
        return "nothing there"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is too large" if math.isinf(value) else "NaN"
    try:
        rendered = "".join(islice(json.JSONEncoder(ensure_ascii=False).iterencode(value), _PIECES))
    except RecursionError:
        return "a value that is nested too deeply"
    return line(rendered, SHOWN)


def line(text: str, most: int) -> str:
    """Text of a model on one line of at most so many characters, printable, and without credentials."""
    plain = "".join(each if each.isprintable() else " " for each in redacted(text))
    flat = " ".join(plain.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def _refuse_constant(name: str) -> None:
    raise NotJsonError(f"it contains {name}, which JSON does not have")


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members: dict[str, Json] = {}
    for name, value in pairs:
        if name in members:
            raise NotJsonError(f"an object has the name {shown(name)} twice")
        members[name] = value
    return members


def _is_index(text: str) -> bool:
    """RFC 6901, section 4: no leading zeros."""
    return text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0")


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(number: float) -> bool:
    return isinstance(number, int) or math.isfinite(number)


def _is_close(expected: float, found: float, tolerance: float) -> bool:
    if not (_finite(expected) and _finite(found)):
        return False
    # As they are written: in binary, 0.9 and 0.85 are further apart than 0.05.
    return expected == found or abs(_decimal(expected) - _decimal(found)) <= _decimal(tolerance)


def _decimal(number: float) -> Decimal:
    return Decimal(number) if isinstance(number, int) else Decimal(repr(number))
