from dataclasses import replace

from eep_platform.bench.results import Machine
from eep_platform.chaos import page
from eep_platform.chaos.fault_kinds import FaultKind
from eep_platform.chaos.matrix import Recording
from eep_platform.chaos.points import Phase, Point
from eep_platform.chaos.trial import Case, Observation, Result

MACHINE = Machine(date="2026-01-01", commit="abc", processor="some", cores=2, memory_bytes=1, versions={}, load=0.0)
RECORDING = Recording({phase: Observation(1.0, (), ()) for phase in Phase}, {})
POINT = Point(Phase.CREATE, "logs", "CreateLogGroup", "/aws/lambda/")
GOOD = Result(Case(POINT, FaultKind.DENIED), 1.25, 1, ("AccessDenied",))
BAD = Result(Case(POINT, FaultKind.RESET), 2.0, 0, violations=("not at the end",))


def render(results: list[Result]) -> str:
    return page.render(MACHINE, RECORDING, results, "## The forge")


def test_a_row_has_seconds_calls_and_reported_reasons() -> None:
    text = render([GOOD])
    assert "| logs `CreateLogGroup` /aws/lambda/ |  |  |  |  | 1.2 +1 AD |  |  |  |  |" in text
    assert "AD `AccessDenied`" in text
    assert "**1 of 1 cases converged**" in text


def test_failed_cases_are_listed() -> None:
    text = render([GOOD, BAD])
    assert "**1 of 2 cases converged**" in text
    assert "**wrong**" in text
    assert f"- {BAD.case}: not at the end" in text


def test_a_call_that_was_not_made_does_not_count() -> None:
    text = render([GOOD, replace(BAD, violations=(), fired=False)])
    assert "**1 of 1 cases converged**" in text
    assert "| · |" in text


def test_a_run_of_a_part_says_so() -> None:
    every = [Result(Case(POINT, kind), 1.0, 0) for kind in FaultKind]
    assert "in each of 9 ways, one at a time" in render(every)
    assert "in at least one of 9 ways (`make chaos` tries all of them)" in render(every[:1])
