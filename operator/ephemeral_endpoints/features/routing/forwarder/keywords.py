"""The keywords of JSON Schema 2020-12: what each demands of a value, and how its own value must look. Pure."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ephemeral_endpoints.features.routing.forwarder.formats import FORMATS
from ephemeral_endpoints.features.routing.forwarder.nodes import ALL, Keyword, Node, escaped, never

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ephemeral_endpoints.features.routing.forwarder.nodes import Check, Inner, Json, Scope
    from ephemeral_endpoints.features.routing.forwarder.schema import Compiler

    Maker = Callable[[Compiler, Node, Any], Keyword | None]
    """Makes the keyword of a schema from its value."""

SUBSCHEMAS = frozenset(
    {
        *("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then"),
        *("unevaluatedItems", "unevaluatedProperties"),
    }
)
LISTS_OF_SUBSCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
MAPS_OF_SUBSCHEMAS = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})

_NUMBERS = (int, float)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": _NUMBERS,
    "null": (type(None),),
    "number": _NUMBERS,
    "object": (dict,),
    "string": (str,),
}


def _is_number(value: Json) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _is_count(value: Json) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_names(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_type(value: Json) -> bool:
    names = [value] if isinstance(value, str) else value
    return bool(names) and _is_names(names) and set(names) <= _TYPES.keys()


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


_COUNTS = ("Contains", "Items", "Length", "Properties")
_FORMS: Mapping[str, tuple[Callable[[Json], bool], str]] = {
    **dict.fromkeys(LISTS_OF_SUBSCHEMAS, (lambda value: isinstance(value, list) and bool(value), "a list of schemas")),
    **dict.fromkeys(MAPS_OF_SUBSCHEMAS, (lambda value: isinstance(value, dict), "an object with schemas")),
    **{f"{end}{each}": (_is_count, "a whole number of at least 0") for each in _COUNTS for end in ("max", "min")},
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"), (_is_number, "a number")),
    **dict.fromkeys(("$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$ref"), (_is_text, "a text")),
    **dict.fromkeys(("$schema", "format", "pattern"), (_is_text, "a text")),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number greater than 0"),
    "type": (_is_type, f"one or several of {', '.join(_TYPES)}"),
    "enum": (lambda value: isinstance(value, list), "a list of values"),
    "required": (_is_names, "a list of names"),
    "dependentRequired": (
        lambda value: isinstance(value, dict) and all(map(_is_names, value.values())),
        "an object with lists of names",
    ),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
    "items": (lambda value: not isinstance(value, list), "a schema: a list of schemas, as in draft-07, is prefixItems"),
    "dependencies": (lambda _: False, "dependentRequired or dependentSchemas, which replace it since draft-07"),
}
"""Of keywords, what holds for their values, and in words. Those of other keywords may be anything."""


def wrong_form(name: str, value: Json) -> str | None:
    """What the value of a keyword must be, if it is not; schemas in it are not looked at."""
    holds, form = _FORMS.get(name, (None, ""))
    return form if holds and not holds(value) else None


# Any value


def _ref(compiler: Compiler, node: Node, value: str) -> Keyword:
    target, _ = compiler.resolve(node, "$ref", value)
    return _same_value("$ref", lambda *_: (target,))


def _dynamic_ref(compiler: Compiler, node: Node, value: str) -> Keyword:
    target, anchor = compiler.resolve(node, "$dynamicRef", value)
    if isinstance(target.raw, bool) or target.raw.get("$dynamicAnchor") != anchor:
        return _same_value("$dynamicRef", lambda *_: (target,))
    node.same_value += compiler.dynamic(anchor)
    return _same_value(
        "$dynamicRef",
        lambda _, scope: (next((each.dynamic[anchor] for each in scope if anchor in each.dynamic), target),),
    )


def _type(_: Compiler, __: Node, value: str | list[str]) -> Keyword:
    names = [value] if isinstance(value, str) else value
    known = {type_ for name in names for type_ in _TYPES[name]}
    detail = f"must be of type {' or '.join(names)}"
    others = tuple(type_ for type_ in ALL if type_ not in known)
    if "integer" not in names or "number" in names:
        return Keyword("type", others, never, detail)
    return Keyword("type", (*others, float), lambda found, _: type(found) is float and found.is_integer(), detail)


def _enum(_: Compiler, __: Node, value: list[Json]) -> Keyword:
    known = frozenset(map(_hashable, value))
    check: Check = lambda found, _: _hashable(found) in known  # noqa: E731 - a Check
    if all(type(each) is str for each in value):
        check = lambda found, _: type(found) is str and found in known  # noqa: E731 - a Check
    return Keyword("enum", ALL, check, "must be one of the values that the schema lists")


def _const(compiler: Compiler, node: Node, value: Json) -> Keyword:
    return _enum(compiler, node, [value])._replace(name="const", detail="must be the value that the schema names")


def _hashable(value: Json) -> object:
    """A stand-in that is equal to that of another value if the two are equal in JSON, where 1 is 1.0 and not true."""
    match value:
        case bool():
            return (bool, value)
        case list():
            return (list, *map(_hashable, value))
        case dict():
            return (dict, frozenset((name, _hashable(each)) for name, each in value.items()))
        case int() | float() if sys.hash_info.modulus <= abs(value) < math.inf:
            # Python hashes a number to its remainder, so that anybody can have all of them collide; texts have a key.
            return (int, f"{int(value):x}")
        case _:
            return value


def _all_of(compiler: Compiler, node: Node, value: list[Json]) -> Keyword:
    branches = [compiler.branch(node, "allOf", index) for index in range(len(value))]
    return _same_value("allOf", lambda *_: branches)


def _any_of(compiler: Compiler, node: Node, value: list[Json]) -> Keyword:
    branches = [compiler.branch(node, "anyOf", index) for index in range(len(value))]
    check: Check = lambda found, scope: any(each.check(found, scope) for each in branches)  # noqa: E731 - a Check
    return _alternatives("anyOf", branches, check, "at least one")


def _one_of(compiler: Compiler, node: Node, value: list[Json]) -> Keyword:
    branches = [compiler.branch(node, "oneOf", index) for index in range(len(value))]
    check: Check = lambda found, scope: sum(each.check(found, scope) for each in branches) == 1  # noqa: E731 - a Check
    return _alternatives("oneOf", branches, check, "exactly one")


def _alternatives(name: str, branches: list[Node], check: Check, how_many: str) -> Keyword:
    return Keyword(
        name,
        ALL,
        check,
        f"must match {how_many} of the {len(branches)} alternatives",
        branches=lambda value, scope: (each for each in branches if each.check(value, scope)),
    )


def _not(compiler: Compiler, node: Node, _: Json) -> Keyword:
    child = compiler.branch(node, "not")
    return Keyword("not", ALL, lambda found, scope: not child.check(found, scope), "matches what the schema excludes")


def _if(compiler: Compiler, node: Node, _: Json) -> Keyword:
    condition = compiler.branch(node, "if")
    then = [compiler.branch(node, "then")] if "then" in node.raw else []
    otherwise = [compiler.branch(node, "else")] if "else" in node.raw else []
    return _same_value("if", lambda found, scope: [condition, *then] if condition.check(found, scope) else otherwise)


def _same_value(name: str, branches: Callable[[Json, Scope], Iterable[Node]], types: tuple[type, ...] = ALL) -> Keyword:
    return Keyword(
        name,
        types,
        lambda found, scope: all(each.check(found, scope) for each in branches(found, scope)),
        branches=branches,
    )


# Objects


def _properties(compiler: Compiler, node: Node, value: Mapping[str, Json]) -> Keyword:
    children = {name: compiler.child(node, "properties", name) for name in value}

    def check(found: Json, scope: Scope) -> bool:
        for name, item in found.items():
            child = children.get(name)
            if child is not None and not child.check(item, scope):
                return False
        return True

    inner: Inner = lambda found, _: ((name, children[name]) for name in found if name in children)  # noqa: E731
    return Keyword("properties", (dict,), check, inner=inner)


def _pattern_properties(compiler: Compiler, node: Node, value: Mapping[str, Json]) -> Keyword:
    children = [
        (compiler.search(node, "patternProperties", each), compiler.child(node, "patternProperties", each))
        for each in value
    ]
    return _inside(
        "patternProperties",
        dict,
        lambda found, _: ((name, child) for name in found for search, child in children if search(name)),
    )


def _additional_properties(compiler: Compiler, node: Node, value: Json) -> Keyword:
    child, names = compiler.child(node, "additionalProperties"), frozenset(node.raw.get("properties", ()))
    patterns = node.raw.get("patternProperties", ())
    searches = [compiler.search(node, "patternProperties", each) for each in patterns]

    def inner(found: Json, _: Scope) -> Iterator[tuple[str, Node]]:
        for name in found:
            if name not in names and not any(search(name) for search in searches):
                yield name, child

    keyword = _inside("additionalProperties", dict, inner)
    if value is False and not searches:
        return keyword._replace(check=lambda found, _: found.keys() <= names)
    return keyword


def _property_names(compiler: Compiler, node: Node, _: Json) -> Keyword:
    child = compiler.child(node, "propertyNames")
    return Keyword(
        "propertyNames",
        (dict,),
        lambda found, scope: all(child.check(name, scope) for name in found),
        explain=lambda found, scope: (
            (name, "the schema does not allow this name") for name in found if not child.check(name, scope)
        ),
    )


def _required(_: Compiler, __: Node, value: list[str]) -> Keyword:
    names = frozenset(value)
    return Keyword(
        "required",
        (dict,),
        lambda found, _: names <= found.keys(),
        explain=lambda found, _: ((name, "is missing") for name in value if name not in found),
    )


def _dependent_required(_: Compiler, __: Node, value: Mapping[str, list[str]]) -> Keyword:
    def missing(found: Json, _: Scope) -> Iterator[tuple[str, str]]:
        for name in value.keys() & found.keys():
            yield from ((each, f"is missing beside {name}") for each in value[name] if each not in found)

    check: Check = lambda found, scope: next(missing(found, scope), None) is None  # noqa: E731 - a Check
    return Keyword("dependentRequired", (dict,), check, explain=missing)


def _dependent_schemas(compiler: Compiler, node: Node, value: Mapping[str, Json]) -> Keyword:
    branches = {name: compiler.branch(node, "dependentSchemas", name) for name in value}
    return _same_value(
        "dependentSchemas", lambda found, _: (each for name, each in branches.items() if name in found), (dict,)
    )


def _unevaluated_properties(compiler: Compiler, node: Node, _: Json) -> Keyword:
    name = "unevaluatedProperties"
    child = compiler.child(node, name)

    def inner(found: Json, scope: Scope) -> Iterable[tuple[str, Node]]:
        covered = node.evaluated(found, scope, but=name)
        return ((each, child) for each in found if each not in covered)

    return _inside(name, dict, inner)


def _inside(name: str, type_: type, inner: Inner) -> Keyword:
    return Keyword(
        name,
        (type_,),
        lambda found, scope: all(child.check(found[step], scope) for step, child in inner(found, scope)),
        inner=inner,
    )


# Arrays


def _prefix_items(compiler: Compiler, node: Node, value: list[Json]) -> Keyword:
    children = [compiler.child(node, "prefixItems", index) for index in range(len(value))]
    return _inside("prefixItems", list, lambda found, _: enumerate(children[: len(found)]))


def _items(compiler: Compiler, node: Node, _: Json) -> Keyword:
    child, first = compiler.child(node, "items"), len(node.raw.get("prefixItems", ()))

    def check(found: Json, scope: Scope) -> bool:
        for item in found[first:] if first else found:  # noqa: SIM110 - a generator costs more
            if not child.check(item, scope):
                return False
        return True

    inner: Inner = lambda found, _: ((index, child) for index in range(first, len(found)))  # noqa: E731 - an Inner
    return Keyword("items", (list,), check, inner=inner)


def _contains(compiler: Compiler, node: Node, _: Json) -> Keyword:
    child = compiler.child(node, "contains")
    least, most = node.raw.get("minContains", 1), node.raw.get("maxContains", math.inf)
    bound = f"at least {least}" if most == math.inf else f"from {least} to {most}"
    return Keyword(
        "contains",
        (list,),
        lambda found, scope: least <= sum(child.check(item, scope) for item in found) <= most,
        f"must have {bound} items that match the schema",
        inner=lambda found, scope: ((index, child) for index, item in enumerate(found) if child.check(item, scope)),
    )


def _unevaluated_items(compiler: Compiler, node: Node, _: Json) -> Keyword:
    name = "unevaluatedItems"
    child = compiler.child(node, name)

    def inner(found: Json, scope: Scope) -> Iterable[tuple[int, Node]]:
        covered = node.evaluated(found, scope, but=name)
        return ((index, child) for index in range(len(found)) if index not in covered)

    return _inside(name, list, inner)


def _unique_items(_: Compiler, __: Node, value: bool) -> Keyword | None:  # noqa: FBT001 - of the schema
    check: Check = lambda found, _: len(set(map(_hashable, found))) == len(found)  # noqa: E731 - a Check
    return Keyword("uniqueItems", (list,), check, "has two equal items") if value else None


# Texts and numbers


def _pattern(compiler: Compiler, node: Node, _: str) -> Keyword:
    search = compiler.search(node, "pattern")
    return Keyword("pattern", (str,), lambda found, _: search(found) is not None, "does not match the pattern")


def _format(compiler: Compiler, _: Node, value: str) -> Keyword | None:
    has_format = FORMATS.get(value) if compiler.asserts_formats else None
    return Keyword("format", (str,), lambda found, _: has_format(found), f"is no {value}") if has_format else None


def _multiple_of(_: Compiler, __: Node, value: float) -> Keyword:
    def check(found: Json, _: Scope) -> bool:
        if type(found) is int and type(value) is int:
            return found % value == 0
        # As they are written: in binary, 0.0075 is no multiple of 0.0001.
        return (type(found) is int or math.isfinite(found)) and _exact(found) % _exact(value) == 0

    return Keyword("multipleOf", _NUMBERS, check, f"must be a multiple of {value}")


def _exact(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def _at_least(name: str, type_: type, words: str) -> Maker:
    return lambda _, __, value: Keyword(
        name, (type_,), lambda found, _: len(found) >= value, f"must have at least {value} {words}"
    )


def _at_most(name: str, type_: type, words: str) -> Maker:
    return lambda _, __, value: Keyword(
        name, (type_,), lambda found, _: len(found) <= value, f"must have at most {value} {words}"
    )


def _bound(name: str, holds: Callable[[float, float], bool], words: str) -> Maker:
    return lambda _, __, value: Keyword(
        name, _NUMBERS, lambda found, _: holds(found, value), f"must be {words} {value}"
    )


MAKERS: Mapping[str, Maker] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "required": _required,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "propertyNames": _property_names,
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
    "minProperties": _at_least("minProperties", dict, "members"),
    "maxProperties": _at_most("maxProperties", dict, "members"),
    "prefixItems": _prefix_items,
    "items": _items,
    "contains": _contains,
    "minItems": _at_least("minItems", list, "items"),
    "maxItems": _at_most("maxItems", list, "items"),
    "uniqueItems": _unique_items,
    "minLength": _at_least("minLength", str, "characters"),
    "maxLength": _at_most("maxLength", str, "characters"),
    "pattern": _pattern,
    "format": _format,
    "minimum": _bound("minimum", lambda found, limit: found >= limit, "at least"),
    "maximum": _bound("maximum", lambda found, limit: found <= limit, "at most"),
    "exclusiveMinimum": _bound("exclusiveMinimum", lambda found, limit: found > limit, "greater than"),
    "exclusiveMaximum": _bound("exclusiveMaximum", lambda found, limit: found < limit, "less than"),
    "multipleOf": _multiple_of,
    "$ref": _ref,
    "$dynamicRef": _dynamic_ref,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "unevaluatedProperties": _unevaluated_properties,
    "unevaluatedItems": _unevaluated_items,
}
"""The keywords that are asserted, the cheap ones first."""


def parts(schema: Mapping[str, Json], pointer: str) -> Iterator[tuple[str, Json]]:
    """The schemas in the keywords of a schema, with the pointers to them."""
    for name, value in schema.items():
        at = pointer + escaped(name)
        if name in SUBSCHEMAS:
            yield at, value
        elif name in LISTS_OF_SUBSCHEMAS and isinstance(value, list):
            yield from ((at + escaped(index), each) for index, each in enumerate(value))
        elif name in MAPS_OF_SUBSCHEMAS and isinstance(value, dict):
            yield from ((at + escaped(key), each) for key, each in value.items())
