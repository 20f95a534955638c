"""Models, endpoint configurations and updates as members of SageMaker's requests."""

from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.hosting import RoutingStrategy
from ephemeral_endpoints.api.v1alpha1.serving import LONGEST_ROLLOUT_SECONDS, Strategy
from ephemeral_endpoints.features.serving.specs import (
    AsynchronousSpec,
    CaptureSpec,
    DataSpec,
    EndpointConfigSpec,
    EndpointSpec,
    InstanceSpec,
    ModelSpec,
    RolloutSpec,
    ServerlessSpec,
    VariantSpec,
)

_TRAFFIC: Final = {
    Strategy.ALL_AT_ONCE: ("ALL_AT_ONCE", None),
    Strategy.CANARY: ("CANARY", "CanarySize"),
    Strategy.LINEAR: ("LINEAR", "LinearStepSize"),
}
_ROUTING: Final = {
    RoutingStrategy.LEAST_OUTSTANDING_REQUESTS: "LEAST_OUTSTANDING_REQUESTS",
    RoutingStrategy.RANDOM: "RANDOM",
}


def model(spec: ModelSpec) -> dict[str, Any]:
    """The members of CreateModel that describe the model."""
    container: dict[str, Any] = {"Environment": dict(spec.environment)}
    if spec.package and not spec.is_direct:
        container["ModelPackageName"] = spec.package
    else:
        container |= _content(spec)
    members: dict[str, Any] = {"PrimaryContainer": container, "ExecutionRoleArn": spec.role_arn}
    if spec.vpc:
        members["VpcConfig"] = {
            "SecurityGroupIds": list(spec.vpc.security_group_ids),
            "Subnets": list(spec.vpc.subnet_ids),
        }
    if spec.isolated:
        members["EnableNetworkIsolation"] = True
    return members


def _content(spec: ModelSpec) -> dict[str, Any]:
    container: dict[str, Any] = {"Image": spec.image}
    if spec.data_url:
        container["ModelDataUrl"] = spec.data_url
    if spec.data_source:
        container["ModelDataSource"] = _source(spec.data_source)
    if spec.additional_data:
        container["AdditionalModelDataSources"] = [
            {"ChannelName": name, **_source(data)} for name, data in spec.additional_data
        ]
    return container


def _source(spec: DataSpec) -> dict[str, Any]:
    kind, compression = ("S3Prefix", "None") if spec.is_folder else ("S3Object", "Gzip")
    source: dict[str, Any] = {"S3Uri": spec.uri, "S3DataType": kind, "CompressionType": compression}
    if spec.accepts_eula:
        source["ModelAccessConfig"] = {"AcceptEula": True}
    return {"S3DataSource": source}


def config(spec: EndpointConfigSpec) -> dict[str, Any]:
    """The members of CreateEndpointConfig that describe the variants."""
    members: dict[str, Any] = {"ProductionVariants": [_variant(each) for each in spec.variants]}
    if spec.volume_key_arn:
        members["KmsKeyId"] = spec.volume_key_arn
    if spec.capture:
        members["DataCaptureConfig"] = _capture(spec.capture)
    if spec.asynchronous:
        members["AsyncInferenceConfig"] = _asynchronous(spec.asynchronous)
    return members


def update(spec: EndpointSpec) -> dict[str, Any]:
    """The members of UpdateEndpoint that describe the rollout."""
    members: dict[str, Any] = {}
    if spec.keeps_counts:
        # Autoscaling sets the number of instances, the configuration everything else.
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
        return variant | _instances(spec.capacity)
    serverless = {"MemorySizeInMB": spec.capacity.memory_mb, "MaxConcurrency": spec.capacity.max_concurrency}
    if spec.capacity.provisioned_concurrency:
        serverless["ProvisionedConcurrency"] = spec.capacity.provisioned_concurrency
    return variant | {"ServerlessConfig": serverless}


def _instances(spec: InstanceSpec) -> dict[str, Any]:
    members: dict[str, Any] = {
        "InitialInstanceCount": spec.count,
        "VariantInstanceProvisionTimeoutInSeconds": spec.capacity_timeout,
        "ContainerStartupHealthCheckTimeoutInSeconds": spec.startup_timeout,
        "ModelDataDownloadTimeoutInSeconds": spec.download_timeout,
        "VolumeSizeInGB": spec.volume_size_gb,
        "InferenceAmiVersion": spec.ami_version,
        "RoutingConfig": {"RoutingStrategy": _ROUTING[spec.routing]} if spec.routing else None,
    }
    if spec.fallback_types:
        types = (spec.instance_type, *spec.fallback_types)
        members["InstancePools"] = [
            {"InstanceType": type_, "Priority": priority} for priority, type_ in enumerate(types, start=1)
        ]
    else:
        members["InstanceType"] = spec.instance_type
    return {name: value for name, value in members.items() if value is not None}


def _capture(spec: CaptureSpec) -> dict[str, Any]:
    return {
        **({"KmsKeyId": spec.key_arn} if spec.key_arn else {}),
        "EnableCapture": True,
        "InitialSamplingPercentage": spec.sampling_percent,
        "DestinationS3Uri": spec.s3_uri,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"], "CsvContentTypes": ["text/csv"]},
    }


def _asynchronous(spec: AsynchronousSpec) -> dict[str, Any]:
    topics = {"SuccessTopic": spec.success_topic_arn, "ErrorTopic": spec.error_topic_arn}
    notified = {name: arn for name, arn in topics.items() if arn}
    output: dict[str, Any] = {
        # It is not documented whether SageMaker adds a second slash.
        "S3OutputPath": spec.output_s3_uri.rstrip("/"),
        "S3FailurePath": spec.failure_s3_uri.rstrip("/"),
    }
    if notified:
        output["NotificationConfig"] = notified
    if spec.key_arn:
        output["KmsKeyId"] = spec.key_arn
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
