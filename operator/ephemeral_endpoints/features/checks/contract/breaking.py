"""Whether what matches one JSON Schema also matches another one. Pure, but can take for ever.

Callers of the base send what its request schema allows: the head's has to allow that too. They take what its response
schema allows: the head's must not allow more. In general that cannot be decided; here it is for what schemas of APIs
are made of, and everything else is told as unclear. Both schemas compile.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from ephemeral_endpoints.features.routing.forwarder.nodes import escaped
from ephemeral_endpoints.features.routing.forwarder.schema import SchemaError, TooDeepError, compile_schema

MOST_PAIRS: Final = 5000
"""How many places are compared at most."""

MOST_TOLD: Final = 20

_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
_ANNOTATIONS: Final = frozenset(
    {
        *("$anchor", "$comment", "$defs", "$id", "$schema", "$vocabulary", "contentEncoding", "contentMediaType"),
        *("contentSchema", "default", "definitions", "deprecated", "description", "examples", "readOnly", "title"),
        "writeOnly",
    }
)
_OPAQUE: Final = frozenset(
    {
        *("$dynamicAnchor", "$dynamicRef", "allOf", "contains", "dependentRequired", "dependentSchemas", "else", "if"),
        *("maxContains", "minContains", "not", "patternProperties", "propertyNames", "then", "unevaluatedItems"),
        "unevaluatedProperties",
    }
)
"""Keywords that are compared as they are written only."""

_STRUCTURE: Final = frozenset({"additionalProperties", "items", "prefixItems", "properties"})
_LEAST: Final = {"minLength": "string", "minItems": "array", "minProperties": "object"}
_MOST: Final = {"maxLength": "string", "maxItems": "array", "maxProperties": "object"}
_WITNESSES: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    0.5,
    10**9,
    "",
    "a",
    "A",
    "0",
    " ",
    "a" * 40,
    "é",
    [],
    [1],
    ["a"],
    {},
)

Schema = Any
"""An object, true or false."""


@dataclass(frozen=True, slots=True)
class Change:
    """A place in a schema, and what is different there. ``pointer`` is empty for the schema as a whole."""

    pointer: str
    message: str


@dataclass(slots=True)
class Difference:
    """What matches the one schema and not the other, and what may or may not."""

    breaks: list[Change] = field(default_factory=list)
    unclear: list[Change] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.breaks or self.unclear)

    def add(self, other: "Difference", *, is_certain: bool) -> None:
        """Take over what was found within; breaks are unclear where the place may not be reached."""
        (self.breaks if is_certain else self.unclear).extend(other.breaks)
        self.unclear.extend(other.unclear)


def narrowed(before: Schema, after: Schema) -> Difference:
    """Where ``after`` refuses what matches ``before``."""
    found = _Comparison(before, after).compare(before, after, "")
    return Difference(found.breaks[:MOST_TOLD], found.unclear[:MOST_TOLD])


@dataclass(slots=True)
class _Comparison:
    """A comparison of two documents. ``sub`` is the one whose matches have to match ``sup``."""

    sub: Schema
    sup: Schema
    pairs: set[tuple[int, int]] = field(default_factory=set)

    def compare(self, sub: Schema, sup: Schema, pointer: str) -> Difference:  # noqa: PLR0911 - cases in their order
        """Whether everything that matches ``sub`` matches ``sup``."""
        sub, sup = _followed(sub, self.sub), _followed(sup, self.sup)
        if _is_free(sup) or sub is False or (id(sub), id(sup)) in self.pairs:
            return Difference()
        if len(self.pairs) >= MOST_PAIRS:
            return Difference(unclear=[Change(pointer, "the schemas are too large to be compared")])
        self.pairs.add((id(sub), id(sup)))
        if sup is False:
            return Difference([Change(pointer, "nothing is allowed here any more")])
        if self._are_alike(sub, sup):
            return Difference()
        if isinstance(sub, dict) and (values := _values(sub)) is not None:
            return self._listed(values, sub, sup, pointer)
        if isinstance(sub, dict) and (alternatives := _alternatives(sub)):
            return self._each(alternatives, sub, sup, pointer)
        return self._keywords({} if sub is True else sub, sup, pointer)

    def _keywords(self, sub: dict[str, Any], sup: dict[str, Any], pointer: str) -> Difference:
        found = Difference()
        is_certain = not _OPAQUE & sub.keys()
        types = _types(sub)
        for name in sup.keys() - _ANNOTATIONS:
            # Some depend on others; and what is written alike need not refer to the same.
            if name in _STRUCTURE or name not in sub or not self._are_alike({name: sub[name]}, {name: sup[name]}):
                found.add(self._keyword(name, sub, sup, pointer, types), is_certain=is_certain)
        if found.unclear and not found.breaks and (told := self._witness(sub, sup)):
            return Difference([Change(each.pointer, told) for each in found.unclear[:1]], found.unclear[1:])
        return found

    def _keyword(  # noqa: PLR0911 - a table
        self, name: str, sub: dict[str, Any], sup: dict[str, Any], pointer: str, types: frozenset[str]
    ) -> Difference:
        at, value = pointer + escaped(name), sup[name]
        match name:
            case "type":
                lost = sorted(types - _types(sup))
                return _broken(at, f"no longer allows {' or '.join(lost)}") if lost else Difference()
            case "enum" | "const":
                return _broken(at, "allows certain values only")
            case "required":
                lost = [each for each in value if each not in sub.get("required", ())]
                told = [Change(f"{at}{escaped(each)}", "must be there now") for each in lost]
                return Difference(told if "object" in types else [])
            case "properties":
                return self._properties(sub, sup, pointer) if "object" in types else Difference()
            case "additionalProperties":
                return self._additional(sub, sup, pointer) if "object" in types else Difference()
            case "items" | "prefixItems":
                return self._items(sub, sup, pointer) if "array" in types else Difference()
            case "uniqueItems":
                is_new = value and not sub.get(name) and "array" in types and sub.get("maxItems", 2) > 1
                return _broken(at, "no longer allows equal items") if is_new else Difference()
            case "anyOf" | "oneOf":
                return self._one_of(name, sub, value, at)
            case _:
                return _leaf(name, sub, sup, at, types)

    def _properties(self, sub: dict[str, Any], sup: dict[str, Any], pointer: str) -> Difference:
        found, before = Difference(), sub.get("properties", {})
        for name, schema in sup["properties"].items():
            at = f"{pointer}/properties{escaped(name)}"
            if name in before:
                found.add(self.compare(before[name], schema, at), is_certain=True)
            elif "additionalProperties" in sub:
                found.add(self.compare(sub["additionalProperties"], schema, at), is_certain=True)
            # Otherwise it is a member that was not spoken of: nobody was told to send it.
        return found

    def _additional(self, sub: dict[str, Any], sup: dict[str, Any], pointer: str) -> Difference:
        found, schema = Difference(), sup["additionalProperties"]
        at = f"{pointer}/additionalProperties"
        if "patternProperties" in sup:
            return Difference(unclear=[Change(at, "members that match patterns are not compared")])
        for name in sub.get("properties", {}).keys() - sup.get("properties", {}).keys():
            member = self.compare(sub["properties"][name], schema, f"{pointer}/properties{escaped(name)}")
            found.add(member, is_certain=True)
        if "additionalProperties" in sub:
            found.add(self.compare(sub["additionalProperties"], schema, at), is_certain=True)
        elif schema is False:
            found.breaks.append(Change(at, "no longer allows members that are not listed"))
        elif not _is_free(schema):
            found.unclear.append(Change(at, "restricts members that were not spoken of"))
        return found

    def _items(self, sub: dict[str, Any], sup: dict[str, Any], pointer: str) -> Difference:
        found = Difference()
        before, after = sub.get("prefixItems", ()), sup.get("prefixItems", ())
        others = sub.get("items", True), sup.get("items", True)
        for index in range(max(len(before), len(after))):
            old = before[index] if index < len(before) else others[0]
            new = after[index] if index < len(after) else others[1]
            found.add(self.compare(old, new, f"{pointer}/prefixItems/{index}"), is_certain=True)
        found.add(self.compare(*others, f"{pointer}/items"), is_certain=True)
        return found

    def _one_of(self, name: str, sub: dict[str, Any], alternatives: Sequence[Schema], at: str) -> Difference:
        if name == "anyOf" and any(not self._apart().compare(sub, each, at) for each in alternatives):
            return Difference()
        return Difference(unclear=[Change(at, "the alternatives changed")])

    def _listed(self, values: list[Any], sub: dict[str, Any], sup: dict[str, Any], pointer: str) -> Difference:
        """Compare a schema with a list of values: each of them is tried."""
        own, other = self._compiled(sub, self.sub), self._compiled(sup, self.sup)
        if own is None or other is None:
            return Difference(unclear=[Change(pointer, "the values cannot be tried")])
        values = [each for each in values if own.is_valid(each)]
        lost = sum(not other.is_valid(each) for each in values)
        at = pointer + ("/enum" if "enum" in sup else "/const" if "const" in sup else "")
        return _broken(at, f"no longer allows {lost} of {len(values)} values") if lost else Difference()

    def _each(self, alternatives: list[Schema], sub: dict[str, Any], sup: dict[str, Any], pointer: str) -> Difference:
        """Compare a schema of alternatives: each of them, or what they have in common, has to match."""
        common = {name: value for name, value in sub.items() if name not in {"anyOf", "oneOf"}}
        if len(common.keys() - _ANNOTATIONS) and not self._apart().compare(common, sup, pointer):
            return Difference()
        found = Difference()
        theirs = _alternatives(sup) or [sup]
        for each in alternatives:
            if not any(not self._apart().compare(each, other, pointer) for other in theirs):
                one = self._apart().compare(each, theirs[0], pointer)
                is_certain = len(theirs) == 1 and not common.keys() - _ANNOTATIONS and "anyOf" in sub
                found.add(one, is_certain=is_certain)
        if not found and "oneOf" in sup and not self._are_alike(sub.get("oneOf"), sup["oneOf"]):
            found.unclear.append(Change(f"{pointer}/oneOf", "several of the alternatives may match now"))
        if not found and (rest := sup.keys() - {"anyOf", "oneOf"} - _ANNOTATIONS) and len(theirs) > 1:
            found.add(self._keywords(common, {name: sup[name] for name in rest}, pointer), is_certain=False)
        return found

    def _apart(self) -> "_Comparison":
        """For a question whose answer is not the whole one; it counts against the same limit."""
        return _Comparison(self.sub, self.sup, set(self.pairs))

    def _are_alike(self, sub: Schema, sup: Schema) -> bool:
        """Whether the two are one schema, by what they say and refer to."""
        return _written(sub) == _written(sup) and _written(_targets(sub, self.sub)) == _written(_targets(sup, self.sup))

    def _compiled(self, schema: dict[str, Any], document: Schema) -> Any:
        if any(not each.startswith(("#/$defs/", "#/definitions/")) for each in _targets(schema, document)):
            return None
        definitions = {name: document[name] for name in ("$defs", "definitions") if name in document}
        try:
            return compile_schema({**schema, **definitions})
        except SchemaError:
            return None

    def _witness(self, sub: dict[str, Any], sup: dict[str, Any]) -> str | None:
        """What to say if a value is known that matches the one and not the other."""
        own, other = self._compiled(sub, self.sub), self._compiled(sup, self.sup)
        if own is None or other is None:
            return None
        try:
            is_lost = any(own.is_valid(each) and not other.is_valid(each) for each in _WITNESSES)
        except TooDeepError:
            return None
        return "no longer allows everything that it did" if is_lost else None


def _written(value: Any) -> str:
    """The value as text, in which true is not 1."""
    return json.dumps(value, sort_keys=True)


def _broken(pointer: str, message: str) -> Difference:
    return Difference([Change(pointer, message)])


def _followed(schema: Schema, document: Schema) -> Schema:
    """The schema that one leads to which is nothing but a reference; itself if it is more."""
    for _ in range(64):
        if not isinstance(schema, dict):
            return schema
        says = schema.keys() - _ANNOTATIONS
        if says == {"allOf"} and len(schema["allOf"]) == 1:
            schema = schema["allOf"][0]
        elif says == {"$ref"} and (found := _named(schema["$ref"], document)) is not None:
            schema = found
        else:
            return schema
    return schema


def _named(reference: str, document: Schema) -> Schema | None:
    if reference == "#":
        return document
    steps = reference.removeprefix("#/").split("/") if reference.startswith("#/") else []
    value = document
    for step in steps:
        value = value.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
    return value if steps else None


def _targets(schema: Schema, document: Schema) -> dict[str, Schema]:
    """What a schema refers to, directly or not; what is not found by a pointer, the document as a whole."""
    found: dict[str, Schema] = {}
    waiting = [schema]
    while waiting:
        match waiting.pop():
            case dict() as members:
                for name in ("$ref", "$dynamicRef"):
                    reference = members.get(name)
                    if isinstance(reference, str) and reference not in found:
                        target = _named(reference, document)
                        found[reference] = document if target is None else target
                        waiting.append(found[reference])
                waiting.extend(members.values())
            case list() as items:
                waiting.extend(items)
    return found


def _is_free(schema: Schema) -> bool:
    return schema is True or (isinstance(schema, dict) and not schema.keys() - _ANNOTATIONS)


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    named = schema.get("type", _TYPES)
    types = {named} if isinstance(named, str) else set(named)
    return frozenset(types | {"integer"} if "number" in types else types)


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    """All values that a schema allows at most, if it lists them."""
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return list(schema["enum"])
    if _types(schema) <= {"boolean", "null"}:
        return [None, True, False]
    return None


def _alternatives(schema: Mapping[str, Any]) -> list[Schema]:
    named = [name for name in ("anyOf", "oneOf") if name in schema]
    return list(schema[named[0]]) if len(named) == 1 else []


def _leaf(  # noqa: PLR0911 - a table
    name: str, sub: Mapping[str, Any], sup: Mapping[str, Any], at: str, types: frozenset[str]
) -> Difference:
    """Compare a keyword without schemas in it."""
    value, before = sup[name], sub.get(name)
    if name in _LEAST:
        is_lost = _LEAST[name] in types and value > sub.get(name, 0)
        return _broken(at, f"must be at least {value} now") if is_lost else Difference()
    if name in _MOST:
        is_lost = _MOST[name] in types and (before is None or before > value)
        return _broken(at, f"must be at most {value} now") if is_lost else Difference()
    if name in {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}:
        is_lost = "integer" in types and not _is_within(name, value, sub, types)
        return _broken(at, f"is {value} now") if is_lost else Difference()
    if name == "multipleOf":
        if not {"integer", "number"} & types or _is_multiple(before, value, types):
            return Difference()
        return _broken(at, f"must be a multiple of {value} now")
    if name in {"pattern", "format"} and "string" not in types:
        return Difference()
    return Difference(unclear=[Change(at, "is new or has changed")])


def _is_within(name: str, limit: float, sub: Mapping[str, Any], types: frozenset[str]) -> bool:
    """Whether the bounds of ``sub`` are at least as tight."""
    sign = -1 if name.lower().endswith("maximum") else 1
    inclusive, exclusive = ("minimum", "exclusiveMinimum") if sign > 0 else ("maximum", "exclusiveMaximum")
    is_whole = "number" not in types
    if inclusive in sub and _holds(sign * sub[inclusive], sign * limit, is_exclusive=name == exclusive):
        return True
    if exclusive not in sub:
        return False
    own = sign * sub[exclusive]
    return own >= sign * limit or (is_whole and own == int(own) and own + 1 >= sign * limit + (name == exclusive))


def _holds(own: float, limit: float, *, is_exclusive: bool) -> bool:
    return own > limit if is_exclusive else own >= limit


def _is_multiple(before: float | None, value: float, types: frozenset[str]) -> bool:
    own = before if before is not None else 1 if "number" not in types else None
    return own is not None and Fraction(str(own)) % Fraction(str(value)) == 0
