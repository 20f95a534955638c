from dataclasses import replace

from ephemeral_endpoints.local.bench.results import Machine
from ephemeral_endpoints.local.chaos import page
from ephemeral_endpoints.local.chaos.matrix import Recording
from ephemeral_endpoints.local.chaos.points import Phase, Point
from ephemeral_endpoints.local.chaos.trial import Case, Result, Seen
from ephemeral_endpoints.local.chaos.troubles import Trouble

MACHINE = Machine(date="2026-01-01", commit="abc", processor="some", cores=2, memory_bytes=1, versions={}, load=0.0)
RECORDING = Recording({phase: Seen(1.0, (), ()) for phase in Phase}, {})
POINT = Point(Phase.CREATE, "logs", "CreateLogGroup", "/aws/lambda/")
GOOD = Result(Case(POINT, Trouble.DENIED), 1.25, 1, ("AccessDenied",))
BAD = Result(Case(POINT, Trouble.RESET), 2.0, 0, complaints=("not at the end",))


def test_a_row_tells_seconds_calls_and_what_was_told() -> None:
    text = page.render(MACHINE, RECORDING, [GOOD])
    assert "| logs `CreateLogGroup` /aws/lambda/ |  |  |  |  | 1.2 +1 AD |  |  |  |" in text
    assert "AD `AccessDenied`" in text
    assert "**1 of 1 cases converged**" in text


def test_what_went_wrong_is_not_hidden() -> None:
    text = page.render(MACHINE, RECORDING, [GOOD, BAD])
    assert "**1 of 2 cases converged**" in text
    assert "**wrong**" in text
    assert f"- {BAD.case}: not at the end" in text


def test_a_call_that_was_not_made_does_not_count() -> None:
    text = page.render(MACHINE, RECORDING, [GOOD, replace(BAD, complaints=(), struck=False)])
    assert "**1 of 1 cases converged**" in text
    assert "| · |" in text


def test_a_run_of_a_part_says_so() -> None:
    every = [Result(Case(POINT, trouble), 1.0, 0) for trouble in Trouble]
    assert "in each of 8 ways, one at a time" in page.render(MACHINE, RECORDING, every)
    assert "in one of 8 ways (`make chaos` tries all of them)" in page.render(MACHINE, RECORDING, every[:1])
