"""What differs between two answers. Pure.

JSON is compared member by member, everything else as bytes. Two numbers a and b are equal if
``|a - b| <= max(absolute, relative * max(|a|, |b|))``, which is symmetric: base and head may be exchanged.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final, Self

from ephemeral_endpoints.api.v1alpha1.comparison import Comparison
from ephemeral_endpoints.features.checks.comparison.pointers import Path, Pattern, folded

MOST_DIFFERENCES: Final = 1000
"""Of one pair of answers; further ones are not looked for."""

MOST_DEPTH: Final = 64
"""Below it, values are compared as a whole."""

ROUNDING: Final = 1e-9
"""The relative tolerance of numbers that have no other."""

LARGEST: Final = sys.float_info.max
"""Stands for all greater differences: JSON has no infinity."""

LABEL_NAMES: Final = frozenset({"label", "class", "category", "prediction", "predictions"})
"""Names of texts that are taken for labels where none is named."""


class Kind(StrEnum):
    """In what way two answers differ at one place."""

    NUMBER = "number"
    VALUE = "value"
    TYPE = "type"
    MISSING = "missing"
    ADDED = "added"
    ORDER = "order"
    CONTENT_TYPE = "content type"
    BYTES = "bytes"


class _Absent(StrEnum):
    ABSENT = "(absent)"


ABSENT: Final = _Absent.ABSENT
"""In place of a value that only the other answer has."""


@dataclass(frozen=True, slots=True)
class Content:
    """The body of an answer with its media type; ``is_cut`` if it is the beginning of a longer one."""

    body: bytes
    media_type: str = ""
    is_cut: bool = False

    @property
    def is_json(self) -> bool:
        """Whether it is said to be JSON, or nothing is said."""
        essence = _essence(self.media_type)
        return not self.is_cut and (essence in {"", "application/json"} or essence.endswith("+json"))


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: where, of which kind, both values, and for numbers their distance.

    ``is_label`` if the values are labels, ``is_redacted`` if they must not be shown.
    """

    path: Path
    kind: Kind
    base: Any
    head: Any
    distance: float | None = None
    is_label: bool = False
    is_redacted: bool = False

    @property
    def folded(self) -> str:
        """The JSON pointer with - in place of indexes."""
        return folded(self.path)

    @property
    def relative(self) -> float:
        """The distance as a share of the larger magnitude, 0 to 2; 1 for what are not two finite numbers."""
        if self.distance is None:
            return 1.0
        try:
            larger = max(abs(float(self.base)), abs(float(self.head)))
        except OverflowError:
            return 1.0
        return min(self.distance / larger, 2.0) if 0 < larger < math.inf else 1.0


@dataclass(frozen=True, slots=True)
class Rules:
    """How answers are compared."""

    tolerances: tuple[tuple[Pattern, float, float], ...] = ()
    """Pattern, absolute and relative tolerance; the first pattern that covers a number counts."""

    label: Pattern | None = None
    ignored: tuple[Pattern, ...] = ()
    redacted: tuple[Pattern, ...] = ()

    @classmethod
    def of(cls, spec: Comparison) -> Self:
        """The rules that an object states. What is not kept of an earlier revision is not compared with it."""
        ignored = (*spec.ignore, *(spec.redact if spec.with_.previous_revision else ()))
        return cls(
            tuple((Pattern.of(each.pointer), each.absolute, each.relative) for each in spec.tolerances),
            None if spec.label is None else Pattern.of(spec.label),
            tuple(map(Pattern.of, ignored)),
            tuple(map(Pattern.of, spec.redact)),
        )

    def ignores(self, path: Path) -> bool:
        """Whether what is there is not compared."""
        return any(each.covers(path) for each in self.ignored)

    def redacts(self, path: Path) -> bool:
        """Whether what is there is not shown: it is redacted, or contains something that is."""
        return any(each.covers(path) or Pattern(each.steps[: len(path)]).is_at(path) for each in self.redacted)

    def are_equal(self, path: Path, base: float, head: float) -> bool:
        """Whether two numbers differ by no more than the tolerance at that place."""
        found = ((absolute, relative) for pattern, absolute, relative in self.tolerances if pattern.covers(path))
        absolute, relative = next(found, (0.0, ROUNDING))
        return base == head or _are_near(base, head, absolute, relative)

    def is_label(self, path: Path, base: object, head: object) -> bool:
        """Whether two different values there are labels."""
        if self.label is not None:
            return self.label.is_at(path) and not any(isinstance(each, dict | list) for each in (base, head))
        named = next((each for each in reversed(path) if isinstance(each, str)), "label")
        return named.lower() in LABEL_NAMES and isinstance(base, str) and isinstance(head, str)


