"""The API through the front, as boto3 of the operator reaches it; endpoints have no servers here."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.contents import contents
from eep_platform.aws.faults import Fault, FaultError

WHERE = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
TRACKED = {
    "TargetValue": 100.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
}
CUSTOM = {"Namespace": "N", "MetricName": "Backlog", "Statistic": "Average"}
ONCE = {"ScaleOutCooldown": 24 * 3600}
"""Keeps the number of instances that the first scaling out makes: the metric stays, and would make more."""
BOUNDS = {"MinCapacity": 1, "MaxCapacity": 4}


def eventually(check: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - as typed as JSON and boto3 are
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if value := check():
            return value
        time.sleep(0.02)
    return pytest.fail(f"not in time: {what}")


class Account:
    """An account with endpoints, and what boto3 does with them."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.sagemaker = aws.client("sagemaker")
        self.scaling = aws.client("application-autoscaling")
        self.cloudwatch = aws.client("cloudwatch")
        role = f"arn:aws:iam::{ministack.ACCOUNT}:role/any"
        image = f"{ministack.ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/models:1"
        self.sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": image})

    def config(self, name: str, *variants: str, shape: Any = None, **more: Any) -> str:  # noqa: ANN401 - as typed as JSON
        shape = shape or {"InstanceType": "ml.m5.large", "InitialInstanceCount": 2}
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{"VariantName": variant, "ModelName": "m", **shape} for variant in variants or ("V",)],
            **more,
        )
        return name

    def endpoint(self, name: str, **config: Any) -> str:  # noqa: ANN401 - as typed as JSON
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=self.config(name, **config))
        eventually(lambda: self.status(name) == "InService", f"{name} in service")
        return f"endpoint/{name}/variant/V"

    def status(self, name: str) -> str:
        return str(self.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"])

    def count(self, name: str) -> int:
        return int(self.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"][0]["DesiredInstanceCount"])

    def register(self, resource: str, **more: Any) -> str:  # noqa: ANN401 - as typed as JSON
        answer = self.scaling.register_scalable_target(**WHERE, ResourceId=resource, **(BOUNDS | more))
        return str(answer["ScalableTargetARN"])

    def policy(self, resource: str, config: Any = None) -> Any:  # noqa: ANN401 - as typed as JSON
        return self.scaling.put_scaling_policy(
            **WHERE,
            ResourceId=resource,
            PolicyName="p",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=config or TRACKED,
        )

    def targets(self, **more: Any) -> Any:  # noqa: ANN401 - as typed as JSON
        return self.scaling.describe_scalable_targets(ServiceNamespace="sagemaker", **more)

    def alarms(self) -> list[Any]:
        found: list[Any] = self.cloudwatch.describe_alarms()["MetricAlarms"]
        return found


@pytest.fixture
def account(fresh_aws: Aws) -> Account:
    quick = {f"{noun}_seconds": 0 for noun in ("create", "update", "delete")}
    unlimited = {"instances_of_any_other_type": "unlimited"}
    fresh_aws.control.patch_sagemaker_settings({"containers": "off", "behaviour": quick, "quotas": unlimited})
    return Account(fresh_aws)


def code(call: Callable[..., Any], **request: Any) -> str:  # noqa: ANN401 - any request
    with pytest.raises(ClientError) as raised:
        call(**request)
    return str(raised.value.response["Error"]["Code"])


def test_a_target_is_registered_described_and_changed(account: Account) -> None:
    resource = account.endpoint("e")
    arn = account.register(resource, Tags={"k": "v"})
    [target] = account.targets()["ScalableTargets"]
    created = target.pop("CreationTime")
    assert target.pop("RoleARN").endswith("/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint")
    assert target == WHERE | BOUNDS | {
        "ResourceId": resource,
        "ScalableTargetARN": arn,
        "SuspendedState": dict.fromkeys(target["SuspendedState"], False),
    }
    assert account.register(resource) == arn, "again is no error"
    request: Any = WHERE | {"ResourceId": resource, "MaxCapacity": 7}
    account.scaling.register_scalable_target(**request, SuspendedState={"DynamicScalingInSuspended": True})
    [target] = account.targets(ResourceIds=[resource, "endpoint/x/variant/y"])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"], target["CreationTime"]) == (1, 7, created)
    assert target["SuspendedState"]["DynamicScalingInSuspended"]
    assert not target["SuspendedState"]["DynamicScalingOutSuspended"]
    assert account.targets(ResourceIds=["endpoint/x/variant/y"])["ScalableTargets"] == []


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"ResourceId": "endpoint/none/variant/V"}, "Could not find endpoint"),
        ({"ResourceId": "endpoint/e/variant/W"}, 'Could not find variant "W"'),
        ({"ResourceId": "endpoint/e"}, "Unsupported resource ID"),
        ({"ResourceId": "endpoint/s/variant/V"}, "serverless"),
        ({"ResourceId": "endpoint/t/variant/V"}, "burstable instances such as ml.t2.medium"),
        ({"MinCapacity": 5}, "must not be less"),
        ({"MinCapacity": 0}, "at least 1"),
        ({"MinCapacity": None}, "are needed"),
        ({"ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}, "not served here"),
        ({"Tags": {"aws:x": "y"}}, "aws: prefixed"),
    ],
)
def test_what_cannot_be_registered_is_refused(account: Account, request_: dict[str, Any], message: str) -> None:
    account.endpoint("e")
    account.endpoint("s", shape={"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}})
    account.endpoint("t", shape={"InstanceType": "ml.t2.medium", "InitialInstanceCount": 1})
    asked = WHERE | BOUNDS | {"ResourceId": "endpoint/e/variant/V"} | request_
    asked = {key: value for key, value in asked.items() if value is not None}
    with pytest.raises(ClientError, match=message) as raised:
        account.scaling.register_scalable_target(**asked)
    assert raised.value.response["Error"]["Code"] == "ValidationException"


def test_targets_come_in_pages(account: Account) -> None:
    resources = [account.endpoint(f"e{number}") for number in range(3)]
    for resource in resources:
        account.register(resource)
    first = account.targets(MaxResults=2)
    rest = account.targets(MaxResults=2, NextToken=first["NextToken"])
    found = [target["ResourceId"] for page in (first, rest) for target in page["ScalableTargets"]]
    assert (found, "NextToken" in rest) == (resources, False)
    assert code(account.targets, NextToken="nonsense") == "InvalidNextTokenException"
    assert code(account.targets, MaxResults=51) == "ValidationException"
    assert account.scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []
    assert contents(account.aws.client)["ScalableTarget"] == resources


def test_a_policy_has_two_alarms_in_cloudwatch_which_end_with_it(account: Account) -> None:
    resource = account.endpoint("e")
    account.register(resource)
    made = account.policy(resource)
    high, low = sorted(account.alarms(), key=lambda alarm: str(alarm["AlarmName"]))
    assert [alarm["AlarmName"] for alarm in made["Alarms"]] == [high["AlarmName"], low["AlarmName"]]
    assert high["AlarmName"].startswith(f"TargetTracking-{resource}-AlarmHigh-")
    assert (high["Threshold"], high["EvaluationPeriods"], high["Period"]) == (100, 3, 60)
    assert (low["Threshold"], low["EvaluationPeriods"], low["ComparisonOperator"]) == (90, 15, "LessThanThreshold")
    assert (high["Namespace"], high["MetricName"]) == ("AWS/SageMaker", "InvocationsPerInstance")
    assert high["Dimensions"] == [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "V"}]
    again = account.policy(resource, TRACKED | {"TargetValue": 50.0})
    assert again["PolicyARN"] == made["PolicyARN"]
    assert sorted(alarm["Threshold"] for alarm in account.alarms()) == [45, 50]
    [shown] = account.scaling.describe_scaling_policies(ServiceNamespace="sagemaker", PolicyNames=["p"])[
        "ScalingPolicies"
    ]
    assert (shown["PolicyARN"], shown["Alarms"]) == (made["PolicyARN"], again["Alarms"])
    assert shown["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 50
    named: Any = WHERE | {"ResourceId": resource, "PolicyName": "p"}
    account.scaling.delete_scaling_policy(**named)
    assert account.alarms() == []
    assert code(account.scaling.delete_scaling_policy, **named) == "ObjectNotFoundException"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"PredefinedMetricSpecification": None}, "Specify one of"),
        ({"CustomizedMetricSpecification": CUSTOM}, "Specify one of"),
        (
            {"PredefinedMetricSpecification": {"PredefinedMetricType": "RDSReaderAverageCPUUtilization"}},
            "not supported",
        ),
        ({"TargetValue": 0.0}, "greater than 0"),
        ({"PredefinedMetricSpecification": None, "CustomizedMetricSpecification": {"Metrics": []}}, "not served here"),
    ],
)
def test_policies_that_cannot_be(account: Account, config: dict[str, Any], message: str) -> None:
    resource = account.endpoint("e")
    account.register(resource)
    full = {key: value for key, value in (TRACKED | config).items() if value is not None}
    with pytest.raises(ClientError, match=message) as raised:
        account.policy(resource, full)
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    assert account.alarms() == []


