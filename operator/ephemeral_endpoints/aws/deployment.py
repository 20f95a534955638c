"""Endpoint configurations and updates in SageMaker's words: the members of its requests."""

from typing import Any, Final

from ephemeral_endpoints.api.serving import LONGEST_ROLLOUT_SECONDS, Strategy
from ephemeral_endpoints.core.resources import (
    AsynchronousSpec,
    CaptureSpec,
    EndpointConfigSpec,
    EndpointSpec,
    RolloutSpec,
    ServerlessSpec,
    VariantSpec,
)

_TRAFFIC: Final = {
    Strategy.ALL_AT_ONCE: ("ALL_AT_ONCE", None),
    Strategy.CANARY: ("CANARY", "CanarySize"),
    Strategy.LINEAR: ("LINEAR", "LinearStepSize"),
}


def config(spec: EndpointConfigSpec) -> dict[str, Any]:
    """The members of CreateEndpointConfig that say what is served."""
    members: dict[str, Any] = {"ProductionVariants": [_variant(each) for each in spec.variants]}
    if spec.capture:
        members["DataCaptureConfig"] = _capture(spec.capture)
    if spec.asynchronous:
        members["AsyncInferenceConfig"] = _asynchronous(spec.asynchronous)
    return members


def update(spec: EndpointSpec) -> dict[str, Any]:
    """The members of UpdateEndpoint that say how it goes into service."""
    members: dict[str, Any] = {}
    if spec.keeps_counts:
        # The numbers of instances are autoscaling's; all else is the configuration's to say.
        members["RetainAllVariantProperties"] = True
        members["ExcludeRetainedVariantProperties"] = [
            {"VariantPropertyType": "DesiredWeight"},
            {"VariantPropertyType": "DataCaptureConfig"},
        ]
    if spec.rollout:
        members["DeploymentConfig"] = _deployment(spec.rollout)
    return members


def _variant(spec: VariantSpec) -> dict[str, Any]:
    variant: dict[str, Any] = {
        "VariantName": spec.name,
        "ModelName": spec.model,
        "InitialVariantWeight": float(spec.weight),
    }
    if not isinstance(spec.capacity, ServerlessSpec):
        size = {"InstanceType": spec.capacity.instance_type, "InitialInstanceCount": spec.capacity.count}
        return variant | size
    serverless = {"MemorySizeInMB": spec.capacity.memory_mb, "MaxConcurrency": spec.capacity.max_concurrency}
    if spec.capacity.provisioned_concurrency:
        serverless["ProvisionedConcurrency"] = spec.capacity.provisioned_concurrency
    return variant | {"ServerlessConfig": serverless}


def _capture(spec: CaptureSpec) -> dict[str, Any]:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": spec.sampling_percent,
        "DestinationS3Uri": spec.s3_uri,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"], "CsvContentTypes": ["text/csv"]},
    }


def _asynchronous(spec: AsynchronousSpec) -> dict[str, Any]:
    topics = {"SuccessTopic": spec.success_topic_arn, "ErrorTopic": spec.error_topic_arn}
    told = {name: arn for name, arn in topics.items() if arn}
    output: dict[str, Any] = {
        # Whether SageMaker puts a slash of its own behind one that is there is not documented.
        "S3OutputPath": spec.output_s3_uri.rstrip("/"),
        "S3FailurePath": spec.failure_s3_uri.rstrip("/"),
    }
    if told:
        output["NotificationConfig"] = told
    members: dict[str, Any] = {"OutputConfig": output}
    if spec.max_concurrency_per_instance:
        members["ClientConfig"] = {"MaxConcurrentInvocationsPerInstance": spec.max_concurrency_per_instance}
    return members


def _deployment(rollout: RolloutSpec) -> dict[str, Any]:
    members = _rolling(rollout) if rollout.strategy is Strategy.ROLLING else _blue_green(rollout)
    if rollout.alarms:
        members["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in rollout.alarms]}
    return members


def _rolling(rollout: RolloutSpec) -> dict[str, Any]:
    policy = {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": rollout.step_percent},
        "WaitIntervalInSeconds": rollout.interval_seconds,
        "MaximumExecutionTimeoutInSeconds": LONGEST_ROLLOUT_SECONDS,
    }
    return {"RollingUpdatePolicy": policy}


def _blue_green(rollout: RolloutSpec) -> dict[str, Any]:
    kind, size = _TRAFFIC[rollout.strategy]
    routing: dict[str, Any] = {"Type": kind, "WaitIntervalInSeconds": rollout.interval_seconds}
    if size:
        routing[size] = {"Type": "CAPACITY_PERCENT", "Value": rollout.step_percent}
    policy = {"TrafficRoutingConfiguration": routing, "MaximumExecutionTimeoutInSeconds": LONGEST_ROLLOUT_SECONDS}
    return {"BlueGreenUpdatePolicy": policy}
