"""Every parameter of CreateModel, CreateEndpointConfig and UpdateEndpoint, and where its value comes from.

A row stands for a parameter or for all parameters below a structure. Parameters that the operator never sends have the
reason beside them.
"""

from dataclasses import dataclass
from typing import Final, Self

_MODEL, _CONFIG, _UPDATE = "CreateModel", "CreateEndpointConfig", "UpdateEndpoint"
OPERATIONS: Final = (_MODEL, _CONFIG, _UPDATE)


@dataclass(frozen=True, slots=True)
class HostingParameter:
    """A parameter, or a structure of parameters, of one operation.

    ``fields`` are the fields of objects, ``class_fields`` those of classes, that its value comes from. A parameter with
    neither is set by the operator if ``is_sent``, and otherwise not used; ``reason`` says why.
    """

    operation: str
    path: str
    fields: tuple[str, ...] = ()
    class_fields: tuple[str, ...] = ()
    reason: str = ""
    is_sent: bool = True

    @classmethod
    def unused(cls, operation: str, path: str, reason: str) -> Self:
        """A parameter that is never sent."""
        return cls(operation, path, reason=reason, is_sent=False)

    def covers(self, operation: str, parameter: str) -> bool:
        """Whether it is the parameter, or a structure or list that the parameter is in."""
        rest = parameter.removeprefix(self.path)
        return operation == self.operation and parameter.startswith(self.path) and (not rest or rest[0] in ".[")


_CONTAINER: Final = "PrimaryContainer"
_SOURCE: Final = f"{_CONTAINER}.ModelDataSource.S3DataSource"
_ADDITIONAL: Final = f"{_CONTAINER}.AdditionalModelDataSources[]"
_VARIANT: Final = "ProductionVariants[]"
_CAPTURE: Final = "DataCaptureConfig"
_ASYNC: Final = "AsyncInferenceConfig"
_BLUE_GREEN: Final = "DeploymentConfig.BlueGreenUpdatePolicy"
_ROLLING: Final = "DeploymentConfig.RollingUpdatePolicy"

_OBJECT_TAGS: Final = ("spec.tags",)
_CLASS_TAGS: Final = ("spec.tags.values",)
_INSTANCES: Final = "spec.serving.instances"
_DEFAULTS: Final = "spec.instances.defaults"

_HUB: Final = (
    "Content of a hub is a copy of a model that nobody's pull request changes. Packages of the model registry bring "
    "their own data."
)
_NO_INFERENCE_COMPONENTS: Final = (
    "For inference components, which let several models share the instances of an endpoint: a different hosting model, "
    "in which instances outlive the models on them, an endpoint can be deleted only after its components, and "
    "serverless endpoints have none. A preview has its own endpoint, and costs nothing while it is serverless and idle."
)
_BY_NAME: Final = (
    "A name that follows from the cluster, the object's UID and the content, so that nothing is made twice."
)


def _hosted(parameter: str, field: str) -> HostingParameter:
    """A setting of instances that has a default in the class."""
    return HostingParameter(_CONFIG, f"{_VARIANT}.{parameter}", (f"{_INSTANCES}.{field}",), (f"{_DEFAULTS}.{field}",))


