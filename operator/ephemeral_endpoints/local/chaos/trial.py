"""One trial: a phase of a life in which one call goes wrong, and the judgement on what came of it."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.aws.wakeups import EventsUnavailable
from ephemeral_endpoints.core.errors import NotFound
from ephemeral_endpoints.local.aws.ledger import Call
from ephemeral_endpoints.local.chaos.lane import Lane
from ephemeral_endpoints.local.chaos.life import Life
from ephemeral_endpoints.local.chaos.points import Phase, Point, is_mutating
from ephemeral_endpoints.local.chaos.troubles import HELD_SECONDS, Trouble, faults
from ephemeral_endpoints.local.chaos.witness import Told, Witness

CONVERGED_SECONDS: Final = 45.0
_STRUCK_SECONDS: Final = 10.0
_SNAPSHOT_SECONDS: Final = 2.5
"""So soon a snapshot has made all its calls; what a phase leads to may be reached before."""

_POLL_SECONDS: Final = 0.1
_WAITING: Final = frozenset(
    {"Creating", "Deleting", "Expired", "NotAnswering", "NotLookedUp", "Updating", "WaitingForImage", "WaitingForToken"}
)
"""What is told while something that is needed does not exist yet."""
_OF_EVENTS: Final = frozenset({EventsUnavailable.reason})
_OF_DRIFT: Final = frozenset({NotFound.reason})
"""What is told of a thing that somebody takes away while the operator is about to change it."""
_SETTLED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """A call and what happens to it."""

    point: Point
    trouble: Trouble

    def __str__(self) -> str:
        return f"{self.point.phase}: {self.point.service} {self.point} {self.trouble}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a phase from its beginning to its end."""

    seconds: float
    log: tuple[Call, ...]
    told: tuple[Told, ...]
    struck: bool = False

    @property
    def reasons(self) -> frozenset[tuple[str, str]]:
        """Of what kind of object which reasons were told."""
        return frozenset((each.kind, each.reason) for each in self.told)

    @property
    def mutations(self) -> int:
        """How many calls were to change a resource."""
        return sum(is_mutating(call.operation) and call.service != "sqs" for call in self.log)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case; ``complaints`` says what is wrong, and is empty where all is right.

    Without a complaint but not ``struck`` is a call that only some lives make, see ``Point.is_certain``.
    """

    case: Case
    seconds: float
    mutations: int
    reasons: tuple[str, ...] = ()
    """Reasons that were told because of the fault, the first by the object or, else, by its class."""
    complaints: tuple[str, ...] = ()
    struck: bool = True


class NotConvergedError(Exception):
    """A phase did not come to its end in time."""


def run(life: Life, phase: Phase, witness: Witness, case: Case | None = None, *, settle: bool = False) -> Seen:
    """Go through a phase of a life, with a call that goes wrong or without; with ``settle``, until nothing changes.

    Raises NotConvergedError.
    """
    lane = life.lane
    life.prepare(phase)
    lane.bench.control.reset_meter()
    witness.forget()
    if case:
        lane.bench.control.add_faults(*faults(case.point, case.trouble))
    began = time.monotonic()
    in_time = True
    if case and case.trouble.kills:
        in_time = _act_and_kill(life, phase)
    else:
        life.act(phase)
    _wait(life, phase)
    if case:
        in_time &= _strikes(lane, _SNAPSHOT_SECONDS if case.point.is_of_snapshot else 0.0)
        _wait(life, phase)
    seconds = time.monotonic() - began
    if settle:
        _settle(lane)
    log = tuple(lane.bench.control.log())
    lane.bench.control.clear_faults()
    found = lane.bench.get(life.name)
    witness.catch_up(life.name, found["metadata"]["resourceVersion"] if found else None)
    return Seen(seconds, log, tuple(witness.told()), struck=bool(case) and in_time)


def judge(case: Case, seen: Seen, reference: Seen, known: frozenset[tuple[str, str]]) -> Result:
    """Hold what was seen against what would have been without the fault. ``known`` are reasons of a life without."""
    fitting = _fitting(case)
    told = [each for each in seen.told if (each.kind, each.reason) not in known or _names(each, case)]
    told = [each for each in told if each.kind == "object" or (each.reason in fitting and _names(each, case))]
    reasons = tuple(dict.fromkeys(each.reason for each in sorted(told, key=lambda each: each.kind != "object")))
    complaints = list(_complaints(case, seen, told))
    return Result(case, seen.seconds, seen.mutations - reference.mutations, reasons, tuple(complaints), seen.struck)


def _fitting(case: Case) -> frozenset[str]:
    of_events = _OF_EVENTS if case.point.service == "sqs" else frozenset()
    of_drift = _OF_DRIFT if case.point.phase is Phase.DRIFT else frozenset()
    return case.trouble.reasons | _WAITING | of_events | of_drift


def _names(told: Told, case: Case) -> bool:
    """Whether a condition names the call. A class, which every lane's operator writes to, counts only with that."""
    return f"{case.point.operation}: " in told.message


def _complaints(case: Case, seen: Seen, told: Iterable[Told]) -> Iterable[str]:
    if not seen.struck and case.point.is_certain:
        yield "the call was not made"
    is_told = any(_names(each, case) for each in seen.told)
    if seen.struck and case.trouble is Trouble.DENIED and case.point.is_mutating and not is_told:
        yield "nobody was told of the missing permission"
    if any(each.type == "Stalled" and each.status == "True" for each in seen.told):
        yield "Stalled although it passes by itself"
    if strange := [f"{each.reason} ({each.message})" for each in told if each.reason not in _fitting(case)]:
        yield f"told reasons that do not fit: {'; '.join(strange)}"


def _act_and_kill(life: Life, phase: Phase) -> bool:
    """Begin the phase, kill the operator while the call is held, and have another one; whether it was so."""
    lane = life.lane
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(life.act, phase)
        if not _strikes(lane, _STRUCK_SECONDS):
            acting.result()
            return False
        seen_at = time.monotonic()
        held = lane.kill_operator() - seen_at
        # An operator that is killed while it starts makes the start fail, which is what is wanted.
        if (failure := acting.exception()) and phase is not Phase.START:
            raise failure
    time.sleep(max(0.0, seen_at + HELD_SECONDS - time.monotonic()))
    lane.run_operator()
    return held < HELD_SECONDS / 2


def _strikes(lane: Lane, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not _has_struck(lane):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS / 4)
    return True


def _settle(lane: Lane) -> None:
    count, since = -1, time.monotonic()
    while time.monotonic() - since < _SETTLED_SECONDS:
        now = sum(is_mutating(call.operation) for call in lane.bench.control.log())
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(_POLL_SECONDS)


def _has_struck(lane: Lane) -> bool:
    return lane.bench.control.faults()[-1].fired > 0


def _wait(life: Life, phase: Phase) -> None:
    deadline = time.monotonic() + CONVERGED_SECONDS
    while not life.is_over(phase):
        if time.monotonic() > deadline:
            raise NotConvergedError(f"not at the end of {phase} after {CONVERGED_SECONDS:g} s: {life.told()}")
        time.sleep(_POLL_SECONDS)
