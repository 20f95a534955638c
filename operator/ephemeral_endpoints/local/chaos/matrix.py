"""All cases: generated from a recording, gone through on many lanes at once."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client.exceptions import ApiException

from ephemeral_endpoints.local.chaos.lane import Lane
from ephemeral_endpoints.local.chaos.life import LIVES, Life, Phases
from ephemeral_endpoints.local.chaos.points import Phase, Point, points
from ephemeral_endpoints.local.chaos.trial import Case, NotConvergedError, Result, Seen, judge, run
from ephemeral_endpoints.local.chaos.troubles import Trouble
from ephemeral_endpoints.local.chaos.witness import Witness
from ephemeral_endpoints.local.errors import PlatformError

_TRIES: Final = 3
"""A call that some lives make and others do not gets so many lives."""
_FAILURES: Final = (NotConvergedError, PlatformError, ApiException, BotoCoreError, ClientError)
"""What ends a life early; the lane begins anew."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A life in which nothing goes wrong: what each phase calls, tells and leads to."""

    seen: Mapping[Phase, Seen]
    states: Mapping[Phase, str]

    @property
    def points(self) -> list[Point]:
        """Every call where a fault can strike."""
        return [point for phase in Phase for point in points(phase, self.seen[phase].log)]

    @property
    def reasons(self) -> frozenset[tuple[str, str]]:
        """What is told where nothing goes wrong."""
        return frozenset().union(*(seen.reasons for seen in self.seen.values()))


@dataclass(frozen=True, slots=True)
class Itinerary:
    """A life as it is to be gone through: its phases, and what goes wrong in some of them."""

    phases: Phases
    cases: Mapping[Phase, Case]
    expires: bool = False
    tries: int = _TRIES


def record(lane: Lane) -> Recording:
    """Go through the lives once without faults; what occurs in both counts as in the last, the quiet one."""
    seen: dict[Phase, Seen] = {}
    states: dict[Phase, str] = {}
    for number, (phases, settings) in enumerate(LIVES.items()):
        life = Life(lane, f"record-{number}", settings)
        with Witness(lane.bench, lane.name) as witness:
            for phase in phases:
                seen[phase] = run(life, phase, witness, settle=True)
                states[phase] = life.normal(life.state())
    return Recording(seen, states)


def full(places: Iterable[Point]) -> list[Case]:
    """Every call with every trouble."""
    return [Case(place, trouble) for place in places for trouble in Trouble]


def covering(places: Sequence[Point]) -> list[Case]:
    """Every call and every trouble at least once: one case for each call, the troubles in turn."""
    troubles = list(Trouble)
    return [Case(place, troubles[number % len(troubles)]) for number, place in enumerate(places)]


def itineraries(cases: Iterable[Case]) -> list[Itinerary]:
    """As few lives as hold all cases, one for each phase; every second one ends by expiry."""
    by_phase: dict[Phase, list[Case]] = {phase: [] for phase in Phase}
    for case in cases:
        by_phase[case.point.phase].append(case)
    found = []
    # A case is for the last life that has its phase, as is what was recorded of it.
    life_of = {phase: phases for phases in LIVES for phase in phases}
    for phases in LIVES:
        own = (by_phase[phase] for phase in phases if life_of[phase] == phases)
        for number, row in enumerate(zip_longest(*own)):
            found.append(Itinerary(phases, {each.point.phase: each for each in row if each}, expires=number % 2 == 1))
    return found


@dataclass
class Matrix:
    """Goes through itineraries until none is left. ``say`` hears of every result."""

    recording: Recording
    say: Callable[[str], None]
    results: list[Result] = field(default_factory=list)
    _open: deque[Itinerary] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _lives: int = 0
    _total: int = 0

    def run(self, lanes: Sequence[Lane], cases: Sequence[Case]) -> list[Result]:
        """The results of all cases, in their order. Blocks for as long as it takes."""
        self._open.extend(itineraries(cases))
        self._total = len(cases)
        with ThreadPoolExecutor(len(lanes)) as pool:
            try:
                for done in [pool.submit(self._work, lane) for lane in lanes]:
                    done.result()
            finally:
                self._open.clear()
        found = {result.case: result for result in self.results}
        return [found[case] for case in cases]

    def _work(self, lane: Lane) -> None:
        while True:
            with self._lock:
                if not self._open:
                    return
                itinerary = self._open.popleft()
                self._lives += 1
                name = f"pr-{self._lives}"
            self._live(lane, name, itinerary)

    def _live(self, lane: Lane, name: str, itinerary: Itinerary) -> None:
        life = Life(lane, name, LIVES[itinerary.phases], self.recording.states, itinerary.expires)
        undone = dict(itinerary.cases)
        with Witness(lane.bench, lane.name) as witness:
            for phase in itinerary.phases:
                case = undone.pop(phase, None)
                try:
                    seen = run(life, phase, witness, case)
                except (NotConvergedError, PlatformError) as error:
                    self._failed(lane, case, undone, itinerary, f"{type(error).__name__} in {phase}: {error}")
                    return
                if case:
                    self._concluded(case, seen, itinerary)

    def _concluded(self, case: Case, seen: Seen, itinerary: Itinerary) -> None:
        result = judge(case, seen, self.recording.seen[case.point.phase], self.recording.reasons)
        if not seen.struck and itinerary.tries > 1:
            self._again({case.point.phase: case}, itinerary, itinerary.tries - 1)
        else:
            self._note(result)

    def _failed(
        self, lane: Lane, case: Case | None, undone: Mapping[Phase, Case], itinerary: Itinerary, why: str
    ) -> None:
        if case:
            self._note(Result(case, 0.0, 0, complaints=(why,)))
        else:
            self.say(f"without a fault: {why}")
        if undone:
            self._again(undone, itinerary, itinerary.tries)
        lane.renew()

    def _again(self, cases: Mapping[Phase, Case], itinerary: Itinerary, tries: int) -> None:
        with self._lock:
            self._open.append(Itinerary(itinerary.phases, cases, itinerary.expires, tries))

    def _note(self, result: Result) -> None:
        with self._lock:
            self.results.append(result)
            told = f"{result.seconds:.1f} s, {result.mutations:+d} calls, told {', '.join(result.reasons) or 'nothing'}"
            wrong = f"; WRONG: {'; '.join(result.complaints)}" if result.complaints else ""
            self.say(f"{len(self.results)}/{self._total} {result.case}: {told}{wrong}")