def test_deregistering_takes_policies_alarms_and_actions_along(account: Account) -> None:
    resource = account.endpoint("e")
    account.register(resource)
    account.policy(resource)
    named: Any = WHERE | {"ResourceId": resource}
    account.scaling.put_scheduled_action(
        **named, ScheduledActionName="a", Schedule="rate(1 day)", ScalableTargetAction={"MinCapacity": 1}
    )
    account.scaling.deregister_scalable_target(**named)
    for listing, member in (
        ("describe_scaling_policies", "ScalingPolicies"),
        ("describe_scheduled_actions", "ScheduledActions"),
        ("describe_scalable_targets", "ScalableTargets"),
    ):
        assert getattr(account.scaling, listing)(ServiceNamespace="sagemaker")[member] == []
    assert account.alarms() == []
    assert code(account.scaling.deregister_scalable_target, **named) == "ObjectNotFoundException"
    assert code(account.policy, resource=resource) == "ObjectNotFoundException"


def test_tags_live_with_their_target(account: Account) -> None:
    arn = account.register(account.endpoint("e"), Tags={"a": "1"})
    api = account.scaling
    api.tag_resource(ResourceARN=arn, Tags={"b": "2"})
    assert api.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"a": "1", "b": "2"}
    api.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert api.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"b": "2"}
    full = {f"k{number}": "" for number in range(50)}
    assert code(api.tag_resource, ResourceARN=arn, Tags=full) == "TooManyTagsException"
    other = f"{arn}0"
    assert code(api.list_tags_for_resource, ResourceARN=other) == "ResourceNotFoundException"


