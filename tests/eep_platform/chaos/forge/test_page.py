from eep_platform.chaos.forge import page
from eep_platform.chaos.forge.fault_kinds import FaultKind
from eep_platform.chaos.forge.matrix import Case, Result, Usual
from eep_platform.chaos.forge.points import Phase, Point

RECORDING = {phase: Usual({}, 2, 5.0, frozenset(), {}) for phase in Phase}
POINT = Point(Phase.PUSH, "repos/create-deployment")
GOOD = Result(Case(POINT, FaultKind.SECONDARY), 61.0, 1, ("ForgeLimited",))
BAD = Result(Case(POINT, FaultKind.LOST), 2.0, 0, violations=("twice: a deployment on 42",))


def test_a_row_has_seconds_writes_and_reported_reasons() -> None:
    text = page.render(RECORDING, [GOOD])
    assert "| `repos/create-deployment` |  |  |  |  |  | 61 +1 FL |" in text
    assert "FL `ForgeLimited`" in text
    assert "**1 of 1 cases converged** (1 requests)." in text


def test_failed_cases_are_listed() -> None:
    text = page.render(RECORDING, [GOOD, BAD])
    assert "**1 of 2 cases converged**" in text
    assert "- push: repos/create-deployment answer lost: twice: a deployment on 42" in text
