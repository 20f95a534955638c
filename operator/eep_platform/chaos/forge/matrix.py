"""All cases of the forge: generated from a recording, run one after the other in virtual time, and judged."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import aiohttp

from eep_platform.chaos.forge.desk import Time
from eep_platform.chaos.forge.fault_kinds import TIMEOUT_SECONDS, FaultKind, trouble
from eep_platform.chaos.forge.lifecycle import BEGAN, Lifecycle, Seen, duplicates
from eep_platform.chaos.forge.points import Phase, Point, points
from eep_platform.github import running
from eep_platform.github.client import GitHubClient
from ephemeral_endpoints.features.reviews.github.transport import TIMEOUT_SECONDS as USUAL_TIMEOUT_SECONDS

CONVERGED_SECONDS: Final = 1800
"""In virtual time: more than any retry takes, less than the search that would find what is left."""

RECORDED_SECONDS: Final = 150
"""Until nothing changes any more after a phase without a fault."""

AFTER_SECONDS: Final = 15
"""For so long it is watched whether anything follows that should not."""


@dataclass(frozen=True, slots=True)
class Case:
    """A request and how it goes wrong."""

    point: Point
    kind: FaultKind

    def __str__(self) -> str:
        return f"{self.point.phase}: {self.point.operation} {self.kind}"


@dataclass(frozen=True, slots=True)
class Usual:
    """A phase without a fault: the requests by operation, how many of them write, and what is there at the end."""

    counts: Mapping[str, int]
    writes: int
    seconds: float
    reasons: frozenset[str]
    seen: Seen


Recording = Mapping[Phase, Usual]


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a case, which converged if there are no ``violations``; ``seconds`` are virtual ones."""

    case: Case
    seconds: float
    writes: int
    reasons: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()
    fired: bool = True


@dataclass
class Bench:
    """A GitHub whose clock is that of the lifecycles on it."""

    github: GitHubClient
    time: Time

    def record(self) -> Recording:
        """A lifecycle without faults."""
        return asyncio.run(self._record())

    def run(self, recording: Recording, cases: Sequence[Case], report: Callable[[str], None]) -> list[Result]:
        """Run all cases and return their results in the same order; blocks for the whole time."""
        by_phase = ([case for case in cases if case.point.phase is phase] for phase in Phase)
        results: dict[Case, Result] = {}
        for row in zip_longest(*by_phase):
            wanted = [case for case in row if case]
            for result in asyncio.run(self._run(recording, wanted)):
                results[result.case] = result
                if result.violations:
                    report(f"{result.case}; WRONG: {'; '.join(result.violations)}")
        return [results[case] for case in cases]

    async def _record(self) -> Recording:
        found = {}
        async with _session() as session:
            lifecycle = self._start(session, USUAL_TIMEOUT_SECONDS)
            for phase in Phase:
                self.github.forget_calls()
                lifecycle.desk.reasons.clear()
                await lifecycle.act(phase)
                seen, seconds, began, changes = lifecycle.seen(), 0.0, self.time.passed, lifecycle.changes
                for _ in range(RECORDED_SECONDS):
                    await lifecycle.desk.step()
                    if changes != (changes := lifecycle.changes) and seen != (seen := lifecycle.seen()):
                        seconds = self.time.passed - began
                found[phase] = Usual(
                    self.github.calls(),
                    len(self.github.writes()),
                    seconds,
                    frozenset(lifecycle.desk.reasons),
                    seen,
                )
            await lifecycle.desk.stop()
        return found

    async def _run(self, recording: Recording, cases: Iterable[Case]) -> list[Result]:
        by_phase = {case.point.phase: case for case in cases}
        is_slow = any(case.kind is FaultKind.TIMED_OUT for case in by_phase.values())
        results = []
        async with _session() as session:
            lifecycle = self._start(session, TIMEOUT_SECONDS if is_slow else USUAL_TIMEOUT_SECONDS)
            for phase in Phase:
                if not by_phase:
                    break
                case = by_phase.pop(phase, None)
                result = await self._phase(lifecycle, phase, recording[phase], case)
                if result:
                    results.append(result)
                if result and result.violations:
                    # What follows would go wrong for the same reason.
                    break
            await lifecycle.desk.stop()
        for case in by_phase.values():
            results += await self._run(recording, [case])
        return results

    async def _phase(self, lifecycle: Lifecycle, phase: Phase, usual: Usual, case: Case | None) -> Result | None:
        desk, github = lifecycle.desk, self.github
        github.forget_calls()
        desk.reasons.clear()
        if case:
            github.trouble(trouble(case.point, case.kind))
            desk.dies = case.kind.ends_operator
        began = self.time.passed
        await lifecycle.act(phase)
        seen = await self._converge(lifecycle, usual, case)
        seconds = self.time.passed - began
        for _ in range(AFTER_SECONDS if case else 0):
            await desk.step()
        desk.dies = False
        github.trouble()
        if case is None:
            return None
        fired = self._has_fired(case.point)
        after = lifecycle.seen()
        violations = [] if fired else ["the request was not sent"]
        violations += [f"twice: {each}" for each in duplicates(after, lifecycle.replies())]
        if seen != usual.seen or after != usual.seen:
            violations.append(f"not as without the fault: {_difference(usual.seen, after)}")
        reasons = tuple(sorted(desk.reasons - usual.reasons))
        return Result(case, seconds, len(github.writes()) - usual.writes, reasons, tuple(violations), fired)

    async def _converge(self, lifecycle: Lifecycle, usual: Usual, case: Case | None) -> Seen:
        """Let time pass until everything is as without the fault, which has gone wrong by then."""
        seen, changes, began, sent = lifecycle.seen(), lifecycle.changes, self.time.passed, -1
        has_fired = case is None
        while self.time.passed < began + CONVERGED_SECONDS:
            if changes != (changes := lifecycle.changes):
                seen = lifecycle.seen()
            if case and not has_fired and sent != (sent := lifecycle.desk.sent):
                has_fired = self._has_fired(case.point)
            if has_fired and seen == usual.seen:
                break
            await lifecycle.desk.step()
        return seen

    def _has_fired(self, point: Point) -> bool:
        return self.github.calls().get(point.operation, 0) > 0

    def _start(self, session: aiohttp.ClientSession, timeout_seconds: float) -> Lifecycle:
        self.time.passed = 0.0
        return Lifecycle.start(self.github, session, self.time, timeout_seconds)


@contextmanager
def bench() -> Iterator[Bench]:
    """A GitHub for lifecycles; it ends with the context."""
    time = Time(BEGAN)
    with running.running(time.now) as github:
        yield Bench(github, time)


def points_of(recording: Recording) -> list[Point]:
    """Every request in which a fault can be injected."""
    return [point for phase in Phase for point in points(phase, recording[phase].counts)]


def full(chosen: Iterable[Point]) -> list[Case]:
    """Every request with every kind of fault."""
    return [Case(point, kind) for point in chosen for kind in FaultKind]


def covering(chosen: Sequence[Point]) -> list[Case]:
    """Every request and every kind of fault at least once: one case for each request, the kinds in turn."""
    kinds = list(FaultKind)
    return [Case(point, kinds[number % len(kinds)]) for number, point in enumerate(chosen)]


def _session() -> aiohttp.ClientSession:
    # On a connection that is kept, aiohttp itself sends a request again whose answer is lost.
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))


def _difference(expected: Seen, found: Seen) -> str:
    return "; ".join(f"{name}: {found.get(name)}" for name in expected if expected[name] != found.get(name))