def test_bounds_move_the_instance_count_and_appear_as_activities(account: Account) -> None:
    resource = account.endpoint("e")
    account.register(resource, MinCapacity=3)
    eventually(lambda: account.count("e") == 3, "raised to the minimum")
    eventually(lambda: account.status("e") == "InService", "in service again")
    account.register(resource, MinCapacity=1, MaxCapacity=1)
    eventually(lambda: account.count("e") == 1, "lowered to the maximum")
    found = account.scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    reported = [(activity["Description"], activity["StatusCode"]) for activity in found]
    assert reported == [(f"Setting desired instance count to {count}.", "Successful") for count in (1, 3)], (
        "newest first"
    )


def test_a_quota_stops_the_scaling_and_says_so(account: Account) -> None:
    account.aws.control.patch_sagemaker_settings({"quotas": {"instances": {"ml.m5.large": 2}}})
    account.register(account.endpoint("e"), MinCapacity=3)

    def failed() -> bool:
        found = account.scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
        return [activity["StatusCode"] for activity in found] == ["Failed"]

    eventually(failed, "the activity failed")
    assert account.count("e") == 2


def test_scheduled_actions_fire_and_are_described(account: Account) -> None:
    resource = account.endpoint("e")
    account.register(resource)
    named: Any = WHERE | {"ResourceId": resource, "ScheduledActionName": "a"}

    def put_in_time() -> bool:
        soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
        account.scaling.put_scheduled_action(
            **named, Schedule=f"at({soon:%Y-%m-%dT%H:%M:%S})", ScalableTargetAction={"MinCapacity": 4, "MaxCapacity": 6}
        )
        return datetime.now(UTC) < soon

    eventually(put_in_time, "the action was there before its time")
    [shown] = account.scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    assert (shown["ScheduledActionName"], shown["ScalableTargetAction"]["MinCapacity"]) == ("a", 4)
    eventually(lambda: account.count("e") == 4, "the action fired")
    [target] = account.targets()["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (4, 6)
    account.scaling.put_scheduled_action(**named, Schedule="cron(0 8 ? * MON *)", Timezone="Europe/Berlin")
    [shown] = account.scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    assert (shown["Timezone"], shown["ScalableTargetAction"]["MaxCapacity"]) == ("Europe/Berlin", 6)
    account.scaling.delete_scheduled_action(**named)
    assert code(account.scaling.delete_scheduled_action, **named) == "ObjectNotFoundException"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"Schedule": "cron(0 8 * * * *)"}, "is not valid"),
        ({"Timezone": "Mars/Olympus"}, "no time zone"),
        ({"ScalableTargetAction": {}}, "needs MinCapacity"),
        ({"ScalableTargetAction": {"MinCapacity": 3, "MaxCapacity": 2}}, "must not be less"),
        ({"ScalableTargetAction": {"MinCapacity": 0}}, "at least 1"),
        ({"Schedule": None}, "Schedule is needed"),
    ],
)
def test_actions_that_cannot_be(account: Account, request_: dict[str, Any], message: str) -> None:
    resource = account.endpoint("e")
    account.register(resource)
    usual = {"Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 1}, "ScheduledActionName": "a"}
    asked = WHERE | {"ResourceId": resource} | usual | request_
    with pytest.raises(ClientError, match=message) as raised:
        account.scaling.put_scheduled_action(**{key: value for key, value in asked.items() if value is not None})
    assert raised.value.response["Error"]["Code"] == "ValidationException"


def test_an_update_may_not_change_the_instances_of_a_registered_variant(account: Account) -> None:
    resource = account.endpoint("e")
    account.register(resource)
    larger = account.config("larger", shape={"InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1})
    for config in (larger, account.config("renamed", "W")):
        with pytest.raises(ClientError, match=r"registered as a scalable target.*deregister it") as raised:
            account.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName=config)
        assert raised.value.response["Error"]["Code"] == "ValidationException"
    account.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName=account.config("same-type"))
    eventually(lambda: account.status("e") == "InService", "updated")
    account.scaling.deregister_scalable_target(**WHERE, ResourceId=resource)
    account.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName=larger)


