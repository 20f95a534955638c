"""What somebody changes or deletes by hand in AWS is as it was by the next snapshot, and an Event says what it was."""

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.fixtures.operator import DEFAULT_SETTINGS, Bench, OperatorProcess
from tests.fixtures.passing import of_each
from tests.fixtures.waiting import eventually

from eep_platform.aws.contents import Contents
from eep_platform.workbench import Object
from ephemeral_endpoints.features.monitoring.desired import ALARM_PERIOD_SECONDS

SCALED = {"type": "ml.m5.large", "autoscaling": {"maxCount": 2, "invocationsPerInstance": 100}}
OF_VARIANTS = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


class Tamperer:
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

    def route(self) -> str:
        """The id of the route of the URL itself, and not of the one for all below it."""
        routes = self.aws("apigatewayv2").get_routes(ApiId=self.api())["Items"]
        return str(min(routes, key=lambda each: len(each["RouteKey"]))["RouteId"])

    def delete_route(self) -> None:
        self.aws("apigatewayv2").delete_route(ApiId=self.api(), RouteId=self.route())

    def lead_route_elsewhere(self) -> None:
        self.aws("apigatewayv2").update_route(ApiId=self.api(), RouteId=self.route(), Target="integrations/elsewhere")

    def delete_integration(self) -> None:
        gateway, api = self.aws("apigatewayv2"), self.api()
        integration = gateway.get_integrations(ApiId=api)["Items"][0]["IntegrationId"]
        for route in gateway.get_routes(ApiId=api)["Items"]:  # it could not go before them
            gateway.delete_route(ApiId=api, RouteId=route["RouteId"])
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


TAMPERING: list[tuple[Callable[[Tamperer], None], str]] = [
    (Tamperer.delete_alarm, "Alarm {Alarm} was deleted"),
    (Tamperer.change_alarm, "was changed"),
    (Tamperer.change_retention, "LogGroup {LogGroup} was changed"),
    (Tamperer.keep_logs_for_ever, "was changed"),
    (Tamperer.delete_log_group, "LogGroup {LogGroup} was deleted"),
    (Tamperer.change_code, "Function {Function} was changed"),
    (Tamperer.delete_function, "Function {Function} was deleted"),
    (Tamperer.delete_integration, "was deleted"),
]
# A route that is spoiled three times is left alone for a minute: its integration is spoiled on another object.
HANDS_ON_SERVING: list[tuple[Callable[[Tamperer], None], str]] = [
    (Tamperer.delete_route, "Route {Route} was deleted"),
    (Tamperer.lead_route_elsewhere, "Route {Route} was changed"),
    (Tamperer.change_endpoint, "Endpoint {Endpoint} was changed"),
    (Tamperer.delete_endpoint, "Endpoint {Endpoint} was deleted"),
    (Tamperer.delete_config, "EndpointConfig {EndpointConfig} was deleted"),
    (Tamperer.delete_model, "Model {Model} was deleted"),
]
HANDS_ON_SCALING: list[tuple[Callable[[Tamperer], None], str]] = [
    (Tamperer.scale_further, "ScalableTarget {ScalableTarget} was changed"),
    (Tamperer.stop_scaling, "ScalableTarget {ScalableTarget} was deleted"),
]


@pytest.fixture
def watchful(bench: Bench, operator_process: OperatorProcess) -> Bench:
    """An operator that takes a snapshot of AWS every second."""
    operator_process.run({**DEFAULT_SETTINGS, "EEP_SNAPSHOT_SECONDS": "1"})
    return bench


@pytest.mark.parametrize(
    ("instances", "hands"),
    [({"type": "ml.m5.large"}, TAMPERING), ({"type": "ml.m5.large"}, HANDS_ON_SERVING), (SCALED, HANDS_ON_SCALING)],
    ids=["what is around it", "what serves", "what scales"],
)
def test_every_change_by_hand_is_repaired_and_reported(
    watchful: Bench, instances: dict[str, Any], hands: list[tuple[Callable[[Tamperer], None], str]]
) -> None:
    bench = watchful
    obj = bench.apply("pr", bench.spec(serving={"instances": instances}))
    url = bench.wait_ready("pr")["status"]["url"]
    before = state(bench)
    names = {kind: found[0] for kind, found in before["contents"].items() if found}
    for spoil, news in hands:
        known = repairs(bench, obj)
        spoil(Tamperer(bench, bench.left()))

        def is_told(known: list[str] = known, news: str = news.format_map(names)) -> bool:
            return any(news in message for message in repairs(bench, obj) if message not in known)

        eventually(is_told, f"{spoil.__name__} reported")
        eventually(lambda: state(bench) == before, f"{spoil.__name__} undone")
    ready = bench.wait_ready("pr")
    assert ready["status"]["url"] == url
    assert bench.call(url, b"", token=bench.token("pr")).text == "hello"


@pytest.fixture(autouse=True)
def _cleared(bench: Bench) -> Iterator[None]:
    """Only the tamperer deletes what it created."""
    yield
    sagemaker = bench.aws("sagemaker")
    for config in sagemaker.list_endpoint_configs(NameContains="by-hand")["EndpointConfigs"]:
        sagemaker.delete_endpoint_config(EndpointConfigName=config["EndpointConfigName"])


def repairs(bench: Bench, obj: Object) -> list[str]:
    return [event.message for event in bench.events(obj) if event.reason == "DriftRepaired"]


def state(bench: Bench) -> dict[str, Any]:
    """The state that tampering can spoil, without what AWS numbers or names by chance."""
    contents = bench.left()
    contents["Alarm"] = [name for name in contents.get("Alarm", []) if name.startswith("eep-")]
    contents["EndpointConfig"] = [name for name in contents.get("EndpointConfig", []) if name.startswith("eep-")]
    routes = {
        route["RouteKey"]: "elsewhere" in route["Target"]
        for api in bench.aws("apigatewayv2").get_apis()["Items"]
        for route in bench.aws("apigatewayv2").get_routes(ApiId=api["ApiId"])["Items"]
    }
    groups = bench.log_groups()
    sagemaker = bench.aws("sagemaker")
    endpoints = of_each(contents.get("Endpoint", []), lambda name: sagemaker.describe_endpoint(EndpointName=name))
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
