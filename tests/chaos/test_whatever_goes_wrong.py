"""A covering part of all faults on real processes; `make chaos` goes through every one of them."""

from dataclasses import dataclass

import pytest

from ephemeral_endpoints.local.chaos import matrix, world
from ephemeral_endpoints.local.chaos.points import Point
from ephemeral_endpoints.local.chaos.trial import Result
from ephemeral_endpoints.local.chaos.troubles import Trouble

LANES = 4

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Outcome:
    points: list[Point]
    results: list[Result]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    with world.lanes(LANES, tmp_path_factory.mktemp("chaos"), report=print) as lanes:
        recording = matrix.record(lanes[0])
        cases = matrix.covering(recording.points)
        return Outcome(recording.points, matrix.Matrix(recording, print).run(lanes, cases))


def test_whatever_goes_wrong_the_end_is_the_same(outcome: Outcome) -> None:
    assert {str(result.case): result.complaints for result in outcome.results if result.complaints} == {}


def test_every_call_goes_wrong_and_every_trouble_happens(outcome: Outcome) -> None:
    struck = {result.case.point for result in outcome.results if result.struck}
    assert {point for point in outcome.points if point.is_certain} <= struck
    assert {point.operation for point in outcome.points} == {point.operation for point in struck}
    assert {result.case.trouble for result in outcome.results} == set(Trouble)
