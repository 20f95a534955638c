"""A covering part of all faults on real processes; `make chaos` injects every one of them."""

from dataclasses import dataclass

import pytest

from eep_platform.chaos import cluster, matrix
from eep_platform.chaos.fault_kinds import FaultKind
from eep_platform.chaos.points import Point
from eep_platform.chaos.trial import Result

LANES = 2
"""Other tests run beside them."""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]


@dataclass(frozen=True)
class Outcome:
    points: list[Point]
    results: list[Result]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    with cluster.lanes(LANES, tmp_path_factory.mktemp("chaos"), report=print) as lanes:
        recording = matrix.record(lanes)
        cases = matrix.covering(recording.points)
        return Outcome(recording.points, matrix.Matrix(recording, print).run(lanes, cases))


def test_every_case_converges(outcome: Outcome) -> None:
    assert {str(result.case): result.violations for result in outcome.results if result.violations} == {}


def test_every_operation_fails_and_every_kind_of_fault_occurs(outcome: Outcome) -> None:
    fired = {result.case.point for result in outcome.results if result.fired}
    assert {result.case.point for result in outcome.results if result.case.point.is_certain} <= fired
    assert {point.operation for point in outcome.points} == {point.operation for point in fired}
    assert {result.case.kind for result in outcome.results} == set(FaultKind)
