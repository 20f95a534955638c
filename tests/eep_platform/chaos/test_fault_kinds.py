import pytest

from eep_platform.chaos.fault_kinds import FaultKind, faults
from eep_platform.chaos.points import Phase, Point


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_fires_once_and_only_for_its_own_call(kind: FaultKind) -> None:
    point = Point(Phase.CREATE, "logs", "CreateLogGroup", "/aws/lambda/")
    (fault,) = faults(point, kind)
    assert (fault.service, fault.operation, fault.resource, fault.times) == (
        "logs",
        "CreateLogGroup",
        "/aws/lambda/",
        1,
    )


def test_earlier_calls_of_the_operation_pass() -> None:
    passing, failing = faults(Point(Phase.DELETE, "sagemaker", "DescribeModel", nth=3), FaultKind.RESET)
    assert passing.times == 2
    assert (passing.reset, passing.answer_lost, passing.error) == (False, False, None)
    assert failing.reset


def test_only_a_lost_answer_and_an_end_after_the_call_let_the_call_reach_aws() -> None:
    point = Point(Phase.CREATE, "lambda", "CreateFunction")
    done = {kind for kind in FaultKind for fault in faults(point, kind) if not (fault.error or fault.reset)}
    assert done == {FaultKind.LOST, FaultKind.KILLED_AFTER, FaultKind.ENDED}


def test_a_call_in_which_the_operator_ends_is_held_until_it_is_released() -> None:
    point = Point(Phase.CREATE, "lambda", "CreateFunction")
    assert {kind for kind in FaultKind for fault in faults(point, kind) if fault.held} == {
        kind for kind in FaultKind if kind.ends_operator
    }
