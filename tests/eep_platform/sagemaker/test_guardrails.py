from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.endpoints import Deployment, deployment
from eep_platform.sagemaker.guardrails import Rollout, Step, rollout

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def of(*names: str, count: int = 4, **more: object) -> Deployment:
    shape: dict[str, Any] = {"InstanceType": "ml.m5.large", "InitialInstanceCount": count} | more
    return deployment("c", {"ProductionVariants": [{"VariantName": name, **shape} for name in names]}, NOW)


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def count(value: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def blue_green(kind: str, *, wait: int = 60, **more: object) -> dict[str, Any]:
    policy = {
        key: more.pop(key) for key in ("TerminationWaitInSeconds", "MaximumExecutionTimeoutInSeconds") if key in more
    }
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **more}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **policy}}


def rolling(size: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 60, **more}}


SERVERLESS = deployment(
    "s", {"ProductionVariants": [{"VariantName": "V", "ServerlessConfig": {"MemorySizeInMB": 1024}}]}, NOW
)
ALARMS = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}, {"AlarmName": "b"}, {"AlarmName": "a"}]}}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({}, Rollout(), id="nothing asked for is all at once, with no wait"),
        pytest.param(ALARMS, Rollout(alarms=("a", "b")), id="alarms alone are asked once"),
        pytest.param(
            blue_green("ALL_AT_ONCE", TerminationWaitInSeconds=90) | ALARMS,
            Rollout((Step(1.0, 90),), ("a", "b")),
            id="all at once bakes until the old fleet is terminated",
        ),
        pytest.param(
            blue_green("CANARY", CanarySize=percent(25), TerminationWaitInSeconds=30),
            Rollout((Step(0.25, 60), Step(1.0, 30))),
            id="a canary",
        ),
        pytest.param(
            blue_green("CANARY", CanarySize=count(2)), Rollout((Step(0.5, 60), Step(1.0, 0))), id="half, in instances"
        ),
        pytest.param(
            blue_green("LINEAR", LinearStepSize=percent(50), MaximumExecutionTimeoutInSeconds=600),
            Rollout((Step(0.5, 60), Step(1.0, 0)), limit_seconds=600),
            id="linear in two steps",
        ),
        pytest.param(
            rolling(percent(50)), Rollout((Step(0.5, 60), Step(1.0, 60)), surge=2), id="rolling bakes every batch"
        ),
    ],
)
def test_a_deployment_configuration_means_steps(config: dict[str, Any], expected: Rollout) -> None:
    assert rollout(config, of("V"), of("V")) == expected


@pytest.mark.parametrize(
    ("config", "present", "pending", "message"),
    [
        pytest.param(
            blue_green("CANARY", CanarySize=percent(51)), of("V"), of("V"), "0 to 50 percent", id="a canary over half"
        ),
        pytest.param(
            blue_green("CANARY", CanarySize=count(1)),
            of("V"),
            of("V", count=1),
            "is 100 percent",
            id="the only instance",
        ),
        pytest.param(blue_green("CANARY"), of("V"), of("V"), "CanarySize is needed", id="a canary of no size"),
        pytest.param(blue_green("LINEAR"), of("V"), of("V"), "LinearStepSize is needed", id="steps of no size"),
        pytest.param(
            blue_green("LINEAR", LinearStepSize=percent(9)), of("V"), of("V"), "10 to 50 percent", id="steps too small"
        ),
        pytest.param(rolling(percent(4)), of("V"), of("V"), "5 to 50 percent", id="batches too small"),
        pytest.param(rolling(percent(60)), of("V"), of("V"), "5 to 50 percent", id="batches too large"),
        pytest.param(
            rolling(percent(50), RollbackMaximumBatchSize=percent(101)),
            of("V"),
            of("V"),
            "0 to 100 percent",
            id="more than all back at once",
        ),
        pytest.param(
            rolling(percent(50)), of("V", "W"), of("V", "W"), "several variants", id="rolling several variants"
        ),
        pytest.param(rolling(percent(50)), of("V"), of("W"), "V, not W", id="rolling to another name"),
        pytest.param(
            blue_green("CANARY", CanarySize=percent(10)), of("V"), of("V", "W"), "V, not V, W", id="a further variant"
        ),
        pytest.param(
            blue_green("LINEAR", LinearStepSize=percent(10)), of("V"), of("W"), "V, not W", id="linear to another name"
        ),
        pytest.param(blue_green("ALL_AT_ONCE"), SERVERLESS, SERVERLESS, "serverless", id="guardrails for serverless"),
        pytest.param(blue_green("ALL_AT_ONCE"), SERVERLESS, of("V"), "serverless", id="away from serverless"),
        pytest.param(ALARMS, SERVERLESS, SERVERLESS, "serverless", id="alarms for serverless"),
        pytest.param(
            blue_green("ALL_AT_ONCE") | rolling(percent(50)), of("V"), of("V"), "not both", id="two policies at once"
        ),
        pytest.param(
            blue_green("ALL_AT_ONCE", TerminationWaitInSeconds=600, MaximumExecutionTimeoutInSeconds=600),
            of("V"),
            of("V"),
            "must be larger than the 600 seconds",
            id="a limit that the waits exceed",
        ),
    ],
)
def test_what_the_service_model_allows_and_the_service_does_not(
    config: dict[str, Any], present: Deployment, pending: Deployment, message: str
) -> None:
    with pytest.raises(ServiceError, match=message) as raised:
        rollout(config, present, pending)
    assert raised.value.code == "ValidationException"


def test_names_may_change_where_all_traffic_moves_at_once_or_nothing_served_before() -> None:
    assert len(rollout(blue_green("ALL_AT_ONCE"), of("V"), of("W")).steps) == 1
    assert len(rollout(blue_green("CANARY", CanarySize=percent(10)), None, of("W")).steps) == 2


@given(st.integers(10, 50), st.integers(1, 20))
def test_linear_steps_are_equal_but_for_the_last_which_completes_them(step: int, instances: int) -> None:
    config = blue_green("LINEAR", LinearStepSize=percent(step))
    shares = [0.0, *(each.share for each in rollout(config, of("V"), of("V", count=instances)).steps)]
    differences = [after - before for before, after in pairwise(shares)]
    assert shares[-1] == 1.0
    assert differences[:-1] == pytest.approx([step / 100] * (len(shares) - 2))
    assert 0 < differences[-1] <= step / 100 + 1e-9
