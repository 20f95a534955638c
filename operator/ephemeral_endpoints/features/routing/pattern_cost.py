"""How long Python's ``re`` can take for a regular expression. Pure.

``re`` tries one way after the other, so that the number of ways to match a text decides. The expression is turned into
its position automaton (Glushkov), in which that number grows exponentially if two different paths of the same text
lead from a position back to it, and otherwise with one power for each of the loops in a row that match the same.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import log2

# The parser of ``re``, which no public module has.
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

MOST_POSITIONS: Final = 250
"""A larger automaton is not judged."""

MOST_CHOICES: Final = 28
"""As a power of two: how many ways there may be to match a text without loops."""

_UNROLLED: Final = 10
"""Repeats of at most so many times are written out; others count as without an end."""

_OTHERS: Final = 1 << 128
"""Stands for all characters outside of ASCII: a set of characters is an integer with a bit for each."""

_ASCII: Final = _OTHERS - 1
_ALL: Final = _ASCII | _OTHERS


class TooCostlyError(ValueError):
    """A regular expression must not be used. The message says why, as the end of a sentence about it."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What can begin and end the match of a part of the expression, each in how many ways; ``empty``: in how many none.

    From two on, it does not matter how many.
    """

    first: Counter[int] = field(default_factory=Counter)
    last: Counter[int] = field(default_factory=Counter)
    empty: int = 1

    def optional(self) -> "_Part":
        """The same, or nothing."""
        return replace(self, empty=self.empty or 1)


@dataclass(slots=True)
class _Automaton:
    """The positions of an expression: the characters of each, and those that can follow it, in how many ways.

    ``degree`` is that of the expressions looked ahead for.
    """

    characters: list[int] = field(default_factory=list)
    ways: list[Counter[int]] = field(default_factory=list)
    degree: int = 1

    @property
    def following(self) -> list[set[int]]:
        return [set(each) for each in self.ways]

    def position(self, characters: int) -> _Part:
        if len(self.characters) >= MOST_POSITIONS:
            raise TooCostlyError("is too long to be judged")
        self.characters.append(characters)
        self.ways.append(Counter())
        only = Counter({len(self.characters) - 1: 1})
        return _Part(only, only, empty=0)

    def sequence(self, items: Iterable[Any], *, is_repeated: bool) -> _Part:
        whole = _Part()
        for item in items:
            whole = self._joined(whole, self._item(item, is_repeated=is_repeated))
        return whole

    def _item(self, item: tuple[Any, Any], *, is_repeated: bool) -> _Part:
        code, value = item
        match code:
            case codes.LITERAL | codes.NOT_LITERAL | codes.ANY | codes.IN:
                return self.position(_characters([item]))
            case codes.SUBPATTERN:
                return self.sequence(value[-1], is_repeated=is_repeated)
            case codes.BRANCH:
                return _either([self.sequence(each, is_repeated=is_repeated) for each in value[1]])
            case codes.MAX_REPEAT | codes.MIN_REPEAT:
                return self._repeat(*value, is_repeated=is_repeated)
            case codes.ASSERT | codes.ASSERT_NOT:
                self.degree = max(self.degree, _degree(value[1], is_anchored=True) + is_repeated)
                return _Part()
            case codes.AT:
                return _Part(empty=0 if value is codes.AT_END_STRING else 1)
            case _:
                raise TooCostlyError("refers back to what it has matched")

    def _repeat(self, least: int, most: int, items: Sequence[Any], *, is_repeated: bool) -> _Part:
        if most <= _UNROLLED:
            whole = _Part()
            for number in range(most):
                part = self.sequence(items, is_repeated=is_repeated)
                whole = self._joined(whole, part if number < least else part.optional())
            return whole
        part = self.sequence(items, is_repeated=True)
        if part.empty and most is not codes.MAXREPEAT:
            raise TooCostlyError("can take exponentially long: what is repeated can be empty")
        self._follow(part.last, part.first)
        return part if least else part.optional()

    def _joined(self, before: _Part, after: _Part) -> _Part:
        self._follow(before.last, after.first)
        return _Part(
            before.first + _times(after.first, before.empty),
            after.last + _times(before.last, after.empty),
            before.empty * after.empty,
        )

    def _follow(self, ends: Counter[int], begins: Counter[int]) -> None:
        for end, count in ends.items():
            self.ways[end].update(_times(begins, count))


def _either(parts: Sequence[_Part]) -> _Part:
    return _Part(
        sum((each.first for each in parts), Counter()),
        sum((each.last for each in parts), Counter()),
        sum(each.empty for each in parts),
    )


def _times(ways: Counter[int], count: int) -> Counter[int]:
    return Counter({position: min(each * count, 2) for position, each in ways.items()} if count else {})


def degree(expression: str) -> int:
    """The power of a text's length that a search for the expression can take: 1 is linear.

    ``expression`` is in Python's syntax and compiles with ``re.ASCII``. Raises TooCostlyError if it can take
    exponentially long, or cannot be judged.
    """
    parsed = parser.parse(expression, re.ASCII)
    return _degree(parsed, is_anchored=_is_anchored(list(parsed)))


def _is_anchored(items: Sequence[tuple[Any, Any]]) -> bool:
    """Whether a search can only begin at the beginning."""
    for code, value in items[:1]:
        match code:
            case codes.AT:
                return value in {codes.AT_BEGINNING, codes.AT_BEGINNING_STRING}
            case codes.SUBPATTERN:
                return _is_anchored(list(value[-1]))
            case codes.BRANCH:
                return all(_is_anchored(list(each)) for each in value[1])
    return False


def _degree(items: Iterable[Any], *, is_anchored: bool) -> int:
    automaton = _Automaton()
    whole = automaton.sequence(items, is_repeated=False)
    if not is_anchored:
        # A search begins anywhere: as if anything could be before it.
        [before] = automaton.position(_ALL).first
        automaton.ways[before].update([before, *whole.first])
    if sum(map(_choices, _successors(automaton, whole))) > MOST_CHOICES:
        raise TooCostlyError("has too many parts that can match the same text")
    loops = _loops(automaton.following)
    if any(_is_ambiguous(automaton, loop) for loop in loops):
        raise TooCostlyError(
            "can take exponentially long: a repeat contains another one, or alternatives, that match the same text"
        )
    return max(automaton.degree, _longest_chain(automaton, loops))


def _successors(automaton: _Automaton, whole: _Part) -> Iterator[list[int]]:
    """The characters of what can come next: at the beginning, and after each position."""
    for ways in (whole.first, *automaton.ways):
        yield [automaton.characters[each] for each in ways.elements()]


def _choices(successors: list[int]) -> float:
    """How often a text leaves a choice among them, as a power of two."""
    return log2(max((sum(each >> bit & 1 for each in successors) for bit in range(129)), default=1) or 1)


def _loops(following: Sequence[set[int]]) -> list[frozenset[int]]:
    """The sets of positions each of which leads to all others of its set and back to itself."""
    reached = [_reached(following, start) for start in range(len(following))]
    found = {
        frozenset(other for other in reached[start] if start in reached[other])
        for start in range(len(following))
        if start in reached[start]
    }
    return sorted(found, key=min)


def _reached(following: Sequence[set[int]], start: int, within: Iterable[int] | None = None) -> set[int]:
    reached: set[int] = set()
    waiting = [start]
    while waiting:
        more = following[waiting.pop()] - reached
        if within is not None:
            more &= set(within)
        reached |= more
        waiting.extend(more)
    return reached


def _is_ambiguous(automaton: _Automaton, loop: frozenset[int]) -> bool:
    """Whether two different paths of the same text lead from a position of the loop back to it."""
    if any(automaton.ways[position][each] > 1 for position in loop for each in loop):
        return True
    pairs: dict[tuple[int, int], set[tuple[int, int]]] = {}
    waiting = [(position, position) for position in loop]
    while waiting:
        pair = waiting.pop()
        if pair in pairs:
            continue
        pairs[pair] = {
            (one, other)
            for one in automaton.ways[pair[0]].keys() & loop
            for other in automaton.ways[pair[1]].keys() & loop
            if automaton.characters[one] & automaton.characters[other]
        }
        waiting.extend(pairs[pair])
    # Backwards from where the paths are one: a pair that is reached both ways is on two different paths.
    before: dict[tuple[int, int], set[tuple[int, int]]] = {pair: set() for pair in pairs}
    for pair, after in pairs.items():
        for each in after:
            before[each].add(pair)
    joined = {pair for pair in pairs if pair[0] == pair[1]}
    seen, stack = set(joined), list(joined)
    while stack:
        for pair in before[stack.pop()] - seen:
            if pair[0] != pair[1]:
                return True
            seen.add(pair)
            stack.append(pair)
    return False


def _longest_chain(automaton: _Automaton, loops: Sequence[frozenset[int]]) -> int:
    """How many loops in a row can share one text."""
    longest: dict[frozenset[int], int] = {}

    def length(loop: frozenset[int]) -> int:
        if loop not in longest:
            longest[loop] = 1 + max((length(each) for each in _next_loops(automaton, loop, loops)), default=0)
        return longest[loop]

    return max((length(each) for each in loops), default=1)


def _next_loops(
    automaton: _Automaton, loop: frozenset[int], loops: Sequence[frozenset[int]]
) -> Iterator[frozenset[int]]:
    for other in loops:
        shared = _union(automaton, loop) & _union(automaton, other)
        if other is loop or not shared:
            continue
        within = {number for number, each in enumerate(automaton.characters) if each & shared}
        if any(_reached(automaton.following, start, within) & other for start in loop):
            yield other


def _union(automaton: _Automaton, positions: Iterable[int]) -> int:
    union = 0
    for each in positions:
        union |= automaton.characters[each]
    return union


def _characters(items: Iterable[tuple[Any, Any]]) -> int:
    """The characters that a set matches, or that one of these items does."""
    found, is_negated = 0, False
    for code, value in items:
        match code:
            case codes.NEGATE:
                is_negated = True
            case codes.LITERAL:
                found |= _range(value, value)
            case codes.NOT_LITERAL:
                found |= _ALL & ~_range(value, value) | _OTHERS
            case codes.RANGE:
                found |= _range(*value)
            case codes.CATEGORY:
                found |= _CATEGORIES[value]
            case codes.IN:
                found |= _characters(value)
            case _:
                found |= _ALL
    # Of the characters that have no bit of their own, some are always left.
    return _ALL & ~found | _OTHERS if is_negated else found


def _range(first: int, last: int) -> int:
    ascii_ = sum(1 << code for code in range(first, min(last, 127) + 1))
    return ascii_ | (_OTHERS if last > 127 else 0)  # noqa: PLR2004 - the last character of ASCII


_DIGITS: Final = _range(ord("0"), ord("9"))
_WORD: Final = _DIGITS | _range(ord("a"), ord("z")) | _range(ord("A"), ord("Z")) | _range(ord("_"), ord("_"))
_CATEGORIES: Final = {
    codes.CATEGORY_DIGIT: _DIGITS,
    codes.CATEGORY_NOT_DIGIT: _ALL & ~_DIGITS,
    codes.CATEGORY_WORD: _WORD,
    codes.CATEGORY_NOT_WORD: _ALL & ~_WORD,
}
