"""JSON Schema 2020-12 (https://json-schema.org/draft/2020-12/json-schema-core): compiles a schema into closures. Pure.

Takes nothing but the schema: what a ``$ref`` names outside of it is refused, never fetched. A document is what
``json.loads`` returns. Whether it is valid is decided first, by the keywords for each type of value; where it is not
valid is looked for only then.
"""

from __future__ import annotations

from itertools import islice
from math import inf
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin

from ephemeral_endpoints.features.routing.forwarder.keywords import MAKERS, parts, wrong_form
from ephemeral_endpoints.features.routing.forwarder.nodes import (
    ALL,
    Node,
    Resource,
    Violation,
    always,
    escaped,
)
from ephemeral_endpoints.features.routing.forwarder.patterns import PatternError, compile_pattern

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

    from ephemeral_endpoints.features.routing.forwarder.nodes import Check, Json, Scope

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OTHER_DIALECT = (
    f"must be {DIALECT}, or absent: earlier drafts differ from it, as draft-07 does in three places: a list in "
    "items is prefixItems, definitions is $defs, and dependencies is dependentRequired or dependentSchemas"
)
MOST_VIOLATIONS = 20
MAX_POINTER = 256
"""How much of a pointer is told, in characters: its steps are names that the sender of a document chose."""


