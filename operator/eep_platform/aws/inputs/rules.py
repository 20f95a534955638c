"""What the input of a call is, and what a service answers to one that it does not take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Parameters = Mapping[str, Any]
"""The input of an operation by the names of its members."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """The code and the message of an error."""

    code: str
    message: str


InputRule = Callable[[Parameters], Rejection | None]
"""Judges an input that satisfies the model. Pure."""


def tags_of(given: Parameters) -> dict[str, str]:
    """The tags in an operation's input, whatever form the service uses."""
    tags = given.get("Tags", given.get("tags"))
    if isinstance(tags, Mapping):
        return {str(key): str(value) for key, value in tags.items()}
    return {each.get("Key", each.get("key")): each.get("Value", each.get("value")) for each in tags or ()}
