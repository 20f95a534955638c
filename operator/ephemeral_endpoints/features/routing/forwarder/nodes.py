"""What a JSON Schema is compiled into: a node for each schema, with its keywords. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Json = Any
    Scope = tuple["Resource", ...]
    """The resources that led to a schema, outermost first: what ``$dynamicRef`` goes by."""

    Check = Callable[[Json, Scope], bool]
    Inner = Callable[[Json, Scope], Iterable[tuple[Any, "Node"]]]
    Branches = Callable[[Json, Scope], Iterable["Node"]]

ALL = (dict, list, str, int, float, bool, type(None))
"""The types of all values of JSON."""


class Violation(NamedTuple):
    """What is not valid: the JSON pointer to it, the keyword that forbids it, and why; never the value itself."""

    pointer: str
    keyword: str
    detail: str


class Keyword(NamedTuple):
    """A keyword of a schema.

    Attributes:
        name: its name.
        types: the types of values that it is about; the check is called for them only.
        check: whether a value is as the keyword asks.
        detail: why a value is not; empty where that is for the schemas in the keyword to say.
        inner: the members or items that the keyword covers, each with the schema for it.
        branches: the schemas that the value itself has to match, or does match in the case of alternatives.
        explain: says more than ``detail``: pairs of a member, if it is about one, and a text.
    """

    name: str
    types: tuple[type, ...]
    check: Check
    detail: str = ""
    inner: Inner | None = None
    branches: Branches | None = None
    explain: Callable[[Json, Scope], Iterable[tuple[Any, str]]] | None = None

    def violations(self, value: Json, scope: Scope, pointer: str) -> Iterator[Violation]:
        """Why a value fails the check."""
        if self.explain:
            for step, detail in self.explain(value, scope):
                yield Violation(pointer + escaped(step), self.name, detail)
        elif self.detail:
            yield Violation(pointer, self.name, self.detail)
        elif self.inner:
            for step, node in self.inner(value, scope):
                if node.raw is False:
                    yield Violation(pointer + escaped(step), self.name, "is not allowed here")
                else:
                    yield from node.violations(value[step], scope, pointer + escaped(step))
        elif self.branches:
            for node in self.branches(value, scope):
                yield from node.violations(value, scope, pointer)


class Resource:
    """A schema with an identifier of its own, and the places in it that have a name."""

    def __init__(self, uri: str, root: Json, pointer: str) -> None:
        self.uri = uri
        self.root = root
        self.pointer = pointer
        self.anchors: dict[str, Json] = {}
        self.dynamic: dict[str, Node] = {}


class Node:
    """A compiled schema. ``table`` has the keywords for each type of value, empty while the schema is being compiled.

    ``same_value`` are the schemas in it that apply to the same value.
    """

    __slots__ = ("check", "pointer", "raw", "resource", "same_value", "table")

    def __init__(self, raw: Json, resource: Resource, pointer: str) -> None:
        self.raw = raw
        self.resource = resource
        self.pointer = pointer
        self.check: Check = always if raw is True else never
        self.same_value: list[Node] = []
        self.table: dict[type, tuple[Keyword, ...]] = dict.fromkeys(ALL, ()) if isinstance(raw, bool) else {}

    def violations(self, value: Json, scope: Scope, pointer: str) -> Iterator[Violation]:
        """Why a value is not valid; nothing if it is."""
        if self.raw is False:
            yield Violation(pointer, "false", "is not allowed here")
        scope = self.entered(scope)
        for keyword in self.table[type(value)]:
            if not keyword.check(value, scope):
                yield from keyword.violations(value, scope, pointer)

    def evaluated(self, value: Json, scope: Scope, *, but: str = "") -> set[Any]:
        """The members or items of a valid value that the schema covers, without its keyword ``but``."""
        scope, found = self.entered(scope), set[Any]()
        for keyword in self.table[type(value)]:
            if keyword.name != but and keyword.inner:
                found.update(step for step, _ in keyword.inner(value, scope))
            if keyword.branches:
                for node in keyword.branches(value, scope):
                    found |= node.evaluated(value, scope)
        return found

    def entered(self, scope: Scope) -> Scope:
        """The scope within this schema."""
        return scope if scope and scope[-1] is self.resource else (*scope, self.resource)


def escaped(step: str | int | None) -> str:
    """A step of a JSON pointer (RFC 6901) with its slash; nothing for None."""
    return "" if step is None else "/" + str(step).replace("~", "~0").replace("/", "~1")


def always(value: Json, scope: Scope) -> bool:  # noqa: ARG001 - a Check
    """The check of ``true``."""
    return True


def never(value: Json, scope: Scope) -> bool:  # noqa: ARG001 - a Check
    """The check of ``false``."""
    return False
