import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.aws.cloud import Cloud

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.calls import THROTTLE_ATTEMPTS, THROTTLE_CAP_SECONDS, Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.limits import Limit, Limiter, Priority
from ephemeral_endpoints.engine import errors


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


@dataclass(frozen=True, kw_only=True)
class Throttling:
    service: str
    operation: str
    call: Callable[[Clients], Callable[..., Any]]
    code: str
    status: int


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Throttling(
                service="sagemaker",
                operation="ListModels",
                call=lambda clients: clients.sagemaker.list_models,
                code="ThrottlingException",
                status=400,
            ),
            id="SageMaker",
        ),
        pytest.param(
            Throttling(
                service="apigatewayv2",
                operation="GetApis",
                call=lambda clients: clients.apigateway.get_apis,
                code="TooManyRequestsException",
                status=429,
            ),
            id="API Gateway",
        ),
        pytest.param(
            Throttling(
                service="lambda",
                operation="ListFunctions",
                call=lambda clients: clients.lambda_.list_functions,
                code="TooManyRequestsException",
                status=429,
            ),
            id="Lambda",
        ),
        pytest.param(
            Throttling(
                service="cloudwatch",
                operation="DescribeAlarms",
                call=lambda clients: clients.cloudwatch.describe_alarms,
                code="Throttling",
                status=400,
            ),
            id="CloudWatch",
        ),
        pytest.param(
            Throttling(
                service="sts",
                operation="GetCallerIdentity",
                call=lambda clients: clients.sts.get_caller_identity,
                code="Throttling",
                status=400,
            ),
            id="STS",
        ),
    ],
)
async def test_a_throttled_call_is_repeated_after_growing_pauses(
    cloud: Cloud, patient: Calls, pauses: list[float], reported: list[tuple[str, str, str]], case: Throttling
) -> None:
    cloud.aws.control.add_faults(throttle(case.service, case.code, case.status, times=3))
    assert await patient(case.call(cloud.clients))
    assert reported == [(case.service, case.operation, "Throttled")] * 3 + [(case.service, case.operation, "ok")]
    for pause, ceiling in zip(pauses, (0.5, 1.0, 2.0), strict=True):
        assert ceiling / 2 <= pause <= ceiling


async def test_throttling_that_does_not_end_is_given_up_and_reported(
    cloud: Cloud, patient: Calls, pauses: list[float], reported: list[tuple[str, str, str]]
) -> None:
    cloud.aws.control.add_faults(throttle("sagemaker", "ThrottlingException", 400))
    with pytest.raises(errors.Throttled, match=r"ListModels: .*ThrottlingException"):
        await patient(cloud.clients.sagemaker.list_models)
    assert len(reported) == THROTTLE_ATTEMPTS == len(pauses) + 1
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
    cloud: Cloud,
    patient: Calls,
    pauses: list[float],
    reported: list[tuple[str, str, str]],
    fault: Fault,
    expected: type[errors.AwsError],
) -> None:
    cloud.aws.control.add_faults(fault)
    with pytest.raises(expected) as failed:
        await patient(cloud.clients.logs.create_log_group, logGroupName="/x")
    assert type(failed.value) is expected
    assert failed.value.operation == "CreateLogGroup"
    assert cloud.aws.control.calls() == {"logs": {"CreateLogGroup": 1}}
    assert (reported, pauses) == ([("logs", "CreateLogGroup", expected.__name__)], [])


class Recorder(Limiter):
    """Notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0, {("logs", "*"): Limit("logs", 1, 10)})
        self.taken: list[tuple[str, str, str, Priority]] = []
        self.refused: list[tuple[str, str]] = []

    async def take(self, service: str, operation: str, owner: str, priority: Priority) -> None:
        self.taken.append((service, operation, owner, priority))
        await super().take(service, operation, owner, priority)

    def throttled(self, service: str, operation: str) -> None:
        self.refused.append((service, operation))


async def test_every_attempt_is_limited_in_its_owners_name_and_refusals_are_passed_on(
    cloud: Cloud, patient: Calls
) -> None:
    limiter = Recorder()
    cloud.aws.control.add_faults(throttle("logs", "ThrottlingException", 400, times=1))
    terminating = replace(patient, limiter=limiter).on_behalf_of("owner", Priority.DELETE)
    await terminating(cloud.clients.logs.describe_log_groups)
    assert limiter.taken == [("logs", "DescribeLogGroups", "owner", Priority.DELETE)] * 2
    assert limiter.refused == [("logs", "DescribeLogGroups")]


async def test_a_call_under_way_holds_up_nobody_else(cloud: Cloud, calls: Calls) -> None:
    cloud.aws.control.add_faults(Fault(service="logs", held=True, times=1))
    slow = asyncio.create_task(calls(cloud.clients.logs.describe_log_groups))
    await cloud.fault_has_struck()
    await calls(cloud.clients.sts.get_caller_identity)
    assert not slow.done()
    cloud.aws.control.clear_faults()
    assert (await slow)["logGroups"] == []
