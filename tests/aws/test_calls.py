import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.aws.world import World

from ephemeral_endpoints.aws.calls import THROTTLE_ATTEMPTS, THROTTLE_CAP_SECONDS, Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.limits import Lane, Limit, Limiter
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.local.aws.faults import Fault, FaultError


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def patient(calls: Calls, pauses: list[float]) -> Calls:
    """The door, with pauses that are noted and not waited for."""

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    return replace(calls, sleep=pause)


def throttle(service: str, code: str, status: int, times: int | None = None) -> Fault:
    return Fault(service=service, times=times, error=FaultError(code=code, message="Rate exceeded", status=status))


@pytest.mark.parametrize(
    ("service", "operation", "call", "code", "status"),
    [
        ("sagemaker", "ListModels", lambda clients: clients.sagemaker.list_models, "ThrottlingException", 400),
        ("apigatewayv2", "GetApis", lambda clients: clients.apigateway.get_apis, "TooManyRequestsException", 429),
        ("lambda", "ListFunctions", lambda clients: clients.lambda_.list_functions, "TooManyRequestsException", 429),
        ("cloudwatch", "DescribeAlarms", lambda clients: clients.cloudwatch.describe_alarms, "Throttling", 400),
        ("sts", "GetCallerIdentity", lambda clients: clients.sts.get_caller_identity, "Throttling", 400),
    ],
)
async def test_a_throttled_call_is_repeated_after_growing_pauses(
    *,
    world: World,
    patient: Calls,
    pauses: list[float],
    told: list[tuple[str, str, str]],
    service: str,
    operation: str,
    call: Callable[[Clients], Callable[..., Any]],
    code: str,
    status: int,
) -> None:
    world.aws.control.add_faults(throttle(service, code, status, times=3))
    assert await patient(call(world.clients))
    assert told == [(service, operation, "Throttled")] * 3 + [(service, operation, "ok")]
    for pause, ceiling in zip(pauses, (0.5, 1.0, 2.0), strict=True):
        assert ceiling / 2 <= pause <= ceiling


async def test_throttling_that_does_not_end_is_given_up_and_reported(
    world: World, patient: Calls, pauses: list[float], told: list[tuple[str, str, str]]
) -> None:
    world.aws.control.add_faults(throttle("sagemaker", "ThrottlingException", 400))
    with pytest.raises(errors.Throttled, match=r"ListModels: .*ThrottlingException"):
        await patient(world.clients.sagemaker.list_models)
    assert len(told) == THROTTLE_ATTEMPTS == len(pauses) + 1
    assert max(pauses) <= THROTTLE_CAP_SECONDS


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(service="logs", error=FaultError(code="InternalFailure", status=500)), errors.Transient),
        (Fault(service="logs", error=FaultError(code="AccessDeniedException", status=400)), errors.Denied),
        (Fault(service="logs", reset=True), errors.Transient),
        (Fault(service="logs", answer_lost=True), errors.Transient),
    ],
)
async def test_no_other_failure_is_repeated_for_its_outcome_is_unknown_or_final(
    *,
    world: World,
    patient: Calls,
    pauses: list[float],
    told: list[tuple[str, str, str]],
    fault: Fault,
    expected: type[errors.AwsError],
) -> None:
    world.aws.control.add_faults(fault)
    with pytest.raises(expected) as failed:
        await patient(world.clients.logs.create_log_group, logGroupName="/x")
    assert type(failed.value) is expected
    assert failed.value.operation == "CreateLogGroup"
    assert world.aws.control.calls() == {"logs": {"CreateLogGroup": 1}}
    assert (told, pauses) == ([("logs", "CreateLogGroup", expected.__name__)], [])


class Recorder(Limiter):
    """Notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0, {("logs", "*"): Limit("logs", 1, 10)})
        self.taken: list[tuple[str, str, str, Lane]] = []
        self.refused: list[tuple[str, str]] = []

    async def take(self, service: str, operation: str, owner: str, lane: Lane) -> None:
        self.taken.append((service, operation, owner, lane))
        await super().take(service, operation, owner, lane)

    def throttled(self, service: str, operation: str) -> None:
        self.refused.append((service, operation))


async def test_every_attempt_is_limited_in_its_owners_name_and_refusals_are_passed_on(
    world: World, patient: Calls
) -> None:
    limiter = Recorder()
    world.aws.control.add_faults(throttle("logs", "ThrottlingException", 400, times=1))
    leaving = replace(patient, limiter=limiter).on_behalf_of("owner", Lane.DELETE)
    await leaving(world.clients.logs.describe_log_groups)
    assert limiter.taken == [("logs", "DescribeLogGroups", "owner", Lane.DELETE)] * 2
    assert limiter.refused == [("logs", "DescribeLogGroups")]


async def test_a_call_under_way_holds_up_nobody_else(world: World, calls: Calls) -> None:
    world.aws.control.add_faults(Fault(service="logs", delay_seconds=0.3, times=1))
    slow = asyncio.create_task(calls(world.clients.logs.describe_log_groups))
    await world.fault_has_struck()
    await calls(world.clients.sts.get_caller_identity)
    assert not slow.done()
    assert (await slow)["logGroups"] == []
