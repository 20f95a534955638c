"""The promise, judged by the log alone: what stayed longer than it may, and what was taken from people.

The rules are written here once more, in the words of the documentation and without the operator's code, so that an
error there is none here.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from eep_platform.bench.month.account import Span
from eep_platform.bench.month.agenda import HOUR, MINUTE, moment, seconds
from eep_platform.bench.month.story import Inputs, Trouble, Window
from ephemeral_endpoints.engine.resources import Key, Phase
from ephemeral_endpoints.features.routing.specs import FUNCTION, INTEGRATION, ROUTE
from ephemeral_endpoints.features.serving.specs import ENDPOINT

BOUND: Final = 2 * HOUR
"""So long everything must be well in a row after the end of an object, until nothing of it is left.

The longest way there: 15 minutes until a forge that failed is asked again, 10 minutes of grace, four quarters of an
hour in which at most a quarter of all objects ends in each, and the time that AWS takes.
"""

REAPER_GRACE: Final = 24 * HOUR
REAPER_BOUND: Final = HOUR
"""So long AWS must be well in a row after the grace, until the reaper has taken everything."""

EXTENDED_WITHIN: Final = 15 * MINUTE
"""So long everything must be well after an extension, until it counts for the reaper too."""

MOST_BELIEVED: Final = 10
SHARE_BELIEVED: Final = 0.25
"""So many pull requests that close at about the same time are believed to be closed, whichever is more."""

CLOSE_GRACE: Final = 10 * MINUTE
TTL: Final = timedelta(hours=72)
MAX_TTL: Final = timedelta(hours=336)

STOPS_AT, ENDS_AT = 1.0, 1.2
"""At which share of its budget an endpoint sleeps, and its object ends."""

USE_STEP: Final = timedelta(hours=1) + TTL / 12
"""So much later than a look and a whole time to live an object may end: looks are noted now and then only."""

UPDATE: Final = 10 * MINUTE
"""So long at most an endpoint costs twice with each revision, since old and new instances run; and after its end, until
the operator sees it gone."""

_FRACTIONS: Final = 2.0
"""The times in the status of an object have no fractions, nor has the Date of an answer, after which no use is."""

_FLIP: Final = 2 * MINUTE
"""Whoever reopens a pull request for less than two rounds of queries may go unseen."""

_BY_TAGS: Final = frozenset({"reaper", "cronjob"})
"""Who knows of ends of life only."""

_SERVING: Final = frozenset({ENDPOINT, FUNCTION, INTEGRATION, ROUTE})
_CALLS: Final = frozenset(
    {Trouble.OPERATOR, Trouble.HANDOVER, Trouble.PAUSE, Trouble.CLUSTER, Trouble.AWS, Trouble.THROTTLED}
)
_CLOCKS: Final = frozenset({Trouble.AHEAD, Trouble.BEHIND, Trouble.LOCAL})
_FORGE: Final = frozenset({Trouble.FORGE, Trouble.FORGETS, Trouble.LIES})
_OF_AWS: Final = frozenset({Trouble.AWS, Trouble.THROTTLED})


@dataclass(slots=True)
class Life:
    """An object: times are seconds since the start, ``stamp`` is its creationTimestamp."""

    name: str
    number: int
    made_at: float
    stamp: datetime
    extensions: list[tuple[float, datetime]] = field(default_factory=list)
    """When somebody prolonged it, and until when: each revision does, by a whole time to live."""

    told: list[tuple[float, datetime]] = field(default_factory=list)
    """When the status said so, and what."""

    used: list[float] = field(default_factory=list)
    """When somebody looked at it."""

    deleted_at: float | None = None
    """When somebody deleted it, or removed its finalizer."""

    is_stripped: bool = False
    """Whether somebody removed its finalizer: what it had is swept, which waits for clocks that agree."""

    is_pinned: bool = False
    """Whether somebody has it live as long as its class allows."""

    def end(self, extensions: Iterable[datetime]) -> datetime:
        """When its time to live is over."""
        return min(max(self.stamp + TTL, *extensions, self.stamp), self.stamp + MAX_TTL)


@dataclass(frozen=True, slots=True)
class Deletion:
    """An attempt to delete a resource; ``sight`` is when the forge last answered about its pull request."""

    at: float
    key: Key
    owner: str
    by: str
    phase: Phase
    sight: float | None


@dataclass(slots=True)
class Log:
    """What happened. ``closed`` has the times in which pull requests are closed, by number."""

    windows: list[Window]
    inputs: Inputs = field(default_factory=Inputs)
    lives: dict[str, Life] = field(default_factory=dict)
    """By the owner in the names of resources."""

    closed: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    sights: dict[str, float] = field(default_factory=dict)
    deletions: list[Deletion] = field(default_factory=list)
    held: list[tuple[float, float]] = field(default_factory=list)
    """When closed pull requests were held for a person to confirm."""

    reaper_held_at: list[float] = field(default_factory=list)
    """Runs of the reaper whose breaker held objects."""


def lost(log: Log, spans: Collection[Span] = ()) -> list[Deletion]:
    """What was taken from people: of an open pull request, within its time to live, and deleted by nobody.

    A forge that lies about few pull requests is believed, and so is one that lies about new ones; not about many.
    ``spans`` tell what of its budget an object had spent, which ends a part of it or all.
    """
    found = [each for each in log.deletions if each.key.kind in _SERVING and _is_lost(each, log)]
    found = [each for each in found if not _is_spent(each, log, spans)]
    return [each for each in found if each not in _believed(found, log)]


def leaked(log: Log, spans: Collection[Span], until: float) -> float:
    """The hours of all resources beyond the promise."""
    deadlines = {owner: deadline(life, log) for owner, life in log.lives.items()}
    stops = {owner: _stop(owner, life, log, spans, until) for owner, life in log.lives.items() if log.inputs.budget}
    of_budgets = sum(overdue(each, stops, until) for each in spans if each.key.kind is ENDPOINT)
    return (sum(overdue(each, deadlines, until) for each in spans) + of_budgets) / HOUR


def overdue(span: Span, deadlines: dict[str, float], until: float) -> float:
    """The seconds of a resource beyond the promise."""
    due = deadlines.get(span.owner or "")
    return 0.0 if due is None else max(0.0, (until if span.gone_at is None else span.gone_at) - max(due, span.made_at))


def deadline(life: Life, log: Log) -> float:
    """By when nothing of an object may be left, in seconds."""
    return min(_deadlines(life, log), default=float("inf"))


def _deadlines(life: Life, log: Log) -> Iterator[float]:
    ends_at = seconds(max((life.end(until for _, until in life.extensions), *(end for _, end in life.told))))
    if log.inputs.counts_use:
        ends_at += USE_STEP.total_seconds()
    if life.deleted_at is not None:
        yield _calm(log, life.deleted_at, BOUND, _CALLS | (_CLOCKS if life.is_stripped else frozenset()))
    yield _calm(log, ends_at, BOUND, _CALLS | _CLOCKS)
    for start, end in log.closed.get(life.number, ()):
        if end > life.made_at:
            at = _calm(log, max(start, life.made_at), BOUND, _CALLS | _CLOCKS | _FORGE, log.held)
            if at <= end:
                yield at
    first = ends_at + REAPER_GRACE
    done = _calm(log, first, REAPER_BOUND, _OF_AWS)
    is_held = any(first <= at <= done for at in log.reaper_held_at)
    yield _calm(log, first + REAPER_GRACE, REAPER_BOUND, _OF_AWS) if is_held else done


def _calm(
    log: Log, since: float, length: float, troubles: Collection[Trouble], more: Iterable[tuple[float, float]] = ()
) -> float:
    """The end of the first time of this length, not before ``since``, in which none of these troubles was."""
    start = since
    wrong = [(each.start, each.end) for each in log.windows if each.trouble in troubles]
    for began, ended in sorted([*wrong, *more]):
        if began >= start + length:
            break
        start = max(start, ended)
    return start + length


def _is_lost(deletion: Deletion, log: Log) -> bool:
    life = log.lives.get(deletion.owner)
    if life is None or deletion.phase is Phase.FAILED:
        return False
    if life.deleted_at is not None and life.deleted_at <= deletion.at:
        return False
    if _sleeps(deletion, life, log):
        return False
    if moment(deletion.at) >= _promised_end(life, log, deletion.at) - timedelta(minutes=1):
        return False
    if deletion.by in _BY_TAGS:
        return True
    seen_at = deletion.at if deletion.sight is None else deletion.sight
    was_closed = (
        start <= seen_at - CLOSE_GRACE + _FLIP and seen_at <= end for start, end in log.closed.get(life.number, ())
    )
    return not any(was_closed)


def _sleeps(deletion: Deletion, life: Life, log: Log) -> bool:
    """Whether the endpoint only sleeps: everything else of it stays, and nobody has used it for long enough."""
    if not log.inputs.idle or deletion.key.kind is not ENDPOINT or deletion.by != "operator":
        return False
    uses = (life.made_at, *life.used, *(at for at, _ in life.extensions))
    return max(each for each in uses if each <= deletion.at) <= deletion.at - log.inputs.idle + _FRACTIONS


def spent(owner: str, log: Log, spans: Iterable[Span], at: float) -> float:
    """What the endpoints of an object have cost until then, in USD."""
    own = (each for each in spans if _costs(each, owner))
    lasted = (max(0.0, min(at, each.gone_at or at) - each.made_at) for each in own)
    return sum(lasted) / HOUR * log.inputs.price


def _is_spent(deletion: Deletion, log: Log, spans: Iterable[Span]) -> bool:
    """Whether the budget of the object asks for it. One that is pinned loses nothing by it."""
    life, budget = log.lives[deletion.owner], log.inputs.budget
    if not budget or life.is_pinned:
        return False
    share = STOPS_AT if deletion.key.kind is ENDPOINT else ENDS_AT
    twice = (1 + len(life.extensions)) * UPDATE / HOUR * log.inputs.price
    return spent(deletion.owner, log, spans, deletion.at) + twice >= budget * share


def _stop(owner: str, life: Life, log: Log, spans: Iterable[Span], until: float) -> float:
    """By when the endpoints of an object have to be gone since its budget is spent, in seconds."""
    left = log.inputs.budget * STOPS_AT / log.inputs.price * HOUR
    own = (each for each in spans if _costs(each, owner))
    lasted = sorted((each.made_at, until if each.gone_at is None else each.gone_at) for each in own)
    for made_at, gone_at in lasted if not life.is_pinned else ():
        if gone_at - made_at >= left:
            return _calm(log, made_at + left, BOUND, _CALLS | _CLOCKS)
        left -= gone_at - made_at
    return float("inf")


def _costs(span: Span, owner: str) -> bool:
    return span.owner == owner and span.key.kind is ENDPOINT


def _believed(found: Iterable[Deletion], log: Log) -> set[Deletion]:
    """What went because the forge lied, as far as that may be."""
    believed: set[Deletion] = set()
    for lie in (each for each in log.windows if each.trouble is Trouble.LIES):
        misled = {each for each in found if each.sight is not None and lie.start <= each.sight <= lie.end + MINUTE}
        before = {each.owner for each in misled if log.lives[each.owner].made_at < lie.start}
        living = sum(each.made_at < lie.start < deadline(each, log) for each in log.lives.values())
        if len(before) <= max(MOST_BELIEVED, ceil(living * SHARE_BELIEVED)):
            believed |= misled
    return believed


def _promised_end(life: Life, log: Log, at: float) -> datetime:
    """The end of life that counts: as the status said, and as extensions asked for that there was time to note."""
    counted = [
        until
        for asked_at, until in life.extensions
        if asked_at + EXTENDED_WITHIN <= at and _calm(log, asked_at, EXTENDED_WITHIN, _CALLS) <= at
    ]
    return max(life.end(counted), *(end for told_at, end in life.told if told_at <= at), life.stamp)
