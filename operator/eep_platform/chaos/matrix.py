"""All cases: generated from a recording, and run on many lanes in parallel."""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import cycle, zip_longest
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client.exceptions import ApiException

from eep_platform.chaos.fault_kinds import FaultKind
from eep_platform.chaos.lane import Lane
from eep_platform.chaos.lifecycle import LIFECYCLES, Lifecycle, Phases
from eep_platform.chaos.points import Phase, Point, points
from eep_platform.chaos.recorder import ConditionRecorder
from eep_platform.chaos.trial import Case, NotConvergedError, Observation, Result, judge, run
from eep_platform.errors import PlatformError

_TRIES: Final = 3
"""Lifecycles in which a call that not every lifecycle makes is waited for."""
_FAILURES: Final = (NotConvergedError, PlatformError, ApiException, BotoCoreError, ClientError)
"""Errors that end a lifecycle early; its lane is reset."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Lifecycles without faults: the calls, the conditions and the final state of each phase."""

    observations: Mapping[Phase, Observation]
    states: Mapping[Phase, str]

    @property
    def points(self) -> list[Point]:
        """Every call in which a fault can be injected."""
        return [point for phase in Phase for point in points(phase, self.observations[phase].log)]

    @property
    def reasons(self) -> frozenset[tuple[str, str]]:
        """The reasons that are reported without any fault."""
        return frozenset().union(*(each.reasons for each in self.observations.values()))


@dataclass(frozen=True, slots=True)
class Scenario:
    """A lifecycle to run: its phases, and the faults in some of them."""

    phases: Phases
    cases: Mapping[Phase, Case]
    expires: bool = False
    tries: int = _TRIES


def record(lanes: Sequence[Lane]) -> Recording:
    """Run each lifecycle once without faults, on lanes of their own if there are enough.

    A phase of both is recorded as in the last, which has few snapshots.
    """
    with ThreadPoolExecutor(len(LIFECYCLES) if len(lanes) >= len(LIFECYCLES) else 1) as pool:
        recorded = list(pool.map(_recorded, cycle(lanes), LIFECYCLES))
    return Recording(
        {phase: seen for each in recorded for phase, (seen, _) in each.items()},
        {phase: state for each in recorded for phase, (_, state) in each.items()},
    )


def _recorded(lane: Lane, phases: Phases) -> dict[Phase, tuple[Observation, str]]:
    """What each phase of a lifecycle shows without faults, and its final state."""
    lifecycle = Lifecycle(lane, "recorded", LIFECYCLES[phases])
    found: dict[Phase, tuple[Observation, str]] = {}
    with ConditionRecorder(lane.bench, lane.name) as recorder:
        for phase in phases:
            seen = run(lifecycle, phase, recorder, until_stable=True)
            found[phase] = (seen, lifecycle.normal(lifecycle.state()))
    return found


def full(chosen: Iterable[Point], kinds: Collection[FaultKind] = tuple(FaultKind)) -> list[Case]:
    """Every call with every one of these kinds of fault."""
    return [Case(point, kind) for point in chosen for kind in kinds]


def covering(chosen: Iterable[Point]) -> list[Case]:
    """Every operation and, if there are enough of them, every kind of fault at least once, in few lifecycles.

    An operation is taken in the phase that has the fewest cases yet, if possible as a call that every lifecycle makes.
    No operator ends in a call that only reads: it shows nothing that a failure of the call or of the next one does not.
    """
    kinds = {
        True: cycle(FaultKind),
        False: cycle(kind for kind in FaultKind if not kind.ends_operator),
    }
    calls: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for point in chosen:
        calls[point.service, point.operation].append(point)
    taken: Counter[Phase] = Counter()
    found = []
    for each in sorted(calls.values(), key=lambda each: len({point.phase for point in each})):
        point = min(each, key=lambda point: (not point.is_certain, taken[point.phase]))
        taken[point.phase] += 1
        found.append(Case(point, next(kinds[point.is_mutating])))
    return found


