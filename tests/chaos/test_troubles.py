import pytest

from ephemeral_endpoints.local.chaos.points import Phase, Point
from ephemeral_endpoints.local.chaos.troubles import Trouble, faults


@pytest.mark.parametrize("trouble", Trouble)
def test_a_trouble_strikes_once_and_only_its_own_call(trouble: Trouble) -> None:
    point = Point(Phase.CREATE, "logs", "CreateLogGroup", "/aws/lambda/")
    (fault,) = faults(point, trouble)
    assert (fault.service, fault.operation, fault.resource, fault.times) == (
        "logs",
        "CreateLogGroup",
        "/aws/lambda/",
        1,
    )


def test_what_comes_before_the_struck_call_passes() -> None:
    passing, struck = faults(Point(Phase.LEAVE, "sagemaker", "DescribeModel", nth=3), Trouble.RESET)
    assert passing.times == 2
    assert (passing.reset, passing.answer_lost, passing.error) == (False, False, None)
    assert struck.reset


def test_only_a_lost_answer_and_a_kill_after_the_call_let_it_happen() -> None:
    point = Point(Phase.CREATE, "lambda", "CreateFunction")
    done = {trouble for trouble in Trouble for fault in faults(point, trouble) if not (fault.error or fault.reset)}
    assert done == {Trouble.LOST, Trouble.KILLED_AFTER}
