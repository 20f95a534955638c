from collections import Counter, deque

from eep_platform.chaos.fault_kinds import FaultKind
from eep_platform.chaos.lifecycle import LIFECYCLES, Phases
from eep_platform.chaos.matrix import Scenario, covering, enqueue, full, scenarios
from eep_platform.chaos.points import Phase, Point
from eep_platform.chaos.trial import Case

POINTS = [Point(phase, "logs", f"Operation{number}") for phase in Phase for number in range(4)]


def test_all_cases_are_every_call_with_every_kind_of_fault() -> None:
    cases = full(POINTS)
    assert len(set(cases)) == len(POINTS) * len(FaultKind)
    assert {case.kind for case in full(POINTS, [FaultKind.ENDED])} == {FaultKind.ENDED}


def point(phase: Phase, operation: str, nth: int = 1) -> Point:
    return Point(phase, "logs", operation, nth=nth)


def test_the_covering_part_has_every_operation_once_and_every_kind_of_fault() -> None:
    operations = [f"{verb}{number}" for verb in ("Create", "Get") for number in range(len(FaultKind))]
    cases = covering([point(phase, operation) for phase in Phase for operation in operations])
    assert sorted(case.point.operation for case in cases) == sorted(operations)
    assert {case.kind for case in cases} == set(FaultKind)
    assert {case.point.phase for case in cases} == set(Phase)


def test_the_covering_part_takes_few_lifecycles() -> None:
    calls = [point(Phase.CREATE, f"Create{number}") for number in range(4)]
    everywhere = [point(phase, f"Put{number}") for phase in Phase for number in range(4 * (len(Phase) - 1))]
    cases = covering([*everywhere, *calls])
    assert Counter(case.point.phase for case in cases) == dict.fromkeys(Phase, 4)


def test_the_covering_part_prefers_calls_that_every_lifecycle_makes() -> None:
    [case] = covering([point(Phase.DRIFT, "CreateStage", nth=2), point(Phase.CREATE, "CreateStage")])
    assert case.point.is_certain


def test_the_covering_part_ends_no_operator_in_a_call_that_only_reads() -> None:
    cases = covering([point(Phase.START, f"Get{number}") for number in range(2 * len(FaultKind))])
    assert not any(case.kind.ends_operator for case in cases)


def test_every_case_is_in_exactly_one_scenario_and_in_its_own_phase() -> None:
    cases = full(POINTS)
    found = scenarios(cases)
    assert sorted(map(str, cases)) == sorted(str(case) for scenario in found for case in scenario.cases.values())
    assert all(
        phase in scenario.phases and case.point.phase is phase
        for scenario in found
        for phase, case in scenario.cases.items()
    )


def test_half_of_the_scenarios_end_by_expiry() -> None:
    found = scenarios(full(POINTS))
    assert sum(scenario.expires for scenario in found) == len(found) / 2


def test_cases_that_are_tried_again_share_lifecycles_in_which_their_phases_are_free() -> None:
    frequent, rare = LIFECYCLES

    def scenario(phases: Phases, *cases: Case, tries: int) -> Scenario:
        return Scenario(phases, {case.point.phase: case for case in cases}, tries=tries)

    create, other, update = (
        Case(Point(phase, "sqs", operation), FaultKind.LOST)
        for phase, operation in ((Phase.CREATE, "A"), (Phase.CREATE, "B"), (Phase.UPDATE, "A"))
    )
    queue: deque[Scenario] = deque()
    for phases, case, tries in (
        (rare, create, 2),
        (rare, other, 2),
        (frequent, update, 2),
        (rare, update, 1),
        (rare, update, 2),
    ):
        enqueue(queue, scenario(phases, case, tries=tries))
    assert list(queue) == [
        scenario(rare, create, update, tries=2),
        scenario(rare, other, tries=2),
        scenario(frequent, update, tries=2),
        scenario(rare, update, tries=1),
    ]