_OF_MODELS: Final = (
    HostingParameter(_MODEL, "ModelName", reason=_BY_NAME),
    HostingParameter(
        _MODEL,
        f"{_CONTAINER}.Image",
        (
            "spec.model.image",
            "spec.model.build",
            "spec.model.copy",
            "spec.model.package",
            "spec.serving.variants[].model.image",
        ),
    ),
    HostingParameter(
        _MODEL, f"{_CONTAINER}.ModelDataUrl", ("spec.model.dataUrl", "spec.serving.variants[].model.dataUrl")
    ),
    HostingParameter(
        _MODEL,
        f"{_SOURCE}.S3Uri",
        ("spec.model.s3Prefix", "spec.model.dataUrl", "spec.serving.variants[].model.s3Prefix"),
    ),
    HostingParameter(_MODEL, f"{_SOURCE}.S3DataType", ("spec.model.s3Prefix", "spec.model.dataUrl")),
    HostingParameter(_MODEL, f"{_SOURCE}.CompressionType", ("spec.model.s3Prefix", "spec.model.dataUrl")),
    HostingParameter(
        _MODEL,
        f"{_SOURCE}.ModelAccessConfig",
        ("spec.model.acceptEula", "spec.serving.variants[].model.acceptEula"),
    ),
    HostingParameter(_MODEL, f"{_ADDITIONAL}.ChannelName", ("spec.model.additionalData[].name",)),
    HostingParameter(
        _MODEL,
        f"{_ADDITIONAL}.S3DataSource.S3Uri",
        ("spec.model.additionalData[].s3Prefix", "spec.model.additionalData[].dataUrl"),
    ),
    *(
        HostingParameter(
            _MODEL,
            f"{_ADDITIONAL}.S3DataSource.{member}",
            ("spec.model.additionalData[].s3Prefix", "spec.model.additionalData[].dataUrl"),
        )
        for member in ("S3DataType", "CompressionType")
    ),
    HostingParameter(
        _MODEL, f"{_ADDITIONAL}.S3DataSource.ModelAccessConfig", ("spec.model.additionalData[].acceptEula",)
    ),
    HostingParameter(
        _MODEL,
        f"{_CONTAINER}.Environment",
        ("spec.model.environment", "spec.model.environmentFrom", "spec.serving.variants[].model.environment"),
    ),
    HostingParameter(
        _MODEL,
        "ExecutionRoleArn",
        ("spec.serving.executionRoleArn",),
        ("spec.executionRoleArn", "spec.allowedExecutionRoleArns"),
    ),
    HostingParameter(
        _MODEL,
        "VpcConfig.SecurityGroupIds",
        ("spec.serving.network.securityGroupIds",),
        ("spec.network.vpc.securityGroupIds",),
    ),
    HostingParameter(_MODEL, "VpcConfig.Subnets", ("spec.serving.network.subnetIds",), ("spec.network.vpc.subnetIds",)),
    HostingParameter(
        _MODEL, "EnableNetworkIsolation", ("spec.serving.network.isolation",), ("spec.network.isolation",)
    ),
    HostingParameter(_MODEL, "Tags", _OBJECT_TAGS, _CLASS_TAGS),
    HostingParameter.unused(
        _MODEL, f"{_CONTAINER}.ContainerHostname", "SageMaker ignores it for models with one container."
    ),
    HostingParameter.unused(
        _MODEL,
        f"{_CONTAINER}.ImageConfig",
        "For registries in a VPC. Images are served from ECR, where they can be pinned and scanned; spec.model.copy "
        "brings those of other registries there.",
    ),
    *(
        HostingParameter.unused(
            _MODEL,
            f"{_CONTAINER}.{member}",
            "Multi-model containers load whatever a request names from S3: their content is no revision that could be "
            "previewed, and their callers must know the name of a file.",
        )
        for member in ("Mode", "MultiModelConfig")
    ),
    *(
        HostingParameter.unused(_MODEL, f"{source}.HubAccessConfig", _HUB)
        for source in (_SOURCE, f"{_ADDITIONAL}.S3DataSource")
    ),
    *(
        HostingParameter.unused(
            _MODEL,
            f"{source}.{member}",
            "A manifest and its checksums are what SageMaker JumpStart generates for its own models.",
        )
        for source in (_SOURCE, f"{_ADDITIONAL}.S3DataSource")
        for member in ("ManifestS3Uri", "ETag", "ManifestEtag")
    ),
    HostingParameter(_MODEL, f"{_CONTAINER}.ModelPackageName", ("spec.model.package",)),
    HostingParameter.unused(
        _MODEL,
        f"{_CONTAINER}.InferenceSpecificationName",
        "Chooses another specification of a package: a version serves one image with one set of data.",
    ),
    HostingParameter.unused(
        _MODEL,
        f"{_CONTAINER}.ContainerMetricsConfig",
        "For detailed observability, see MetricsConfig of CreateEndpointConfig.",
    ),
    *(
        HostingParameter.unused(
            _MODEL,
            member,
            "Serial inference pipelines: several containers behind one request are one preview only if all of them "
            "are built from the pull request, and serverless endpoints do not support them. Use one container that "
            "calls the steps.",
        )
        for member in ("Containers", "InferenceExecutionConfig")
    ),
)

