"""Whether a JSON Schema may be that of a forwarder, and whether samples match it. Pure, but can take for ever."""

from collections.abc import Iterator
from typing import Any, Final

from ephemeral_endpoints.features.routing.forwarder.json_text import NotJsonError, read_json
from ephemeral_endpoints.features.routing.forwarder.keywords import parts
from ephemeral_endpoints.features.routing.forwarder.nodes import Node, escaped
from ephemeral_endpoints.features.routing.forwarder.patterns import translate
from ephemeral_endpoints.features.routing.forwarder.schema import (
    Schema,
    SchemaError,
    TooDeepError,
    compile_schema,
    longest_text,
)
from ephemeral_endpoints.features.routing.forwarder.validation import is_json
from ephemeral_endpoints.features.routing.pattern_cost import TooCostlyError, degree

MAX_DEPTH: Final = 32
"""How many schemas may be within one another."""

MOST_STEPS: Final = 10**8
"""How many steps a search for a pattern may take, about a second."""

MOST_CHARACTERS: Final = 10_000
"""The longest text that is searched for a pattern whose search takes more than one step for each character."""


def compiled(schema: dict[str, Any]) -> Schema:
    """Compile a schema. Raises SchemaError, with the pointer, for one that a forwarder must not have."""
    _check_depth(schema)
    found = compile_schema(schema)
    if (pointer := endless(found)) is not None:
        raise SchemaError(pointer, "refers to itself without descending into the document, and would never end")
    for node in found.nodes:
        for pointer, pattern, longest in _patterns(node):
            _check_pattern(pointer, pattern, longest)
    return found


def endless(schema: Schema) -> str | None:
    """The pointer to a schema that refers to itself without descending into the document; None without one."""
    done: set[Node] = set()
    for start in schema.nodes:
        path = {start: iter(start.same_value)} if start not in done else {}
        while path:
            last = next(reversed(path))
            following = next((each for each in path[last] if each not in done), None)
            if following is None:
                done.add(last)
                del path[last]
            elif following in path:
                return following.pointer
            else:
                path[following] = iter(following.same_value)
    return None


def broken_sample(schema: Schema, body: str, content_type: str) -> str | None:
    """Why the body of a sample does not match the schema of requests, as the end of a sentence; None if it does."""
    if not is_json(content_type):
        return f"is {content_type}, and the schema takes JSON only"
    try:
        found = schema.violations(read_json(body.encode("utf-8", "surrogatepass")))
    except NotJsonError as error:
        return str(error)
    except TooDeepError:
        return "is nested too deeply"
    if not found:
        return None
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"does not match it: {found[0].pointer or 'the body'} {found[0].detail} ({found[0].keyword}){more}"


def _check_depth(schema: dict[str, Any]) -> None:
    level: list[tuple[str, Any]] = [("", schema)]
    for _ in range(MAX_DEPTH):
        level = [part for pointer, each in level if isinstance(each, dict) for part in parts(each, pointer)]
    if level:
        raise SchemaError(level[0][0], f"is within more than {MAX_DEPTH} other schemas")


def _patterns(node: Node) -> Iterator[tuple[str, str, float]]:
    """The regular expressions of a schema, each with the pointer and the greatest length of a text for it."""
    raw = node.raw
    if "pattern" in raw:
        yield f"{node.pointer}/pattern", raw["pattern"], longest_text(raw, "pattern")
    for pattern in raw.get("patternProperties", ()):
        pointer = f"{node.pointer}/patternProperties{escaped(pattern)}"
        yield pointer, pattern, longest_text(raw, "patternProperties")


def _check_pattern(pointer: str, pattern: str, longest: float) -> None:
    try:
        power = degree(translate(pattern))
    except TooCostlyError as error:
        raise SchemaError(pointer, f"{error}; use a simpler pattern") from error
    if power == 1:
        return
    most = min(MOST_CHARACTERS, int(MOST_STEPS ** (1 / power) + 0.5))
    if longest > most:
        remedy = "propertyNames.maxLength" if "/patternProperties/" in pointer else "maxLength"
        raise SchemaError(
            pointer,
            f"can take as long as the length of the text to the power of {power}: begin it with ^ and have no two "
            f"repeats in it that match the same, or set {remedy} to at most {most} beside it",
        )
