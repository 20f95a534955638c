"""What somebody changes or deletes by hand in AWS is as it was by the next snapshot, and an Event says what it was."""

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.fixtures.operator import DEFAULT_SETTINGS, Bench, OperatorProcess

from ephemeral_endpoints.core.monitoring import ALARM_PERIOD_SECONDS
from ephemeral_endpoints.local.aws.contents import Contents
from ephemeral_endpoints.local.processes import wait_until
from ephemeral_endpoints.local.workbench import Object

SECONDS = 30
SCALED = {"type": "ml.m5.large", "autoscaling": {"maxCount": 2, "invocationsPerInstance": 100}}
OF_VARIANTS = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


class Hand:
    """Somebody with the rights to spoil what the object has, which ``there`` names."""

    def __init__(self, bench: Bench, there: Contents) -> None:
        self.aws = bench.aws
        ours = {kind: [name for name in names if name.startswith("eep-")] for kind, names in there.items()}
        self.there = there | {kind: names for kind, names in ours.items() if names}

    def api(self) -> str:
        return str(self.aws("apigatewayv2").get_apis()["Items"][0]["ApiId"])

    def delete_alarm(self) -> None:
        self.aws("cloudwatch").delete_alarms(AlarmNames=self.there["Alarm"][:1])

    def change_alarm(self) -> None:
        self.aws("cloudwatch").put_metric_alarm(
            AlarmName=self.there["Alarm"][1],
            Namespace="AWS/SageMaker",
            MetricName="ModelLatency",
            Statistic="Average",
            ComparisonOperator="GreaterThanThreshold",
            Threshold=1.0,
            Period=ALARM_PERIOD_SECONDS,
            EvaluationPeriods=1,
        )

    def change_retention(self) -> None:
        self.aws("logs").put_retention_policy(logGroupName=self.there["LogGroup"][0], retentionInDays=365)

    def keep_logs_for_ever(self) -> None:
        self.aws("logs").delete_retention_policy(logGroupName=self.there["LogGroup"][1])

    def delete_log_group(self) -> None:
        self.aws("logs").delete_log_group(logGroupName=self.there["LogGroup"][0])

    def change_code(self) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("handler.py", "broken")
        self.aws("lambda").update_function_code(FunctionName=self.there["Function"][0], ZipFile=buffer.getvalue())

    def delete_function(self) -> None:
        self.aws("lambda").delete_function(FunctionName=self.there["Function"][0])

    def delete_route(self) -> None:
        gateway, api = self.aws("apigatewayv2"), self.api()
        gateway.delete_route(ApiId=api, RouteId=gateway.get_routes(ApiId=api)["Items"][0]["RouteId"])

    def lead_route_elsewhere(self) -> None:
        gateway, api = self.aws("apigatewayv2"), self.api()
        route = gateway.get_routes(ApiId=api)["Items"][0]["RouteId"]
        gateway.update_route(ApiId=api, RouteId=route, Target="integrations/elsewhere")

    def delete_integration(self) -> None:
        gateway, api = self.aws("apigatewayv2"), self.api()
        integration = gateway.get_integrations(ApiId=api)["Items"][0]["IntegrationId"]
        gateway.delete_integration(ApiId=api, IntegrationId=integration)

    def delete_endpoint(self) -> None:
        self.aws("sagemaker").delete_endpoint(EndpointName=self.there["Endpoint"][0])

    def change_endpoint(self) -> None:
        sagemaker = self.aws("sagemaker")
        variant = {"VariantName": "main", "ModelName": self.there["Model"][0]}
        size = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName="by-hand", ProductionVariants=[variant | size])
        sagemaker.update_endpoint(EndpointName=self.there["Endpoint"][0], EndpointConfigName="by-hand")

    def delete_config(self) -> None:
        self.aws("sagemaker").delete_endpoint_config(EndpointConfigName=self.there["EndpointConfig"][0])

    def delete_model(self) -> None:
        self.aws("sagemaker").delete_model(ModelName=self.there["Model"][0])

    def stop_scaling(self) -> None:
        self.aws("application-autoscaling").deregister_scalable_target(
            ResourceId=self.there["ScalableTarget"][0], **OF_VARIANTS
        )

    def scale_further(self) -> None:
        self.aws("application-autoscaling").register_scalable_target(
            ResourceId=self.there["ScalableTarget"][0], MaxCapacity=9, **OF_VARIANTS
        )