def differences(base: Content, head: Content, rules: Rules) -> tuple[Difference, ...]:
    """The differences between two answers, at most ``MOST_DIFFERENCES``; none if they are equal."""
    found: list[Difference] = []
    if _essence(base.media_type) != _essence(head.media_type):
        found.append(Difference((), Kind.CONTENT_TYPE, _essence(base.media_type), _essence(head.media_type)))
    try:
        values = parsed(base), parsed(head)
        found.extend(islice(_Walk(rules).compare((), *values), MOST_DIFFERENCES - len(found)))
    except (ValueError, RecursionError):
        if base.body != head.body:
            hidden = bool(rules.redacted)
            found.append(Difference((), Kind.BYTES, base.body, head.body, is_redacted=hidden))
    return tuple(found)


def parsed(content: Content) -> Any:
    """The value of an answer in JSON.

    Raises ValueError for what is no JSON, or has a member twice and so no single meaning, and RecursionError for what
    is nested too deeply.
    """
    if not content.is_json:
        raise ValueError("no JSON")
    return json.loads(content.body, object_pairs_hook=_members)


@dataclass(frozen=True, slots=True)
class _Walk:
    """Compares two JSON values from their roots down."""

    rules: Rules

    def compare(self, path: Path, base: Any, head: Any) -> Iterator[Difference]:
        if self.rules.ignores(path):
            return
        if len(path) >= MOST_DEPTH:
            if _canonical(base) != _canonical(head):
                yield self._difference(path, Kind.VALUE, base, head)
        elif isinstance(base, dict) and isinstance(head, dict):
            yield from self._members(path, base, head)
        elif isinstance(base, list) and isinstance(head, list):
            yield from self._elements(path, base, head)
        else:
            yield from self._scalars(path, base, head)

    def _members(self, path: Path, base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[Difference]:
        for name in sorted(base.keys() | head.keys()):
            yield from self._either((*path, name), base.get(name, ABSENT), head.get(name, ABSENT))

    def _elements(self, path: Path, base: Sequence[Any], head: Sequence[Any]) -> Iterator[Difference]:
        if len(base) == len(head) > 1 and _is_reordered(base, head):
            yield self._difference(path, Kind.ORDER, base, head)
            return
        for index in range(max(len(base), len(head))):
            one = base[index] if index < len(base) else ABSENT
            other = head[index] if index < len(head) else ABSENT
            yield from self._either((*path, index), one, other)

    def _either(self, path: Path, base: Any, head: Any) -> Iterator[Difference]:
        if base is not ABSENT and head is not ABSENT:
            yield from self.compare(path, base, head)
        elif not self.rules.ignores(path):
            yield self._difference(path, Kind.ADDED if base is ABSENT else Kind.MISSING, base, head)

    def _scalars(self, path: Path, base: Any, head: Any) -> Iterator[Difference]:
        kinds = _type(base), _type(head)
        if kinds == ("number", "number"):
            if not _are_same(base, head) and not self.rules.are_equal(path, base, head):
                yield self._difference(path, Kind.NUMBER, base, head, _distance(base, head))
        elif kinds[0] != kinds[1]:
            yield self._difference(path, Kind.TYPE, base, head)
        elif base != head:
            yield self._difference(path, Kind.VALUE, base, head)

    def _difference(self, path: Path, kind: Kind, base: Any, head: Any, distance: float | None = None) -> Difference:
        is_label = kind is not Kind.ORDER and self.rules.is_label(path, base, head)
        return Difference(path, kind, base, head, distance, is_label, self.rules.redacts(path))


def _members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _is_reordered(base: Sequence[Any], head: Sequence[Any]) -> bool:
    """Whether both have the same elements in different orders."""
    one, other = [*map(_canonical, base)], [*map(_canonical, head)]
    return one != other and sorted(one) == sorted(other)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _are_same(base: float, head: float) -> bool:
    """Whether both are the same, or no number (NaN)."""
    return base == head or (math.isnan(_float(base)) and math.isnan(_float(head)))


def _are_near(base: float, head: float, absolute: float, relative: float) -> bool:
    magnitudes = [abs(_float(each)) for each in (base, head)]
    # Integers are subtracted exactly, also those that no floating-point number is equal to.
    return all(map(math.isfinite, magnitudes)) and abs(base - head) <= max(absolute, relative * max(magnitudes))


def _distance(base: float, head: float) -> float | None:
    """How far two numbers are apart, at most ``LARGEST``; None if one of them is infinite or no number."""
    if any(math.isnan(_float(each)) or abs(each) == math.inf for each in (base, head)):
        return None
    try:
        return min(float(abs(base - head)), LARGEST)
    except OverflowError:
        return LARGEST


def _float(number: float) -> float:
    """The number, with an integer beyond all floating-point numbers as infinity."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _essence(media_type: str) -> str:
    """The media type without its parameters (RFC 9110, section 8.3.1)."""
    return media_type.partition(";")[0].strip().lower()
