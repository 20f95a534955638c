from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters

from ephemeral_endpoints.api.v1alpha1.serving import Strategy
from ephemeral_endpoints.features.serving import deployment
from ephemeral_endpoints.features.serving.specs import (
    AsynchronousSpec,
    CaptureSpec,
    EndpointConfigSpec,
    EndpointSpec,
    InstanceSpec,
    RolloutSpec,
    ServerlessSpec,
    VariantSpec,
)

MODEL = botocore.session.get_session().get_service_model("sagemaker")
SERVERLESS = VariantSpec("main", "m", ServerlessSpec(1024, 5))
WARM = VariantSpec("main", "m", ServerlessSpec(1024, 5, 2))
ON_INSTANCES = VariantSpec("main", "m", InstanceSpec("ml.m5.large", 2), 3)
TOPIC = "arn:aws:sns:us-east-1:123456789012:t"


def validated(operation: str, members: dict[str, Any]) -> dict[str, Any]:
    """The members, which botocore takes."""
    names = {"EndpointConfigName": "c"} | ({"EndpointName": "e"} if operation == "UpdateEndpoint" else {})
    shape = MODEL.operation_model(operation).input_shape
    assert shape
    validate_parameters(names | members, shape)
    return members


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (SERVERLESS, {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5}}),
        (WARM, {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5, "ProvisionedConcurrency": 2}}),
        (ON_INSTANCES, {"InstanceType": "ml.m5.large", "InitialInstanceCount": 2}),
    ],
)
def test_a_variant_runs_on_what_it_should(spec: VariantSpec, expected: dict[str, Any]) -> None:
    members = validated("CreateEndpointConfig", deployment.config(EndpointConfigSpec((spec,))))
    named = {"VariantName": "main", "ModelName": "m", "InitialVariantWeight": float(spec.weight)}
    assert members == {"ProductionVariants": [named | expected]}


def test_everything_is_recorded_of_the_requests_that_are_sampled() -> None:
    spec = EndpointConfigSpec((ON_INSTANCES,), capture=CaptureSpec("s3://bucket/x", 20))
    capture = validated("CreateEndpointConfig", deployment.config(spec))["DataCaptureConfig"]
    assert (capture["EnableCapture"], capture["InitialSamplingPercentage"]) == (True, 20)
    assert (capture["DestinationS3Uri"], len(capture["CaptureOptions"])) == ("s3://bucket/x", 2)


def test_queued_requests_have_their_folders_and_only_the_topics_that_are_named() -> None:
    queued = AsynchronousSpec("s3://b/results/", "s3://b/failures/", 4, error_topic_arn=TOPIC)
    members = validated("CreateEndpointConfig", deployment.config(EndpointConfigSpec((ON_INSTANCES,), None, queued)))
    assert members["AsyncInferenceConfig"] == {
        "OutputConfig": {
            "S3OutputPath": "s3://b/results",
            "S3FailurePath": "s3://b/failures",
            "NotificationConfig": {"ErrorTopic": TOPIC},
        },
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4},
    }


@pytest.mark.parametrize(
    ("rollout", "policy"),
    [
        (RolloutSpec(Strategy.ALL_AT_ONCE, None, 0), {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}),
        (
            RolloutSpec(Strategy.CANARY, 10, 60),
            {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 60,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
            },
        ),
        (
            RolloutSpec(Strategy.LINEAR, 25, 0),
            {
                "Type": "LINEAR",
                "WaitIntervalInSeconds": 0,
                "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
            },
        ),
    ],
)
def test_traffic_goes_over_in_steps(rollout: RolloutSpec, policy: dict[str, Any]) -> None:
    members = validated("UpdateEndpoint", deployment.update(EndpointSpec("c", rollout)))
    assert members["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"] == policy


def test_instances_are_replaced_in_batches() -> None:
    members = validated("UpdateEndpoint", deployment.update(EndpointSpec("c", RolloutSpec(Strategy.ROLLING, 50, 60))))
    policy = members["DeploymentConfig"]["RollingUpdatePolicy"]
    assert policy["MaximumBatchSize"] == {"Type": "CAPACITY_PERCENT", "Value": 50}
    assert policy["WaitIntervalInSeconds"] == 60


def test_alarms_take_a_rollout_back() -> None:
    rollout = RolloutSpec(Strategy.CANARY, 10, 60, alarms=("a", "b"))
    members = validated("UpdateEndpoint", deployment.update(EndpointSpec("c", rollout)))
    watched = members["DeploymentConfig"]["AutoRollbackConfiguration"]
    assert watched == {"Alarms": [{"AlarmName": "a"}, {"AlarmName": "b"}]}


def test_an_update_leaves_counts_to_autoscaling_and_all_else_to_the_configuration() -> None:
    members = validated("UpdateEndpoint", deployment.update(EndpointSpec("c", keeps_counts=True)))
    assert members == {
        "RetainAllVariantProperties": True,
        "ExcludeRetainedVariantProperties": [
            {"VariantPropertyType": "DesiredWeight"},
            {"VariantPropertyType": "DataCaptureConfig"},
        ],
    }


def test_a_serverless_endpoint_is_updated_as_sagemaker_does_by_itself() -> None:
    assert deployment.update(EndpointSpec("c")) == {}
