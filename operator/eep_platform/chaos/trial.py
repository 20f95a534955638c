"""One trial: a phase of a lifecycle in which one call fails, and the verdict on what was observed."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from eep_platform.aws.ledger import Call
from eep_platform.chaos.fault_kinds import FaultKind, faults
from eep_platform.chaos.lane import Lane
from eep_platform.chaos.lifecycle import Lifecycle
from eep_platform.chaos.points import Phase, Point, has_snapshots, is_mutating
from eep_platform.chaos.recorder import ConditionRecorder, ReportedCondition
from eep_platform.errors import PlatformError
from eep_platform.processes import wait_until
from ephemeral_endpoints.aws.clients import READ_TIMEOUT_SECONDS
from ephemeral_endpoints.engine.errors import NotFound
from ephemeral_endpoints.features.serving.reasons import EventsUnavailable

CONVERGED_SECONDS: Final = 180.0
"""Far more than any retry takes, far less than the interval of rare snapshots, which would repair everything."""

_SNAPSHOTS: Final = 2
"""Snapshots that must begin until one has made all its calls; the phase may finish before that."""

_POLL_SECONDS: Final = 0.1
_WAITING: Final = frozenset(
    {"Creating", "Deleting", "Expired", "NotAnswering", "NotLookedUp", "Updating", "WaitingForImage", "WaitingForToken"}
)
"""Reported while a dependency does not exist yet."""
_OF_EVENTS: Final = frozenset({EventsUnavailable.reason.name})
_OF_DRIFT: Final = frozenset({NotFound.reason.name})
"""Reported of a resource that is deleted while the operator is about to change it."""
_STABLE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """A call and how it fails."""

    point: Point
    kind: FaultKind

    def __str__(self) -> str:
        return f"{self.point.phase}: {self.point.service} {self.point} {self.kind}"

    @property
    def must_be_reported(self) -> bool:
        """Whether a person has to act."""
        return self.kind is FaultKind.DENIED and self.point.is_mutating

    def is_named_by(self, reported: Iterable[ReportedCondition]) -> bool:
        """Whether a condition names the call."""
        return any(_names(each, self) for each in reported)


@dataclass(frozen=True, slots=True)
class Observation:
    """What was observed during one phase."""

    seconds: float
    log: tuple[Call, ...]
    reported: tuple[ReportedCondition, ...]
    fired: bool = False

    @property
    def reasons(self) -> frozenset[tuple[str, str]]:
        """The reasons that were reported, with the kind of object that reported each."""
        return frozenset((each.kind, each.reason) for each in self.reported)

    @property
    def mutations(self) -> int:
        """The number of calls that were to change a resource."""
        return sum(is_mutating(call.operation) and call.service != "sqs" for call in self.log)


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a case, which converged if there are no ``violations``.

    ``fired`` is false if the call was not made, as not every lifecycle makes it (``Point.is_certain``).
    """

    case: Case
    seconds: float
    mutations: int
    reasons: tuple[str, ...] = ()
    """Reasons that were reported because of the fault: those of the object before those of its class."""
    violations: tuple[str, ...] = ()
    fired: bool = True


class NotConvergedError(Exception):
    """A phase did not finish in time."""


def run(
    lifecycle: Lifecycle,
    phase: Phase,
    recorder: ConditionRecorder,
    case: Case | None = None,
    *,
    until_stable: bool = False,
) -> Observation:
    """Run a phase of a lifecycle, with the fault of a case if any; with ``until_stable``, until AWS does not change.

    Raises NotConvergedError.
    """
    lane = lifecycle.lane
    lifecycle.prepare(phase)
    lane.bench.control.reset_meter()
    recorder.forget()
    if case:
        lane.bench.control.add_faults(*faults(case.point, case.kind))
    began = time.monotonic()
    fired = False
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(lifecycle.act, phase)
        if case:
            fired = _wait_fired(lifecycle, case.point, acting)
        if case and fired and case.kind.ends_operator:
            fired = _replace_operator(lane, case, acting)
        else:
            acting.result()
    _wait(lifecycle, phase, lambda: lifecycle.has_finished(phase))
    seconds = time.monotonic() - began
    if case and fired and case.must_be_reported:
        _wait_reported(recorder, case)
    if until_stable:
        _wait_stable(lane, phase)
    log = tuple(lane.bench.control.log())
    lane.bench.control.clear_faults()
    _wait_recorded(lane, recorder, lifecycle.name)
    return Observation(seconds, log, tuple(recorder.reported()), fired)