def scenarios(cases: Iterable[Case]) -> list[Scenario]:
    """The fewest lifecycles that hold all cases, one in each phase; every second one ends by expiry."""
    by_phase: dict[Phase, list[Case]] = {phase: [] for phase in Phase}
    for case in cases:
        by_phase[case.point.phase].append(case)
    found = []
    # A case belongs to the last lifecycle that has its phase, as its recording does.
    lifecycle_of = {phase: phases for phases in LIFECYCLES for phase in phases}
    for phases in LIFECYCLES:
        own = (by_phase[phase] for phase in phases if lifecycle_of[phase] == phases)
        for number, row in enumerate(zip_longest(*own)):
            found.append(Scenario(phases, {each.point.phase: each for each in row if each}, expires=number % 2 == 1))
    return found


def enqueue(queue: deque[Scenario], scenario: Scenario) -> None:
    """Add a scenario, to the lifecycle of another one that is as often tried, if that has room for its cases."""
    for number, other in enumerate(queue):
        is_alike = (other.phases, other.tries) == (scenario.phases, scenario.tries)
        if is_alike and other.cases.keys().isdisjoint(scenario.cases):
            queue[number] = replace(other, cases={**other.cases, **scenario.cases})
            return
    queue.append(scenario)


@dataclass
class Matrix:
    """Runs scenarios until none is left; ``report`` gets a line for every result."""

    recording: Recording
    report: Callable[[str], None]
    results: list[Result] = field(default_factory=list)
    _queue: deque[Scenario] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _started: int = 0
    _total: int = 0

    def run(self, lanes: Sequence[Lane], cases: Sequence[Case]) -> list[Result]:
        """Run all cases and return their results in the same order; blocks for the whole time."""
        self._queue.extend(scenarios(cases))
        self._total = len(cases)
        with ThreadPoolExecutor(len(lanes)) as pool:
            try:
                for done in [pool.submit(self._work, lane) for lane in lanes]:
                    done.result()
            finally:
                self._queue.clear()
        found = {result.case: result for result in self.results}
        return [found[case] for case in cases]

    def _work(self, lane: Lane) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    return
                scenario = self._queue.popleft()
                self._started += 1
                name = f"pr-{self._started}"
            self._run(lane, name, scenario)

    def _run(self, lane: Lane, name: str, scenario: Scenario) -> None:
        if scenario.tries < _TRIES:
            lane.end_operator()  # The call may be one that an operator makes once, and this one has made it.
        lifecycle = Lifecycle(lane, name, LIFECYCLES[scenario.phases], self.recording.states, scenario.expires)
        undone = dict(scenario.cases)
        with ConditionRecorder(lane.bench, lane.name) as recorder:
            for phase in scenario.phases:
                case = undone.pop(phase, None)
                try:
                    seen = run(lifecycle, phase, recorder, case)
                except _FAILURES as error:
                    self._abort(lane, case, undone, scenario, f"{type(error).__name__} in {phase}: {error}")
                    return
                if case:
                    self._finish(case, seen, scenario)

    def _finish(self, case: Case, seen: Observation, scenario: Scenario) -> None:
        result = judge(case, seen, self.recording.observations[case.point.phase], self.recording.reasons)
        if not seen.fired and scenario.tries > 1:
            self._requeue({case.point.phase: case}, scenario, scenario.tries - 1)
        else:
            self._record(result)

    def _abort(self, lane: Lane, case: Case | None, undone: Mapping[Phase, Case], scenario: Scenario, why: str) -> None:
        if case:
            self._record(Result(case, 0.0, 0, violations=(why,)))
        else:
            self.report(f"without a fault: {why}")
        if undone:
            self._requeue(undone, scenario, scenario.tries)
        lane.reset()

    def _requeue(self, cases: Mapping[Phase, Case], scenario: Scenario, tries: int) -> None:
        with self._lock:
            enqueue(self._queue, Scenario(scenario.phases, cases, scenario.expires, tries))

    def _record(self, result: Result) -> None:
        with self._lock:
            self.results.append(result)
            reasons = ", ".join(result.reasons) or "nothing"
            figures = f"{result.seconds:.1f} s, {result.mutations:+d} calls, reported {reasons}"
            wrong = f"; WRONG: {'; '.join(result.violations)}" if result.violations else ""
            self.report(f"{len(self.results)}/{self._total} {result.case}: {figures}{wrong}")
