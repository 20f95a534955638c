"""The operations of SageMaker, with its runtime."""

from collections.abc import Iterable
from typing import Any, Final

from eep_platform.aws.guard.rules import (
    CallScope,
    ConditionKeys,
    KeysOf,
    Operations,
    Resources,
    Rule,
    any_resource,
    at,
    creating,
    named,
    named_by,
    passing,
    tagging,
    with_keys,
)
from eep_platform.aws.inputs.rules import Parameters
from eep_platform.aws.ministack import REGION

_MODEL, _CONFIG, _ENDPOINT, _TRAINING_JOB, _PROCESSING_JOB, _TRANSFORM_JOB = (
    at("sagemaker", kind, member)
    for kind, member in (
        ("model/", "ModelName"),
        ("endpoint-config/", "EndpointConfigName"),
        ("endpoint/", "EndpointName"),
        ("training-job/", "TrainingJobName"),
        ("processing-job/", "ProcessingJobName"),
        ("transform-job/", "TransformJobName"),
    )
)


def _volume_key(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return filter(None, [scope.volume_key_of(parameters["EndpointConfigName"])])


def _granting(_: Parameters) -> ConditionKeys:
    # The guard serves one region, and its own services.
    return {"kms:GrantIsForAWSResource": "true", "kms:ViaService": f"sagemaker.{REGION}.amazonaws.com"}


def _hosting(parameters: Parameters) -> ConditionKeys:
    """The condition keys about the instances of an endpoint configuration."""
    variants = parameters.get("ProductionVariants", ())
    pools = [pool for each in variants for pool in (each, *each.get("InstancePools", ()))]
    types = [each["InstanceType"] for each in pools if "InstanceType" in each]
    concurrency = [each["ServerlessConfig"]["MaxConcurrency"] for each in variants if "ServerlessConfig" in each]
    return {
        **tagging(parameters),
        **({"sagemaker:InstanceTypes": types} if types else {}),
        **({"sagemaker:ServerlessMaxConcurrency": str(max(concurrency))} if concurrency else {}),
    }


def _at_or_named(kind: str, member: str) -> Resources:
    """The resource that a member names or whose ARN it is."""

    def resources(parameters: Parameters, scope: CallScope) -> Iterable[str]:
        given = parameters[member]
        return (given if given.startswith("arn:") else scope.arn("sagemaker", f"{kind}/{given}"),)

    return resources


_PIPELINE: Final = _at_or_named("pipeline", "PipelineName")
_PACKAGE_GROUP: Final = _at_or_named("model-package-group", "ModelPackageGroupName")


def _new_package(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    """The version to be registered, which has no number yet."""
    group = parameters["ModelPackageGroupName"].rpartition("/")[2]
    return (scope.arn("sagemaker", f"model-package/{group}/*"),)


def _registering(parameters: Parameters) -> ConditionKeys:
    """The condition keys about the approval, stage and properties of a model package."""
    cycle = parameters.get("ModelLifeCycle", {})
    given = {
        "sagemaker:ModelApprovalStatus": parameters.get("ModelApprovalStatus"),
        "sagemaker:ModelLifeCycle:stage": cycle.get("Stage"),
        "sagemaker:ModelLifeCycle:stageStatus": cycle.get("StageStatus"),
        **{
            f"sagemaker:CustomerMetadataProperties/{key}": value
            for key, value in parameters.get("CustomerMetadataProperties", {}).items()
        },
    }
    return {key: value for key, value in given.items() if value}


def _packages_of_model(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    """The model packages that the containers of a model name."""
    containers = (parameters.get("PrimaryContainer", {}), *parameters.get("Containers", ()))
    named = _at_or_named("model-package", "ModelPackageName")
    return (arn for each in containers if "ModelPackageName" in each for arn in named(each, scope))


def _on_instances(parameters: Parameters) -> ConditionKeys:
    """The condition keys about the instances of a job."""
    cluster = (
        parameters.get("ProcessingResources", {}).get("ClusterConfig")
        or parameters.get("TransformResources")
        or parameters.get("ResourceConfig", {})
    )
    longest = parameters.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
    return {
        **tagging(parameters),
        **({"sagemaker:InstanceTypes": [cluster["InstanceType"]]} if "InstanceType" in cluster else {}),
        **({"sagemaker:MaxRuntimeInSeconds": str(longest)} if longest else {}),
    }


def _creating(operation: str, resources: Resources, *beside: Rule, keys: KeysOf = tagging) -> dict[Any, Any]:
    adding = with_keys(tagging, sagemaker__TaggingAction=operation)
    return creating("sagemaker", operation, resources, *beside, tag="AddTags", keys=keys, tag_keys=adding)


# "API permissions reference" in the SageMaker developer guide: where the configuration names a key for its volumes.
_GRANT: Final = Rule("kms:CreateGrant", _volume_key, _granting)
RULES: Final[Operations] = {
    **named("sagemaker", any_resource, "ListEndpointConfigs", "ListEndpoints", "ListModels"),
    **named("sagemaker", any_resource, "ListModelPackageGroups", "ListModelPackages"),
    **named("sagemaker", _MODEL, "DeleteModel", "DescribeModel"),
    **named("sagemaker", _CONFIG, "DeleteEndpointConfig", "DescribeEndpointConfig"),
    **named("sagemaker", _ENDPOINT, "DeleteEndpoint", "DescribeEndpoint"),
    **named(
        "sagemaker",
        _PACKAGE_GROUP,
        "DeleteModelPackageGroup",
        "DeleteModelPackageGroupPolicy",
        "DescribeModelPackageGroup",
        "GetModelPackageGroupPolicy",
        "PutModelPackageGroupPolicy",
    ),
    **named(
        "sagemaker", _at_or_named("model-package", "ModelPackageName"), "DeleteModelPackage", "DescribeModelPackage"
    ),
    **named("sagemaker", named_by("ModelPackageArn"), "UpdateModelPackage", keys=_registering),
    **named("sagemaker", lambda parameters, _: parameters["ModelPackageArnList"], "BatchDescribeModelPackage"),
    **named("sagemaker", named_by("ResourceArn"), "AddTags", "ListTags", keys=tagging),
    **_creating("CreateModelPackageGroup", _PACKAGE_GROUP),
    **named("sagemaker", any_resource, "ListPipelines"),
    **named(
        "sagemaker",
        _PIPELINE,
        "DeletePipeline",
        "DescribePipeline",
        "ListPipelineExecutions",
        "ListPipelineVersions",
        "StartPipelineExecution",
    ),
    **named(
        "sagemaker",
        named_by("PipelineExecutionArn"),
        "DescribePipelineDefinitionForExecution",
        "DescribePipelineExecution",
        "ListPipelineExecutionSteps",
        "ListPipelineParametersForExecution",
        "RetryPipelineExecution",
        "StopPipelineExecution",
    ),
    **_creating("CreatePipeline", _PIPELINE, passing("RoleArn", "sagemaker")),
    ("sagemaker", "UpdatePipeline"): (
        Rule("sagemaker:UpdatePipeline", _PIPELINE),
        passing("RoleArn", "sagemaker"),
    ),
    ("sagemaker", "CreateModelPackage"): (
        Rule("sagemaker:CreateModelPackage", _PACKAGE_GROUP, _registering),
        Rule("sagemaker:CreateModelPackage", _new_package, _registering),
    ),
    **_creating(
        "CreateModel",
        _MODEL,
        Rule("sagemaker:CreateModel", _packages_of_model),
        passing("ExecutionRoleArn", "sagemaker"),
    ),
    **named("sagemaker", any_resource, "ListProcessingJobs", "ListTrainingJobs"),
    **named("sagemaker", _TRAINING_JOB, "DeleteTrainingJob", "DescribeTrainingJob", "StopTrainingJob"),
    **named("sagemaker", _PROCESSING_JOB, "DeleteProcessingJob", "DescribeProcessingJob", "StopProcessingJob"),
    **named("sagemaker", any_resource, "ListTransformJobs"),
    **named("sagemaker", _TRANSFORM_JOB, "DescribeTransformJob", "StopTransformJob"),
    **_creating("CreateTransformJob", _TRANSFORM_JOB, keys=_on_instances),
    **_creating("CreateTrainingJob", _TRAINING_JOB, passing("RoleArn", "sagemaker"), keys=_on_instances),
    **_creating("CreateProcessingJob", _PROCESSING_JOB, passing("RoleArn", "sagemaker"), keys=_on_instances),
    **_creating("CreateEndpointConfig", _CONFIG, keys=_hosting),
    **_creating("CreateEndpoint", _ENDPOINT, Rule("sagemaker:CreateEndpoint", _CONFIG, tagging), _GRANT),
    ("sagemaker", "UpdateEndpoint"): (
        Rule("sagemaker:UpdateEndpoint", _ENDPOINT),
        Rule("sagemaker:UpdateEndpoint", _CONFIG),
        _GRANT,
    ),
    ("sagemaker-runtime", "InvokeEndpoint"): (Rule("sagemaker:InvokeEndpoint", _ENDPOINT),),
    ("sagemaker-runtime", "InvokeEndpointAsync"): (Rule("sagemaker:InvokeEndpointAsync", _ENDPOINT),),
}