def judge(case: Case, seen: Observation, reference: Observation, known: frozenset[tuple[str, str]]) -> Result:
    """Compare a phase with its reference without the fault; ``known`` are the reasons of lifecycles without faults."""
    fitting = _fitting(case)
    reported = [each for each in seen.reported if (each.kind, each.reason) not in known or _names(each, case)]
    reported = [each for each in reported if each.kind == "object" or (each.reason in fitting and _names(each, case))]
    reasons = tuple(dict.fromkeys(each.reason for each in sorted(reported, key=lambda each: each.kind != "object")))
    violations = list(_violations(case, seen, reported))
    return Result(case, seen.seconds, seen.mutations - reference.mutations, reasons, tuple(violations), seen.fired)


def _fitting(case: Case) -> frozenset[str]:
    of_events = _OF_EVENTS if case.point.service == "sqs" else frozenset()
    of_drift = _OF_DRIFT if case.point.phase is Phase.DRIFT else frozenset()
    return case.kind.reasons | _WAITING | of_events | of_drift


def _names(reported: ReportedCondition, case: Case) -> bool:
    """Whether a condition names the call; one of a class, to which all operators write, counts only then."""
    return f"{case.point.operation}: " in reported.message


def _violations(case: Case, seen: Observation, reported: Iterable[ReportedCondition]) -> Iterable[str]:
    if not seen.fired and case.point.is_certain:
        yield "the call was not made"
    if seen.fired and case.must_be_reported and not case.is_named_by(seen.reported):
        yield "no condition reported the missing permission"
    if any(each.type == "Stalled" and each.status == "True" for each in seen.reported):
        yield "Stalled although the fault is temporary"
    if strange := [f"{each.reason} ({each.message})" for each in reported if each.reason not in _fitting(case)]:
        yield f"reported reasons that do not fit: {'; '.join(strange)}"


def _wait_fired(lifecycle: Lifecycle, point: Point, acting: Future[None]) -> bool:
    """Wait until the fault has fired or the call will not be made any more; whether it has fired."""
    lane, phase = lifecycle.lane, point.phase

    def has_finished() -> bool:
        return acting.done() and acting.result() is None and lifecycle.has_finished(phase)

    _wait(lifecycle, phase, lambda: lane.has_fired() or has_finished())
    if point.is_of_snapshot:
        last = lane.snapshots() + _SNAPSHOTS
        _wait(lifecycle, phase, lambda: lane.has_fired() or lane.snapshots() >= last)
    return lane.has_fired()


def _replace_operator(lane: Lane, case: Case, acting: Future[None]) -> bool:
    """End the operator while the call is held, and start another; whether it ended before its call timed out.

    The call of one that is killed is released only when it is gone: none of its threads can see the outcome. One that
    is asked to end finishes the call first.
    """
    is_asked = case.kind is FaultKind.ENDED
    (lane.ask_operator_to_end if is_asked else lane.kill_operator)()
    began = min(call.time for call in lane.bench.control.log() if call.operation == case.point.operation)
    held = datetime.now(UTC) - began
    if is_asked:
        lane.release_calls()
        lane.wait_operator_ended()
    # An operator that ends while it starts makes the start fail, as intended.
    if (failure := acting.exception()) and case.point.phase is not Phase.START:
        raise failure
    lane.release_calls()
    lane.run_operator()
    return held < timedelta(seconds=READ_TIMEOUT_SECONDS)


def _wait_reported(recorder: ConditionRecorder, case: Case) -> None:
    """A class may report later than the object; ``judge`` objects if neither does."""
    with suppress(PlatformError):
        wait_until(
            lambda: case.is_named_by(recorder.reported()), seconds=CONVERGED_SECONDS, what=f"a condition about {case}"
        )


def _wait_stable(lane: Lane, phase: Phase) -> None:
    if has_snapshots(phase):
        last = lane.snapshots() + _SNAPSHOTS
        wait_until(lambda: lane.snapshots() >= last, seconds=CONVERGED_SECONDS, what="whole snapshots")
    count, since = -1, time.monotonic()
    while time.monotonic() - since < _STABLE_SECONDS:
        now = sum(is_mutating(call.operation) for call in lane.bench.control.log())
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(_POLL_SECONDS)


def _wait_recorded(lane: Lane, recorder: ConditionRecorder, name: str) -> None:
    for each, found in ((name, lane.bench.get(name)), (lane.name, lane.get_class())):
        recorder.wait_for_version(each, found["metadata"]["resourceVersion"] if found else None)


def _wait(lifecycle: Lifecycle, phase: Phase, check: Callable[[], bool]) -> None:
    """Wait for a check, which may list the whole account: most of the time is left to the operators."""
    deadline = time.monotonic() + CONVERGED_SECONDS
    began = time.monotonic()
    while not check():
        if time.monotonic() > deadline:
            raise NotConvergedError(f"{phase} did not finish within {CONVERGED_SECONDS:g} s: {lifecycle.describe()}")
        time.sleep(max(_POLL_SECONDS, 2 * (time.monotonic() - began)))
        began = time.monotonic()
