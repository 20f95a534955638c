"""The permissions that AWS operations require: actions, their resources and the condition keys of the call.

Most operations require the action of their own name. Further actions are in the column "dependent actions" of the
Service Authorization Reference and, for what Application Auto Scaling does on behalf of its caller, in its user guide
("identity-based policies"). Creating with tags counts as tagging, naming a role as passing it; API Gateway's actions
are verbs on paths.

The embedded AWS and the tests check the generated policies against it. It knows only the operations that the operator
and its forwarders call.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from eep_platform.aws.guard.rules import (
    CallScope,
    ConditionKeys,
    KeysOf,
    Parameters,
    RequiredAction,
    Resources,
    Rule,
    any_resource,
    at,
    fixed,
    named,
    named_by,
    no_keys,
    passing,
    tagging,
    tags_of,
    with_keys,
)
from eep_platform.aws.ministack import REGION


def actions_of(service: str, operation: str) -> frozenset[str]:
    """All actions that an operation may require. Raises KeyError for an unknown operation."""
    return frozenset(rule.action for rule in OPERATIONS[service, operation])


def required_actions(
    service: str, operation: str, parameters: Parameters, scope: CallScope
) -> tuple[RequiredAction, ...]:
    """The actions that a call requires. Raises KeyError for an unknown operation."""
    return tuple(
        RequiredAction(rule.action, resource, rule.keys(parameters))
        for rule in OPERATIONS[service, operation]
        if rule.when(parameters)
        for resource in rule.resources(parameters, scope)
    )


_MODEL, _CONFIG, _ENDPOINT = (
    at("sagemaker", kind, member)
    for kind, member in (
        ("model/", "ModelName"),
        ("endpoint-config/", "EndpointConfigName"),
        ("endpoint/", "EndpointName"),
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


def _creating(operation: str, resources: Resources, *beside: Rule, keys: KeysOf = tagging) -> dict[Any, Any]:
    adding = with_keys(tagging, sagemaker__TaggingAction=operation)
    return {
        ("sagemaker", operation): (
            Rule(f"sagemaker:{operation}", resources, keys),
            Rule("sagemaker:AddTags", resources, adding, lambda parameters: bool(tags_of(parameters))),
            *beside,
        )
    }


# "API permissions reference" in the SageMaker developer guide: where the configuration names a key for its volumes.
_GRANT: Final = Rule("kms:CreateGrant", _volume_key, _granting)
_SAGEMAKER: Final = {
    **named("sagemaker", any_resource, "ListEndpointConfigs", "ListEndpoints", "ListModels"),
    **named("sagemaker", _MODEL, "DeleteModel", "DescribeModel"),
    **named("sagemaker", _CONFIG, "DeleteEndpointConfig", "DescribeEndpointConfig"),
    **named("sagemaker", _ENDPOINT, "DeleteEndpoint", "DescribeEndpoint"),
    **named("sagemaker", named_by("ResourceArn"), "AddTags", "ListTags", keys=tagging),
    **_creating("CreateModel", _MODEL, passing("ExecutionRoleArn", "sagemaker")),
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

_SCALING: Final = "application-autoscaling"


def _target(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    """The scalable target of a resource; a new one has no ARN yet."""
    return (scope.target_arn(parameters["ResourceId"]) or scope.arn(_SCALING, "scalable-target/*"),)


def _of_target(parameters: Parameters) -> ConditionKeys:
    return {
        **tagging(parameters),
        "application-autoscaling:service-namespace": parameters.get("ServiceNamespace", ""),
        "application-autoscaling:scalable-dimension": parameters.get("ScalableDimension", ""),
    }


def _scaled_endpoint(parameters: Parameters) -> str:
    return str(parameters["ResourceId"].split("/")[1])


def _scaled(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (scope.arn("sagemaker", f"endpoint/{_scaled_endpoint(parameters)}"),)


def _scaled_config(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (scope.arn("sagemaker", f"endpoint-config/{scope.config_of(_scaled_endpoint(parameters))}"),)


def _tracking_alarms(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (scope.arn("cloudwatch", f"alarm:TargetTracking-{parameters['ResourceId']}-AlarmHigh-0"),)


def _service_role(_: Parameters, scope: CallScope) -> Iterable[str]:
    service = "sagemaker.application-autoscaling.amazonaws.com"
    role = f"role/aws-service-role/{service}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    return (f"arn:{scope.partition}:iam::{scope.id}:{role}",)


_AUTOSCALING: Final = {
    **named(_SCALING, any_resource, "DescribeScalableTargets", "DescribeScalingPolicies", "DescribeScheduledActions"),
    **named(_SCALING, named_by("ResourceARN"), "ListTagsForResource", "TagResource", keys=tagging),
    **named(
        _SCALING,
        _target,
        "DeleteScheduledAction",
        "DeregisterScalableTarget",
        "PutScheduledAction",
        keys=_of_target,
    ),
    (_SCALING, "RegisterScalableTarget"): (
        Rule(f"{_SCALING}:RegisterScalableTarget", _target, _of_target),
        Rule(f"{_SCALING}:TagResource", _target, tagging, lambda parameters: bool(tags_of(parameters))),
        Rule(
            "iam:CreateServiceLinkedRole",
            _service_role,
            lambda _: {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"},
        ),
        Rule("sagemaker:DescribeEndpoint", _scaled),
        Rule("sagemaker:DescribeEndpointConfig", _scaled_config),
        Rule("sagemaker:UpdateEndpointWeightsAndCapacities", _scaled),
    ),
    (_SCALING, "PutScalingPolicy"): (
        Rule(f"{_SCALING}:PutScalingPolicy", _target, _of_target),
        Rule("cloudwatch:DescribeAlarms", fixed("cloudwatch", "alarm:*")),
        Rule("cloudwatch:PutMetricAlarm", _tracking_alarms),
    ),
    (_SCALING, "DeleteScalingPolicy"): (
        Rule(f"{_SCALING}:DeleteScalingPolicy", _target, _of_target),
        Rule("cloudwatch:DeleteAlarms", _tracking_alarms),
    ),
}

_FUNCTION: Final = at("lambda", "function:", "FunctionName")
_LAMBDA: Final = {
    **named("lambda", any_resource, "GetAccountSettings", "ListFunctions"),
    **named(
        "lambda",
        _FUNCTION,
        "DeleteFunction",
        "DeleteFunctionConcurrency",
        "GetFunctionConcurrency",
        "GetFunctionConfiguration",
        "PutFunctionConcurrency",
        "UpdateFunctionCode",
    ),
    **named("lambda", named_by("Resource"), "ListTags", "TagResource", keys=tagging),
    ("lambda", "CreateFunction"): (
        Rule("lambda:CreateFunction", _FUNCTION, tagging),
        Rule("lambda:TagResource", _FUNCTION, tagging, lambda parameters: bool(tags_of(parameters))),
        passing("Role", "lambda"),
    ),
    ("lambda", "UpdateFunctionConfiguration"): (
        Rule("lambda:UpdateFunctionConfiguration", _FUNCTION),
        passing("Role", "lambda"),
    ),
}


def _path(template: str) -> Resources:
    """A path of API Gateway with members of the input."""
    return lambda parameters, scope: (
        f"arn:{scope.partition}:apigateway:{scope.region}::{template.format_map(parameters)}",
    )


def _tags_path(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    arn = parameters.get("ResourceArn") or f"arn:{scope.partition}:apigateway:{scope.region}::/v2/apis/*"
    return (f"arn:{scope.partition}:apigateway:{scope.region}::/tags/{quote(arn, safe='*')}",)


def _verb(verb: str, path: str, operation: str, *beside: Rule, keys: KeysOf = no_keys) -> dict[Any, Any]:
    return {("apigatewayv2", operation): (Rule(f"apigateway:{verb}", _path(path), keys), *beside)}


def _naming(parameters: Parameters) -> ConditionKeys:
    return {**tagging(parameters), "apigateway:Request/ApiName": str(parameters.get("Name", ""))}


_STAGES: Final = "/apis/{ApiId}/stages"
_INTEGRATIONS: Final = "/apis/{ApiId}/integrations"
_ROUTES: Final = "/apis/{ApiId}/routes"
_PASS_INVOKE: Final = passing("CredentialsArn", "apigateway")
_API_GATEWAY: Final = {
    **_verb("GET", "/apis", "GetApis"),
    **_verb("GET", "/apis/{ApiId}", "GetApi"),
    **_verb("GET", _STAGES, "GetStages"),
    **_verb("GET", _INTEGRATIONS, "GetIntegrations"),
    **_verb("GET", _ROUTES, "GetRoutes"),
    **_verb(
        "POST",
        "/apis",
        "CreateApi",
        Rule("apigateway:POST", _tags_path, tagging, lambda parameters: bool(tags_of(parameters))),
        keys=_naming,
    ),
    **_verb(
        "POST",
        _STAGES,
        "CreateStage",
        Rule("apigateway:TagResource", _path(_STAGES), tagging, lambda parameters: bool(tags_of(parameters))),
        keys=tagging,
    ),
    **_verb("PATCH", f"{_STAGES}/{{StageName}}", "UpdateStage"),
    **_verb("POST", _INTEGRATIONS, "CreateIntegration", _PASS_INVOKE),
    **_verb("PATCH", f"{_INTEGRATIONS}/{{IntegrationId}}", "UpdateIntegration", _PASS_INVOKE),
    **_verb("DELETE", f"{_INTEGRATIONS}/{{IntegrationId}}", "DeleteIntegration"),
    **_verb("POST", _ROUTES, "CreateRoute"),
    **_verb("PATCH", f"{_ROUTES}/{{RouteId}}", "UpdateRoute"),
    **_verb("DELETE", f"{_ROUTES}/{{RouteId}}", "DeleteRoute"),
    **_verb("DELETE", "/apis/{ApiId}", "DeleteApi"),
    ("apigatewayv2", "TagResource"): (Rule("apigateway:POST", _tags_path, tagging),),
}

_GROUP: Final = at("logs", "log-group:", "logGroupName")


def _stream(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    name = f"log-group:{parameters['logGroupName']}:log-stream:{parameters.get('logStreamName', '')}"
    return (scope.arn("logs", name),)


_LOGS: Final = {
    **named("logs", fixed("logs", "log-group::log-stream:"), "DescribeLogGroups"),
    **named("logs", named_by("resourceArn"), "ListTagsForResource", "TagResource", keys=tagging),
    **named("logs", _GROUP, "DeleteLogGroup", "DescribeLogStreams", "PutRetentionPolicy"),
    **named("logs", _stream, "GetLogEvents"),
    ("logs", "CreateLogGroup"): (
        Rule("logs:CreateLogGroup", _GROUP, tagging),
        Rule("logs:TagResource", _GROUP, tagging, lambda parameters: bool(tags_of(parameters))),
    ),
}

_ALARM: Final = at("cloudwatch", "alarm:", "AlarmName")
_CLOUDWATCH: Final = {
    **named("cloudwatch", fixed("cloudwatch", "alarm:*"), "DescribeAlarms"),
    **named("cloudwatch", at("cloudwatch", "alarm:", "AlarmNames"), "DeleteAlarms"),
    **named("cloudwatch", named_by("ResourceARN"), "ListTagsForResource", "TagResource", keys=tagging),
    ("cloudwatch", "PutMetricAlarm"): (
        Rule("cloudwatch:PutMetricAlarm", _ALARM, tagging),
        Rule("cloudwatch:TagResource", _ALARM, tagging, lambda parameters: bool(tags_of(parameters))),
    ),
}


def _repository(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    account = parameters.get("registryId", scope.id)
    name = parameters["repositoryName"]
    return (f"arn:{scope.partition}:ecr:{scope.region}:{account}:repository/{name}",)


def _repositories(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (scope.arn("ecr", f"repository/{name}") for name in parameters.get("repositoryNames") or ("*",))


_ECR: Final = {
    **named("ecr", _repositories, "DescribeRepositories"),
    **named("ecr", named_by("resourceArn"), "ListTagsForResource", "TagResource", keys=tagging),
    **named(
        "ecr",
        _repository,
        "BatchDeleteImage",
        "BatchGetImage",
        "DeleteRepository",
        "DescribeImageScanFindings",
        "DescribeImages",
        "GetDownloadUrlForLayer",
        "GetLifecyclePolicy",
        "PutImageScanningConfiguration",
        "PutImageTagMutability",
        "PutLifecyclePolicy",
    ),
    ("ecr", "CreateRepository"): (
        Rule("ecr:CreateRepository", _repository, tagging),
        Rule("ecr:TagResource", _repository, tagging, lambda parameters: bool(tags_of(parameters))),
    ),
}


def _projects(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    """The projects of builds, which are prefixes of the builds' IDs."""
    ids = parameters.get("ids") or [parameters["id"]]
    return dict.fromkeys(scope.arn("codebuild", f"project/{each.partition(':')[0]}") for each in ids)