_OF_CONFIGURATIONS: Final = (
    HostingParameter(_CONFIG, "EndpointConfigName", reason=_BY_NAME),
    HostingParameter(_CONFIG, f"{_VARIANT}.VariantName", ("spec.serving.variants[].name",)),
    HostingParameter(_CONFIG, f"{_VARIANT}.ModelName", reason="The model that the operator has made for the variant."),
    HostingParameter(
        _CONFIG,
        f"{_VARIANT}.InitialInstanceCount",
        (f"{_INSTANCES}.count",),
        ("spec.instances.maxCount",),
    ),
    HostingParameter(_CONFIG, f"{_VARIANT}.InstanceType", (f"{_INSTANCES}.type",), ("spec.instances.allowedTypes",)),
    HostingParameter(
        _CONFIG,
        f"{_VARIANT}.InstancePools[].InstanceType",
        (f"{_INSTANCES}.type", f"{_INSTANCES}.fallbackTypes"),
        ("spec.instances.allowedTypes",),
    ),
    HostingParameter(_CONFIG, f"{_VARIANT}.InstancePools[].Priority", (f"{_INSTANCES}.fallbackTypes",)),
    _hosted("VariantInstanceProvisionTimeoutInSeconds", "capacityTimeout"),
    HostingParameter(_CONFIG, f"{_VARIANT}.InitialVariantWeight", ("spec.serving.variants[].weight",)),
    HostingParameter(_CONFIG, f"{_VARIANT}.ServerlessConfig.MemorySizeInMB", ("spec.serving.serverless.memorySizeMB",)),
    HostingParameter(
        _CONFIG, f"{_VARIANT}.ServerlessConfig.MaxConcurrency", ("spec.serving.serverless.maxConcurrency",)
    ),
    HostingParameter(
        _CONFIG,
        f"{_VARIANT}.ServerlessConfig.ProvisionedConcurrency",
        ("spec.serving.serverless.provisionedConcurrency",),
    ),
    HostingParameter(
        _CONFIG,
        f"{_VARIANT}.VolumeSizeInGB",
        (f"{_INSTANCES}.volumeSizeGB",),
        (f"{_DEFAULTS}.volumeSizeGB", "spec.instances.maxVolumeSizeGB"),
    ),
    _hosted("ModelDataDownloadTimeoutInSeconds", "modelDownloadTimeout"),
    _hosted("ContainerStartupHealthCheckTimeoutInSeconds", "startupTimeout"),
    _hosted("InferenceAmiVersion", "amiVersion"),
    _hosted("RoutingConfig.RoutingStrategy", "routingStrategy"),
    HostingParameter(_CONFIG, f"{_CAPTURE}.EnableCapture", ("spec.capture",)),
    HostingParameter(_CONFIG, f"{_CAPTURE}.InitialSamplingPercentage", ("spec.capture.samplingPercent",)),
    HostingParameter(_CONFIG, f"{_CAPTURE}.DestinationS3Uri", ("spec.capture.s3Uri",)),
    HostingParameter(_CONFIG, f"{_CAPTURE}.KmsKeyId", (), ("spec.encryption.captureKeyArn",)),
    HostingParameter(
        _CONFIG, f"{_CAPTURE}.CaptureOptions", reason="Requests and answers: only both together can be replayed."
    ),
    HostingParameter(
        _CONFIG, f"{_CAPTURE}.CaptureContentTypeHeader", reason="JSON and CSV are kept as text, all else in Base64."
    ),
    HostingParameter(_CONFIG, "Tags", _OBJECT_TAGS, _CLASS_TAGS),
    HostingParameter(_CONFIG, "KmsKeyId", (), ("spec.encryption.volumeKeyArn",)),
    HostingParameter(
        _CONFIG,
        f"{_ASYNC}.ClientConfig.MaxConcurrentInvocationsPerInstance",
        ("spec.serving.asynchronous.maxConcurrencyPerInstance",),
    ),
    HostingParameter(_CONFIG, f"{_ASYNC}.OutputConfig.KmsKeyId", (), ("spec.encryption.resultKeyArn",)),
    HostingParameter(_CONFIG, f"{_ASYNC}.OutputConfig.S3OutputPath", ("spec.serving.asynchronous.s3Uri",)),
    HostingParameter(_CONFIG, f"{_ASYNC}.OutputConfig.S3FailurePath", ("spec.serving.asynchronous.s3Uri",)),
    HostingParameter(
        _CONFIG,
        f"{_ASYNC}.OutputConfig.NotificationConfig.SuccessTopic",
        ("spec.serving.asynchronous.successTopicArn",),
    ),
    HostingParameter(
        _CONFIG, f"{_ASYNC}.OutputConfig.NotificationConfig.ErrorTopic", ("spec.serving.asynchronous.errorTopicArn",)
    ),
    HostingParameter.unused(
        _CONFIG,
        f"{_ASYNC}.OutputConfig.NotificationConfig.IncludeInferenceResponseIn",
        "Answers stay in S3, where the API fetches them: topics pass them on to whoever subscribes.",
    ),
    HostingParameter.unused(
        _CONFIG,
        f"{_VARIANT}.InstancePools[].ModelNameOverride",
        "A preview is one revision: what a pool without capacity falls back to must serve the same model.",
    ),
    HostingParameter.unused(
        _CONFIG, f"{_VARIANT}.AcceleratorType", "Elastic Inference has been discontinued; SageMaker refuses it."
    ),
    HostingParameter.unused(
        _CONFIG,
        f"{_VARIANT}.CoreDumpConfig",
        "Core dumps contain requests and whatever secrets the model server has read; the log says why it ended.",
    ),
    HostingParameter.unused(
        _CONFIG,
        f"{_VARIANT}.EnableSSMAccess",
        "A shell on the instances, which would bypass the authentication and the record of the API. eep local runs the "
        "same image on your own machine.",
    ),
    HostingParameter.unused(
        _CONFIG,
        f"{_VARIANT}.ManagedInstanceScaling",
        "Only with inference components: SageMaker refuses it for a variant that has a model. "
        "spec.serving.instances.autoscaling scales variants, asynchronous ones to zero.",
    ),
    HostingParameter.unused(
        _CONFIG,
        f"{_VARIANT}.RoutingConfig.PrefixAwareRoutingConfig",
        "Routing by the prefix of prompts keeps caches of language models warm under the load of many users on many "
        "instances, which a preview does not have.",
    ),
    HostingParameter.unused(
        _CONFIG,
        f"{_VARIANT}.CapacityReservationConfig",
        "Reserved capacity is paid for and dated in advance, for workloads that are planned; previews come and go. "
        "fallbackTypes and capacityTimeout help against shortages.",
    ),
    HostingParameter.unused(
        _CONFIG,
        "ExplainerConfig",
        "SageMaker Clarify explains single answers by sending the model many altered requests, at the price of each: a "
        "study of a model in production, not of a change to it. Serverless endpoints do not support it.",
    ),
    HostingParameter.unused(
        _CONFIG,
        "ShadowProductionVariants",
        "A shadow variant gets copies of another variant's requests, so that the preview would have to be part of the "
        "production endpoint, with its permissions and its blast radius. Several variants behind one URL are "
        "spec.serving.variants.",
    ),
    *(
        HostingParameter.unused(_CONFIG, member, f"{_NO_INFERENCE_COMPONENTS} Of models, CreateModel sets it.")
        for member in ("ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation")
    ),
    HostingParameter.unused(
        _CONFIG,
        "MetricsConfig",
        "Metrics for each instance and container are billed as custom metrics, for every preview; the alarms use those "
        "that are free.",
    ),
)