def test_deleting_an_endpoint_deregisters_its_variants(account: Account) -> None:
    resource = account.endpoint("e")
    account.register(resource)
    account.policy(resource)
    account.sagemaker.delete_endpoint(EndpointName="E")
    assert account.targets()["ScalableTargets"] == []
    assert account.alarms() == []


def test_an_asynchronous_variant_can_be_scheduled_to_nothing(account: Account) -> None:
    resource = account.endpoint("e", AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://b/o"}})
    account.register(resource)
    nightly: Any = WHERE | {"ResourceId": resource, "ScheduledActionName": "a", "Schedule": "cron(0 20 ? * * *)"}
    account.scaling.put_scheduled_action(**nightly, ScalableTargetAction={"MinCapacity": 0, "MaxCapacity": 0})


def test_a_customized_metric_scales_an_asynchronous_variant_from_nothing(account: Account) -> None:
    account.aws.control.patch_sagemaker_settings({"autoscaling_seconds_per_second": 600})
    output = {"OutputConfig": {"S3OutputPath": "s3://b/o"}}
    resource = account.endpoint("e", AsyncInferenceConfig=output)
    account.register(resource, MinCapacity=0, MaxCapacity=0)
    eventually(lambda: account.count("e") == 0, "none are left")
    account.register(resource, MinCapacity=0, MaxCapacity=3)
    account.policy(resource, {"TargetValue": 4.0, "CustomizedMetricSpecification": CUSTOM, **ONCE})
    account.cloudwatch.put_metric_data(Namespace="N", MetricData=[{"MetricName": "Backlog", "Value": 7}])
    eventually(lambda: account.count("e") == 2, "two for a backlog of seven, at four each")


def test_calls_are_metered_and_can_be_made_to_fail(account: Account) -> None:
    account.aws.control.reset_meter()
    refused = FaultError(code="FailedResourceAccessException", message="not now", status=400)
    account.aws.control.add_faults(Fault(service="application-autoscaling", resource="endpoint/e", error=refused))
    assert code(account.register, resource="endpoint/e/variant/V") == "FailedResourceAccessException"
    account.targets()
    reported = {"RegisterScalableTarget": 1, "DescribeScalableTargets": 1}
    assert account.aws.control.calls() == {"application-autoscaling": reported}
