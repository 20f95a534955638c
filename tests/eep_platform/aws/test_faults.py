import asyncio

import pytest
from microburst.core.context import RequestContext
from pydantic import ValidationError

from eep_platform.aws.faults import Fault, FaultError, Faults, loses_answer, only_delays


def call(service: str, operation: str, resource: str | None = None) -> RequestContext:
    return RequestContext(service=service, operation=operation, resource=resource)


def test_a_fault_fires_as_often_as_configured_and_counts() -> None:
    faults = Faults()
    fault = Fault(service="logs", operation="CreateLogGroup", times=2, reset=True)
    faults.add([fault])
    struck = [faults.decide(call("logs", "CreateLogGroup")) is not None for _ in range(4)]
    assert struck == [True, True, False, False]
    assert [(each.fault, each.fired) for each in faults.fired()] == [(fault, 2)]


@pytest.mark.parametrize(
    ("fault", "struck", "reason"),
    [
        (Fault(service="logs", reset=True), True, "every operation of the service"),
        (Fault(service="*", reset=True), True, "every service"),
        (Fault(service="logs", operation="CreateLogGroup", resource="pr-1", reset=True), True, "part of the name"),
        (Fault(service="logs", operation="CreateLogGroup", resource="pr-2", reset=True), False, "another resource"),
        (Fault(service="logs", operation="DeleteLogGroup", reset=True), False, "another operation"),
        (Fault(service="lambda", reset=True), False, "another service"),
    ],
)
def test_a_fault_chooses_calls(fault: Fault, struck: bool, reason: str) -> None:  # noqa: FBT001 - a column of the table
    faults = Faults()
    faults.add([fault])
    assert (faults.decide(call("logs", "CreateLogGroup", "/eep/pr-1")) is not None) is struck, reason


def test_the_first_of_several_decides_and_clearing_ends_all() -> None:
    faults = Faults()
    faults.add([Fault(service="logs", times=1, answer_lost=True)])
    faults.add([Fault(service="logs", delay_seconds=1)])
    first, second = (faults.decide(call("logs", "CreateLogGroup")) for _ in range(2))
    assert first is not None
    assert second is not None
    assert (loses_answer(first), only_delays(first)) == (True, False)
    assert (loses_answer(second), only_delays(second), second.latency_ms) == (False, True, 1000)
    faults.clear()
    assert faults.decide(call("logs", "CreateLogGroup")) is None
    assert faults.fired() == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"service": "logs"}, "say what happens"),
        ({"service": "logs", "reset": True, "answer_lost": True}, "choose one of"),
        ({"service": "logs", "error": {"code": "X"}, "timeout_seconds": 1}, "choose one of"),
        ({"service": "sagemeker", "reset": True}, "no AWS service 'sagemeker'"),
        ({"service": "sagemaker", "operation": "MakeModel", "reset": True}, "sagemaker has no operation MakeModel"),
        ({"service": "logs", "reset": True, "times": 0}, "greater than or equal to 1"),
        ({"service": "logs", "reset": True, "probabilty": 1}, "Extra inputs"),
        ({"service": "logs", "error": {"code": "X", "status": 200}}, "greater than or equal to 400"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Fault.model_validate(fault)


def test_an_error_is_passed_to_the_rules_whole() -> None:
    fault = Fault(service="lambda", error=FaultError(code="ServiceException", message="m", status=500))
    assert fault.rule()["error"] == {"code": "ServiceException", "message": "m", "status": 500}


async def test_clearing_what_has_fired_lets_held_calls_go_and_leaves_the_rest_in_force() -> None:
    faults = Faults()
    faults.add([Fault(service="logs", held=True, times=1), Fault(service="ecr", reset=True, times=1)])
    decision = faults.decide(call("logs", "CreateLogGroup"))
    assert decision
    held = asyncio.create_task(faults.hold(decision))
    await asyncio.sleep(0)
    assert not held.done()
    faults.clear(only_fired=True)
    await held
    assert [(each.fault.service, each.fired) for each in faults.fired()] == [("ecr", 0)]