HANDS: list[tuple[Callable[[Hand], None], str]] = [
    (Hand.delete_alarm, "Alarm {Alarm} was deleted"),
    (Hand.change_alarm, "was changed"),
    (Hand.change_retention, "LogGroup {LogGroup} was changed"),
    (Hand.keep_logs_for_ever, "was changed"),
    (Hand.delete_log_group, "LogGroup {LogGroup} was deleted"),
    (Hand.change_code, "Function {Function} was changed"),
    (Hand.delete_function, "Function {Function} was deleted"),
    (Hand.delete_integration, "was deleted"),
]
# A route that is spoiled three times is left alone for a minute: its integration is spoiled on another object.
HANDS_ON_SERVING: list[tuple[Callable[[Hand], None], str]] = [
    (Hand.delete_route, "Route {Route} was deleted"),
    (Hand.lead_route_elsewhere, "Route {Route} was changed"),
    (Hand.change_endpoint, "Endpoint {Endpoint} was changed"),
    (Hand.delete_endpoint, "Endpoint {Endpoint} was deleted"),
    (Hand.delete_config, "EndpointConfig {EndpointConfig} was deleted"),
    (Hand.delete_model, "Model {Model} was deleted"),
]
HANDS_ON_SCALING: list[tuple[Callable[[Hand], None], str]] = [
    (Hand.scale_further, "ScalableTarget {ScalableTarget} was changed"),
    (Hand.stop_scaling, "ScalableTarget {ScalableTarget} was deleted"),
]


@pytest.fixture
def watchful(bench: Bench, operator_process: OperatorProcess) -> Bench:
    """An operator that takes a snapshot of AWS every second."""
    operator_process.run({**DEFAULT_SETTINGS, "EEP_SNAPSHOT_SECONDS": "1"})
    return bench


@pytest.mark.parametrize(
    ("instances", "hands"),
    [({"type": "ml.m5.large"}, HANDS), ({"type": "ml.m5.large"}, HANDS_ON_SERVING), (SCALED, HANDS_ON_SCALING)],
    ids=["what is around it", "what serves", "what scales"],
)
def test_everything_that_a_hand_can_spoil_is_repaired_and_told_of(
    watchful: Bench, instances: dict[str, Any], hands: list[tuple[Callable[[Hand], None], str]]
) -> None:
    bench = watchful
    obj = bench.apply("pr", bench.spec(serving={"instances": instances}))
    url = bench.wait_ready("pr")["status"]["url"]
    before = state(bench)
    names = {kind: found[0] for kind, found in before["contents"].items() if found}
    for spoil, news in hands:
        known = repairs(bench, obj)
        spoil(Hand(bench, bench.left()))

        def is_told(known: list[str] = known, news: str = news.format_map(names)) -> bool:
            return any(news in message for message in repairs(bench, obj) if message not in known)

        wait_until(is_told, seconds=SECONDS, what=f"{spoil.__name__} told")
        wait_until(lambda: state(bench) == before, seconds=SECONDS, what=f"{spoil.__name__} undone")
    ready = bench.wait_ready("pr")
    assert ready["status"]["url"] == url
    assert bench.call(url, b"", token=bench.token("pr")).text == "hello"


@pytest.fixture(autouse=True)
def _cleared(bench: Bench) -> Iterator[None]:
    """Nobody but the hand takes away what it made."""
    yield
    sagemaker = bench.aws("sagemaker")
    for config in sagemaker.list_endpoint_configs(NameContains="by-hand")["EndpointConfigs"]:
        sagemaker.delete_endpoint_config(EndpointConfigName=config["EndpointConfigName"])


def repairs(bench: Bench, obj: Object) -> list[str]:
    return [event.message for event in bench.events(obj) if event.reason == "DriftRepaired"]


def state(bench: Bench) -> dict[str, Any]:
    """What a hand may spoil, as it is now, without what AWS numbers or names by chance."""
    contents = bench.left()
    contents["Alarm"] = [name for name in contents.get("Alarm", []) if name.startswith("eep-")]
    contents["EndpointConfig"] = [name for name in contents.get("EndpointConfig", []) if name.startswith("eep-")]
    routes = [
        (route["RouteKey"], route["Target"]) if "elsewhere" in route["Target"] else route["RouteKey"]
        for api in bench.aws("apigatewayv2").get_apis()["Items"]
        for route in bench.aws("apigatewayv2").get_routes(ApiId=api["ApiId"])["Items"]
    ]
    groups = bench.log_groups()
    endpoints = (bench.aws("sagemaker").describe_endpoint(EndpointName=name) for name in contents.get("Endpoint", []))
    targets = bench.aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    alarms = bench.aws("cloudwatch").describe_alarms(AlarmNamePrefix="eep-")["MetricAlarms"]
    return {
        "contents": contents | {"Integration": [name.rpartition(" ")[0] for name in contents.get("Integration", [])]},
        "routes": routes,
        "serving": [(each["EndpointConfigName"], each["EndpointStatus"]) for each in endpoints],
        "retention": {each["logGroupName"]: each.get("retentionInDays") for each in groups},
        "code": [each["CodeSha256"] for each in bench.aws("lambda").list_functions()["Functions"]],
        "bounds": [each["MaxCapacity"] for each in targets["ScalableTargets"]],
        "thresholds": {each["AlarmName"]: each["Threshold"] for each in alarms},
    }
