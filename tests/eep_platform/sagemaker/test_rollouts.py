"""Guarded updates on real servers, with alarms of a real CloudWatch; waits pass when a test lets them."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service

PERCENT = "CAPACITY_PERCENT"


AN_HOUR = {"guardrail_seconds_per_second": 3_600_000}
"""In a thousandth of a second."""


@pytest.fixture
def alarm(service: "Service") -> Callable[[str], str]:
    """Make an alarm and put it into a state."""
    cloudwatch = service.aws("cloudwatch")

    def put(state: str) -> str:
        name = service.name()
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="N",
            MetricName=name,
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            # Without data, the state stays as it was set.
            TreatMissingData="ignore",
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="set by the test")
        return name

    return put


def canary(percent: int = 25, *, wait: int = 3600, **policy: Any) -> Any:  # noqa: ANN401 - a request's member
    routing = {"Type": "CANARY", "WaitIntervalInSeconds": wait, "CanarySize": {"Type": PERCENT, "Value": percent}}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **policy}}


def guarded(config: Any, *alarms: str) -> Any:  # noqa: ANN401 - a request's member
    return config | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}


def revision(service: "Service", name: str, count: int = 4) -> str:
    return service.config_of(service.instances(service.model(REVISION=name), count=count))


def update(service: "Service", name: str, config: str, deployment: Any) -> None:  # noqa: ANN401 - a request's member
    service.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=deployment)


def stage(service: "Service", name: str) -> str | None:
    summary: Any = service.sagemaker.describe_endpoint(EndpointName=name).get("PendingDeploymentSummary")
    return summary["ProductionVariants"][0]["VariantStatus"][0]["Status"] if summary else None


def test_a_canary_gets_its_share_until_it_has_baked(service: "Service") -> None:
    old, new = revision(service, "old"), revision(service, "new")
    name = service.endpoint(old)
    before = psutil.Process(service.invoke(name)["pid"])
    deployment = canary(25, TerminationWaitInSeconds=3600)
    update(service, name, new, deployment)
    service.eventually(lambda: stage(service, name) == "Baking", "the canary bakes")
    described = service.sagemaker.describe_endpoint(EndpointName=name)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("Updating", old)
    assert described["PendingDeploymentSummary"]["EndpointConfigName"] == new
    assert described["PendingDeploymentSummary"]["ProductionVariants"][0]["CurrentInstanceCount"] == 4
    answers = Counter(service.invoke(name, TargetVariant="AllTraffic")["revision"] for _ in range(8))
    assert answers == {"old": 6, "new": 2}
    service.settings(behaviour={"stuck": True}, **AN_HOUR)
    service.eventually(lambda: {service.invoke(name)["revision"] for _ in range(4)} == {"new"}, "all traffic moved")
    assert (service.status(name), before.is_running()) == ("Updating", True)
    service.settings(behaviour={"stuck": False})
    service.wait(name, "InService")
    described = service.sagemaker.describe_endpoint(EndpointName=name)
    assert (described["EndpointConfigName"], described["LastDeploymentConfig"]) == (new, deployment)
    service.eventually(lambda: not before.is_running(), "the old fleet is terminated")


@pytest.mark.parametrize(
    "deployment",
    [
        pytest.param(
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "LINEAR",
                        "WaitIntervalInSeconds": 1200,
                        "LinearStepSize": {"Type": PERCENT, "Value": 50},
                    },
                    "TerminationWaitInSeconds": 1200,
                }
            },
            id="linear",
        ),
        pytest.param(
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 2},
                    "WaitIntervalInSeconds": 1200,
                }
            },
            id="rolling",
        ),
    ],
)
def test_traffic_moves_in_steps(service: "Service", deployment: dict[str, Any]) -> None:
    name = service.endpoint(revision(service, "old"))
    update(service, name, revision(service, "new"), deployment)
    _wait_for_share(service, name, 50)
    assert service.status(name) == "Updating"
    service.settings(behaviour={"stuck": True}, **AN_HOUR)
    _wait_for_share(service, name, 100)
    assert service.status(name) == "Updating"
    service.settings(behaviour={"stuck": False})
    service.wait(name, "InService")


def _wait_for_share(service: "Service", name: str, percent: int) -> None:
    def share() -> int:
        return 25 * [service.invoke(name)["revision"] for _ in range(4)].count("new")

    service.eventually(lambda: share() == percent, f"{percent} percent moved")


def test_an_alarm_that_rings_while_the_canary_bakes_rolls_back(service: "Service", alarm: Callable[[str], str]) -> None:
    service.settings(behaviour={"rollback_seconds": 3600})
    old, rings = revision(service, "old"), alarm("OK")
    name = service.endpoint(old)
    before = service.invoke(name)["pid"]
    update(service, name, revision(service, "new"), guarded(canary(50), alarm("OK"), rings))
    seen = [service.eventually(lambda: _pid(service, name, "new"), "the canary serves")]
    state = {"AlarmName": rings, "StateValue": "ALARM", "StateReason": "set by the test"}
    service.aws("cloudwatch").set_alarm_state(**state)
    service.wait(name, "RollingBack")
    assert {service.invoke(name)["revision"] for _ in range(4)} == {"old"}
    service.settings(behaviour={"rollback_seconds": 0})
    service.wait(name, "InService")
    described = service.sagemaker.describe_endpoint(EndpointName=name)
    assert (described["EndpointConfigName"], service.invoke(name)["pid"]) == (old, before)
    assert described["FailureReason"].endswith(f"are in ALARM state: {rings}.")
    assert not psutil.pid_exists(seen[0])


def _pid(service: "Service", name: str, wanted: str) -> int | None:
    facts = service.invoke(name)
    return facts["pid"] if facts["revision"] == wanted else None


def test_an_alarm_that_rings_already_rolls_back_before_anything_is_started(
    service: "Service", alarm: Callable[[str], str]
) -> None:
    old, rings = revision(service, "old"), alarm("ALARM")
    name = service.endpoint(old)
    pulled = len(service.runtime.pulled)
    update(service, name, revision(service, "new"), guarded(canary(), rings))
    service.wait(name, "InService")
    described = service.sagemaker.describe_endpoint(EndpointName=name)
    assert (described["EndpointConfigName"], rings in described["FailureReason"]) == (old, True)
    assert len(service.runtime.pulled) == pulled


def test_a_deployment_over_its_time_limit_rolls_back(service: "Service") -> None:
    old = revision(service, "old")
    name = service.endpoint(old)
    update(service, name, revision(service, "new"), canary(50, wait=1150, MaximumExecutionTimeoutInSeconds=1200))
    service.eventually(lambda: stage(service, name) == "Baking", "the canary bakes")
    service.settings(behaviour={"stuck": True}, **AN_HOUR)
    service.eventually(lambda: service.status(name) == "RollingBack", "time is up")
    service.settings(behaviour={"stuck": False})
    service.wait(name, "InService")
    described = service.sagemaker.describe_endpoint(EndpointName=name)
    assert described["EndpointConfigName"] == old
    assert "MaximumExecutionTimeoutInSeconds (1200)" in described["FailureReason"]


def test_alarms_must_exist_and_a_deployment_configuration_can_be_kept(
    service: "Service", alarm: Callable[[str], str]
) -> None:
    service.settings(containers="off", **AN_HOUR)
    name = service.endpoint(revision(service, "a"))
    with pytest.raises(ClientError, match="Could not find CloudWatch alarms: no-such"):
        update(service, name, revision(service, "b"), guarded(canary(), alarm("OK"), "no-such"))
    kept = guarded(canary(), alarm("OK"))
    update(service, name, revision(service, "b"), kept)
    service.wait(name, "InService")
    request: Any = {"EndpointName": name, "EndpointConfigName": revision(service, "c")}
    service.sagemaker.update_endpoint(**request, RetainDeploymentConfig=True)
    service.wait(name, "InService")
    assert service.sagemaker.describe_endpoint(EndpointName=name)["LastDeploymentConfig"] == kept


def test_a_serverless_endpoint_has_no_guardrails(service: "Service") -> None:
    service.settings(containers="off")
    with pytest.raises(ClientError, match="not supported for serverless") as raised:
        update(service, service.endpoint(), service.config(), canary())
    assert raised.value.response["Error"]["Code"] == "ValidationException"