_OF_UPDATES: Final = (
    HostingParameter(_UPDATE, "EndpointName", reason=_BY_NAME),
    HostingParameter(_UPDATE, "EndpointConfigName", reason="The new configuration."),
    *(
        HostingParameter(_UPDATE, member, (f"{_INSTANCES}.autoscaling",))
        for member in ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties")
    ),
    HostingParameter(_UPDATE, f"{_BLUE_GREEN}.TrafficRoutingConfiguration.Type", ("spec.serving.rollout.strategy",)),
    HostingParameter(
        _UPDATE,
        f"{_BLUE_GREEN}.TrafficRoutingConfiguration.WaitIntervalInSeconds",
        ("spec.serving.rollout.interval",),
    ),
    *(
        HostingParameter(
            _UPDATE, f"{_BLUE_GREEN}.TrafficRoutingConfiguration.{member}", ("spec.serving.rollout.stepPercent",)
        )
        for member in ("CanarySize", "LinearStepSize")
    ),
    HostingParameter(_UPDATE, f"{_ROLLING}.MaximumBatchSize", ("spec.serving.rollout.stepPercent",)),
    HostingParameter(_UPDATE, f"{_ROLLING}.WaitIntervalInSeconds", ("spec.serving.rollout.interval",)),
    *(
        HostingParameter(
            _UPDATE,
            f"{policy}.MaximumExecutionTimeoutInSeconds",
            reason="The longest that SageMaker allows, so that interval and stepPercent alone decide.",
        )
        for policy in (_BLUE_GREEN, _ROLLING)
    ),
    HostingParameter(
        _UPDATE,
        "DeploymentConfig.AutoRollbackConfiguration",
        ("spec.serving.rollout.autoRollback", "spec.monitoring.alarms.enabled"),
    ),
    HostingParameter.unused(
        _UPDATE,
        f"{_BLUE_GREEN}.TerminationWaitInSeconds",
        "The old instances would be paid for longer without serving anything.",
    ),
    HostingParameter.unused(
        _UPDATE,
        f"{_ROLLING}.RollbackMaximumBatchSize",
        "SageMaker rolls back all instances at once unless it is set: a failed revision should not serve longer.",
    ),
    HostingParameter.unused(
        _UPDATE, "RetainDeploymentConfig", "Every update states its own rollout: the last one may have been another's."
    ),
)

PARAMETERS: Final = (*_OF_MODELS, *_OF_CONFIGURATIONS, *_OF_UPDATES)
"""Every parameter once."""
