"""Values of answers as text for people: short, without secrets and what does harm to a page or a terminal. Pure."""

import json
from typing import Any, Final

from ephemeral_endpoints.engine.redaction import MASK, redacted
from ephemeral_endpoints.features.checks.comparison.differences import ABSENT, Difference
from ephemeral_endpoints.features.checks.comparison.pointers import Path, pointer

POINTER_LENGTH: Final = 120
VALUE_LENGTH: Final = 160
LABEL_LENGTH: Final = 40

_READ: Final = 8192
"""So many characters of a value are looked at; those that are shown are far fewer."""


def shown(difference: Difference) -> tuple[str, str]:
    """What base and head answer at the place of a difference."""
    return _side(difference, difference.base), _side(difference, difference.head)


def label(difference: Difference) -> tuple[str, str]:
    """The labels of base and head."""
    base, head = (
        value if isinstance(value, str) and not difference.is_redacted else _side(difference, value)
        for value in (difference.base, difference.head)
    )
    return short(redacted(base), LABEL_LENGTH), short(redacted(head), LABEL_LENGTH)


def place(path: Path) -> str:
    """The JSON pointer of a place."""
    return short(pointer(path), POINTER_LENGTH)


def short(text: str, most: int) -> str:
    """The text on one line of printable characters, at most so many of them."""
    line = "".join(each if each.isprintable() else " " for each in text[:_READ])
    flat = " ".join(line.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def _side(difference: Difference, value: Any) -> str:
    if value is ABSENT:
        return value.value
    if difference.is_redacted or (isinstance(value, str) and _is_secret(difference.path)):
        return MASK
    return short(redacted(_text(value)), VALUE_LENGTH)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value[:_READ].decode(errors="replace")
    return json.dumps(value, ensure_ascii=False)[:_READ]


def _is_secret(path: Path) -> bool:
    """Whether the name of the member says that its value is a secret."""
    name = next((each for each in reversed(path) if isinstance(each, str)), "")
    return MASK in redacted(f"{name[:LABEL_LENGTH]}: {'x' * 8}")
