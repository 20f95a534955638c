"""What all pairs of answers come to: what changed, which labels flipped, how far numbers are apart. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.comparison import AnswerDifference, LabelFlip, NumericDifference
from ephemeral_endpoints.features.checks.comparison import display
from ephemeral_endpoints.features.checks.comparison.differences import Difference, Kind
from ephemeral_endpoints.features.checks.requests import ModelAnswer

MOST_SHOWN: Final = 50
"""Differences of one pair whose values are kept; all are counted."""

_MOST_PLACES: Final = 100
"""Places of one pair whose numbers are kept."""

MOST_WORST: Final = 5
MOST_NUMBERS: Final = 10
MOST_FLIPS: Final = 10

_SEVERITY: Final = {
    Kind.CONTENT_TYPE: 5,
    Kind.TYPE: 4,
    Kind.MISSING: 4,
    Kind.ADDED: 4,
    Kind.VALUE: 3,
    Kind.BYTES: 3,
    Kind.ORDER: 2,
    Kind.NUMBER: 1,
}
_LABEL: Final = 6
_FAILURE: Final = 7


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer without its body: the status, None without an answer, how long it took, and what went wrong."""

    status: int | None
    seconds: float
    error: str = ""

    @classmethod
    def of(cls, answer: ModelAnswer) -> "Reply":
        """The answer without its body."""
        return cls(answer.status, answer.seconds, answer.error)

    @property
    def is_ok(self) -> bool:
        """Whether the model answered with a status of 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, section 15

    def __str__(self) -> str:
        return display.short(self.error or f"status {self.status}", display.VALUE_LENGTH)


@dataclass(frozen=True, slots=True)
class ShownDifference:
    """A difference as people see it: texts are redacted, printable and short."""

    pointer: str
    kind: Kind
    base: str
    head: str
    severity: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pair:
    """What became of one request: both replies, and how the answers differ if there are two."""

    request: str
    base: Reply
    head: Reply
    count: int = 0
    """Number of differences."""

    flips: tuple[tuple[str, str], ...] = ()
    distances: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Distances of numbers by JSON pointer with - in place of indexes."""

    shown: tuple[ShownDifference, ...] = ()
    """The gravest differences first."""

    @property
    def is_compared(self) -> bool:
        """Whether both have answered."""
        return self.base.is_ok and self.head.is_ok

    @property
    def worst(self) -> ShownDifference | None:
        """The gravest difference; an answer of only one of the two is graver than any between answers."""
        if self.base.is_ok != self.head.is_ok:
            return ShownDifference("", Kind.MISSING, str(self.base), str(self.head), (_FAILURE, 0.0))
        return self.shown[0] if self.is_compared and self.shown else None


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a comparison, by the names of ``ComparisonResult``."""

    requests: int
    changed: int
    flipped: int
    failed: int
    errors: int
    base_errors: int
    flips: tuple[LabelFlip, ...]
    numbers: tuple[NumericDifference, ...]
    worst: tuple[AnswerDifference, ...]
    latency_ratio: float | None

    def fields(self) -> dict[str, Any]:
        """All of them by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def pair(request: str, base: Reply, head: Reply, found: Sequence[Difference]) -> Pair:
    """What became of a request whose answers differ as ``found``; keeps no answer."""
    distances: dict[str, list[float]] = {}
    for each in found:
        if each.distance is not None and not each.is_redacted:
            place = display.short(each.folded, display.POINTER_LENGTH)
            if place in distances or len(distances) < _MOST_PLACES:
                distances.setdefault(place, []).append(each.distance)
    return Pair(
        request,
        base,
        head,
        len(found),
        tuple(display.label(each) for each in found if each.is_label),
        {place: tuple(values) for place, values in distances.items()},
        tuple(_shown(each) for each in sorted(found, key=_severity, reverse=True)[:MOST_SHOWN]),
    )


def summary(pairs: Sequence[Pair]) -> Summary:
    """The figures of all pairs."""
    compared = [each for each in pairs if each.is_compared]
    return Summary(
        requests=len(compared),
        changed=sum(each.count > 0 for each in compared),
        flipped=sum(bool(each.flips) for each in compared),
        failed=len(pairs) - len(compared),
        errors=sum(not each.head.is_ok for each in pairs),
        base_errors=sum(not each.base.is_ok for each in pairs),
        flips=_flips(compared),
        numbers=_numbers(compared),
        worst=_worst(pairs),
        latency_ratio=_latency_ratio(compared),
    )


def mean_seconds(replies: Iterable[Reply]) -> float | None:
    """The mean time of those that were answered; None if none was."""
    times = [each.seconds for each in replies if each.is_ok]
    return sum(times) / len(times) if times else None


def _flips(compared: Iterable[Pair]) -> tuple[LabelFlip, ...]:
    counts = Counter(flip for each in compared for flip in each.flips)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(LabelFlip(base=base, head=head, count=count) for (base, head), count in ordered[:MOST_FLIPS])


def _numbers(compared: Iterable[Pair]) -> tuple[NumericDifference, ...]:
    by_place: dict[str, list[float]] = {}
    for each in compared:
        for place, values in each.distances.items():
            by_place.setdefault(place, []).extend(values)
    ordered = sorted(by_place.items(), key=lambda item: (-max(item[1]), item[0]))
    return tuple(
        NumericDifference(pointer=place, count=len(each), median=_rounded(_median(each)), max=_rounded(max(each)))
        for place, each in ordered[:MOST_NUMBERS]
    )


def _worst(pairs: Iterable[Pair]) -> tuple[AnswerDifference, ...]:
    found = [(each, worst) for each in pairs if (worst := each.worst)]
    found.sort(key=lambda item: item[1].severity, reverse=True)
    return tuple(
        AnswerDifference(request=each.request, pointer=worst.pointer, base=worst.base, head=worst.head)
        for each, worst in found[:MOST_WORST]
    )


def _latency_ratio(compared: Sequence[Pair]) -> float | None:
    if not compared:
        return None
    base = median(each.base.seconds for each in compared)
    return _rounded(median(each.head.seconds for each in compared) / base) if base > 0 else None


def _shown(difference: Difference) -> ShownDifference:
    base, head = display.shown(difference)
    return ShownDifference(display.place(difference.path), difference.kind, base, head, _severity(difference))


def _severity(difference: Difference) -> tuple[float, float]:
    return (_LABEL if difference.is_label else _SEVERITY[difference.kind]), difference.relative


def _median(values: Sequence[float]) -> float:
    """The median, without the sum of the two in the middle, which may be infinite."""
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low + (high - low) / 2


def _rounded(number: float) -> float:
    """Six digits, which is all that people read."""
    return float(f"{number:.6g}")