def _queue(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    name = parameters.get("QueueName") or parameters["QueueUrl"].rpartition("/")[2]
    return (scope.arn("sqs", name),)


def _role_named(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    """A role by its name; its ARN contains its path, which the call does not."""
    name = parameters["RoleName"]
    return (scope.role_arn(name) or f"arn:{scope.partition}:iam::{scope.id}:role/{name}",)


_OTHERS: Final = {
    **named("iam", _role_named, "GetRole"),
    **named("codebuild", at("codebuild", "project/", "projectName"), "ListBuildsForProject", "StartBuild"),
    **named("codebuild", _projects, "BatchGetBuilds", "StopBuild"),
    **named("sqs", _queue, "GetQueueUrl", "ReceiveMessage"),
    ("resourcegroupstaggingapi", "GetResources"): (Rule("tag:GetResources", any_resource),),
    ("sqs", "DeleteMessageBatch"): (Rule("sqs:DeleteMessage", _queue),),
    ("sts", "AssumeRole"): (Rule("sts:AssumeRole", named_by("RoleArn")),),
    ("sts", "GetCallerIdentity"): (),
}


def _bucket(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (f"arn:{scope.partition}:s3:::{parameters['Bucket']}",)


def _object(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (f"arn:{scope.partition}:s3:::{parameters['Bucket']}/{parameters['Key']}",)


# Only callers who may list the bucket learn that an object is missing
# (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html); forwarders always read objects that may be.
_READING_OBJECTS: Final = (Rule("s3:GetObject", _object), Rule("s3:ListBucket", _bucket))
_S3: Final = {
    ("s3", "GetObject"): _READING_OBJECTS,
    ("s3", "HeadObject"): _READING_OBJECTS,
    ("s3", "PutObject"): (Rule("s3:PutObject", _object),),
}

OPERATIONS: Final[Mapping[tuple[str, str], tuple[Rule, ...]]] = {
    **_SAGEMAKER,
    **_AUTOSCALING,
    **_LAMBDA,
    **_API_GATEWAY,
    **_LOGS,
    **_CLOUDWATCH,
    **_ECR,
    **_OTHERS,
    **_S3,
}
"""The rules of all known operations, by botocore's names of service and operation."""
