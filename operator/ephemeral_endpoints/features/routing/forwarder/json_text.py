"""JSON as all programs read it alike (RFC 8259, I-JSON of RFC 7493); anything else is refused. Pure.

A request is passed on as it came: what is checked here must be what the model reads.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ephemeral_endpoints.features.routing.forwarder.nodes import Json

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class NotJsonError(ValueError):
    """A text is not such JSON. The message says why as the end of a sentence, without what is in it."""


def read_json(content: bytes) -> Json:
    """The document. Raises NotJsonError."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise NotJsonError(f"is not UTF-8 at byte {error.start}") from error
    try:
        document = json.loads(text, object_pairs_hook=_members, parse_constant=_refuse_constant, parse_float=_finite)
        if _SURROGATE.search(text):
            json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        told = (
            "begins with a byte order mark"
            if text.startswith("\ufeff")
            else f"is not JSON: {error.msg} at character {error.pos}"
        )
        raise NotJsonError(told) from error
    except UnicodeEncodeError as error:
        raise NotJsonError("contains half of a surrogate pair") from error
    except RecursionError as error:
        raise NotJsonError("is nested too deeply") from error
    except NotJsonError:
        raise
    except ValueError as error:
        # https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation
        raise NotJsonError("contains a number of too many digits") from error
    return document


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise NotJsonError("has a name twice in an object")
    return members


def _refuse_constant(name: str) -> None:
    raise NotJsonError(f"contains {name}, which JSON does not have")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NotJsonError("contains a number that is too large")
    return number