class SchemaError(ValueError):
    """What is no schema: ``pointer`` leads to the place, ``message`` is the end of a sentence about it."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{shortened(pointer) or 'the schema'}: {message}")
        self.pointer = pointer
        self.message = message


class TooDeepError(ValueError):
    """A document is nested too deeply for its schema."""


class Schema:
    """A compiled schema. ``nodes`` are all schemas in it."""

    def __init__(self, root: Node, nodes: tuple[Node, ...]) -> None:
        self._root = root
        self.nodes = nodes

    def is_valid(self, document: Json) -> bool:
        """Whether a document matches the schema. Raises TooDeepError."""
        try:
            return self._root.check(document, ())
        except RecursionError as error:
            raise TooDeepError from error

    def violations(self, document: Json) -> list[Violation]:
        """The first places where a document does not match, at most 20; none if it does. Raises TooDeepError."""
        if self.is_valid(document):
            return []
        try:
            found = list(islice(self._root.violations(document, (), ""), MOST_VIOLATIONS))
        except RecursionError as error:
            raise TooDeepError from error
        return [each._replace(pointer=shortened(each.pointer)) for each in found]


def compile_schema(schema: Json, *, others: Mapping[str, Json] | None = None, asserts_formats: bool = True) -> Schema:
    """Compile a schema.

    ``others`` are schemas that it may refer to, by their URIs. ``asserts_formats`` says whether the formats of
    ``FORMATS`` are asserted; all others are annotations. Raises SchemaError, also for keywords of earlier drafts that
    mean something else in this one.
    """
    compiler = Compiler(asserts_formats=asserts_formats)
    try:
        for uri, other in (others or {}).items():
            compiler.add(other, uri)
        root = compiler.node(schema, compiler.add(schema, ""), "")
        return Schema(root, tuple(compiler.nodes.values()))
    except RecursionError as error:
        raise SchemaError("", "is nested too deeply") from error


class Compiler:
    """Compiles the schemas of some documents, each once. What is in a document is known by its identity."""

    def __init__(self, *, asserts_formats: bool) -> None:
        self.asserts_formats = asserts_formats
        self.nodes: dict[int, Node] = {}
        self._resources: dict[str, Resource] = {}
        self._places: dict[int, tuple[Resource, str]] = {}
        self._has_dynamic_anchors = False

    def add(self, schema: Json, uri: str) -> Resource:
        """Know a document and the resources in it; returns the one that it is itself."""
        resource = self._resources[uri] = Resource(uri, schema, "")
        self._index(schema, resource, "")
        return self._place(schema, resource)

    def node(self, schema: Json, resource: Resource, pointer: str) -> Node:
        """Compile a schema of a resource. Raises SchemaError."""
        if id(schema) in self.nodes:
            return self.nodes[id(schema)]
        if not isinstance(schema, dict | bool):
            raise SchemaError(pointer, "a schema must be an object, true or false")
        node = Node(schema, resource, pointer)
        if isinstance(schema, bool):
            return node
        self.nodes[id(schema)] = node
        if "$dynamicAnchor" in schema:
            resource.dynamic[schema["$dynamicAnchor"]] = node
        keywords = [made for name in MAKERS if name in schema and (made := MAKERS[name](self, node, schema[name]))]
        for step, part in parts(schema, pointer):
            self.node(part, self._place(part, resource), step)
        node.table = {type_: tuple(each for each in keywords if type_ in each.types) for type_ in ALL}
        node.check = _check_of(node, enters=self._has_dynamic_anchors)
        return node

    def child(self, node: Node, keyword: str, *steps: str | int) -> Node:
        """The schema within a keyword."""
        schema, pointer = node.raw[keyword], node.pointer + escaped(keyword)
        for step in steps:
            schema, pointer = schema[step], pointer + escaped(step)
        return self.node(schema, self._place(schema, node.resource), pointer)

    def branch(self, node: Node, keyword: str, *steps: str | int) -> Node:
        """The same, of one that applies to the same value."""
        child = self.child(node, keyword, *steps)
        node.same_value.append(child)
        return child

    def search(self, node: Node, keyword: str, *steps: str) -> Callable[[str], re.Match[str] | None]:
        """Searches for the regular expression that a keyword has, or names its step.

        Nothing is found in a text beyond ``longest_text``: the search could take long, and the text is invalid anyway.
        """
        pointer, longest = node.pointer + escaped(keyword), longest_text(node.raw, keyword)
        try:
            search = compile_pattern(steps[0] if steps else node.raw[keyword]).search
        except PatternError as error:
            raise SchemaError("".join([pointer, *map(escaped, steps)]), str(error)) from error
        return search if longest == inf else lambda text: search(text) if len(text) <= longest else None

    def resolve(self, node: Node, keyword: str, reference: str) -> tuple[Node, str]:
        """The schema that a reference of ``node`` names, which applies to the same value, and its fragment."""
        uri, fragment = _target(node.resource, reference, node.pointer + escaped(keyword))
        fragment, resource = unquote(fragment), self._resources.get(uri)
        if resource is None:
            message = f"names {shortened(reference)}, which is not in the schema: nothing is fetched"
            raise SchemaError(node.pointer + escaped(keyword), message)
        target = self._named(resource, fragment)
        if target is None:
            message = f"names {shortened(reference)}, which does not exist"
            raise SchemaError(node.pointer + escaped(keyword), message)
        node.same_value.append(target)
        return target, fragment

    def dynamic(self, anchor: str) -> list[Node]:
        """The schemas that a dynamic reference to an anchor may lead to."""
        found = (each.anchors.get(anchor) for each in self._resources.values())
        return [self._known(each) for each in found if each and each.get("$dynamicAnchor") == anchor]

    def _index(self, schema: Json, resource: Resource, pointer: str) -> None:
        if not isinstance(schema, dict):
            return
        for name, value in schema.items():
            if form := wrong_form(name, value):
                raise SchemaError(pointer + escaped(name), f"must be {form}")
        if schema.get("$schema", DIALECT).removesuffix("#") != DIALECT:
            raise SchemaError(f"{pointer}/$schema", OTHER_DIALECT)
        if "$id" in schema:
            uri, fragment = _target(resource, schema["$id"], f"{pointer}/$id")
            if fragment:
                raise SchemaError(f"{pointer}/$id", "must not have a fragment: use $anchor")
            resource = self._resources[uri] = Resource(uri, schema, pointer)
        self._places[id(schema)] = resource, pointer
        for keyword in ("$anchor", "$dynamicAnchor"):
            if keyword in schema:
                resource.anchors[schema[keyword]] = schema
        self._has_dynamic_anchors |= "$dynamicAnchor" in schema
        for step, part in parts(schema, pointer):
            self._index(part, resource, step)

    def _place(self, schema: Json, resource: Resource) -> Resource:
        """The resource of a schema that is in ``resource`` unless it is one itself."""
        return self._places[id(schema)][0] if id(schema) in self._places else resource

    def _known(self, schema: Json) -> Node:
        return self.node(schema, *self._places[id(schema)])

    def _named(self, resource: Resource, fragment: str) -> Node | None:
        if fragment and not fragment.startswith("/"):
            found = resource.anchors.get(fragment)
            return self._known(found) if found else None
        value, pointer = resource.root, resource.pointer
        for step in fragment.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            match value:
                case dict() if name in value:
                    value = value[name]
                case list() if _is_index(name) and int(name) < len(value):
                    value = value[int(name)]
                case _:
                    return None
            pointer += escaped(name)
            resource = self._place(value, resource)
        if id(value) not in self._places:
            self._index(value, resource, pointer)
        return self.node(value, resource, pointer)


def longest_text(schema: Mapping[str, Json], keyword: str) -> float:
    """The greatest length of the texts that a schema allows where ``pattern`` or ``patternProperties`` is searched."""
    limits = schema.get("propertyNames") if keyword == "patternProperties" else schema
    longest: float = limits.get("maxLength", inf) if isinstance(limits, dict) else inf
    return longest


def shortened(text: str) -> str:
    """The beginning of a pointer or a reference, which can be as long as the document."""
    return text if len(text) <= MAX_POINTER else f"{text[: MAX_POINTER - 1]}…"


def _check_of(node: Node, *, enters: bool) -> Check:
    table = {type_: _all(tuple(each.check for each in keywords)) for type_, keywords in node.table.items()}
    if enters:
        return lambda value, scope: table[type(value)](value, node.entered(scope))
    return lambda value, scope: table[type(value)](value, scope)


def _all(checks: tuple[Check, ...]) -> Check:
    match checks:
        case ():
            return always
        case (only,):
            return only

    def check(value: Json, scope: Scope) -> bool:
        for each in checks:  # noqa: SIM110 - a generator costs more than all the rest
            if not each(value, scope):
                return False
        return True

    return check


def _target(resource: Resource, reference: str, pointer: str) -> tuple[str, str]:
    """The URI and the fragment of a reference that the keyword at ``pointer`` has. Raises SchemaError."""
    try:
        uri, fragment = urldefrag(_joined(resource.uri, reference))
    except ValueError as error:
        raise SchemaError(pointer, f"is no reference: {shortened(reference)}") from error
    return uri, fragment


def _joined(base: str, reference: str) -> str:
    # ``urljoin`` does not know that any URI can have a fragment, such as a URN.
    return urldefrag(base)[0] + reference if reference.startswith("#") else urljoin(base, reference)


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < len("1000000")
