"""The permissions that AWS operations require: actions, their resources and the condition keys of the call.

Most operations require the action of their own name. Further actions are in the column "dependent actions" of the
Service Authorization Reference and, for what Application Auto Scaling does on behalf of its caller, in its user guide
("identity-based policies"). Creating with tags counts as tagging, naming a role as passing it; API Gateway's actions
are verbs on paths.

The embedded AWS and the tests check the generated policies against it. It knows only the operations that the operator,
its forwarders and its pipelines call.
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
        "GetPolicy",
        "PutFunctionConcurrency",
        "UpdateFunctionCode",
    ),
    **named(
        "lambda",
        _FUNCTION,
        "AddPermission",
        keys=lambda parameters: {"lambda:Principal": str(parameters.get("Principal", ""))},
    ),
    ("lambda", "Invoke"): (Rule("lambda:InvokeFunction", _FUNCTION),),
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


_RULE: Final = at("events", "rule/", "Name")
_RULE_OF_TARGETS: Final = at("events", "rule/", "Rule")
_EVENTS: Final = {
    **named("events", fixed("events", "rule/*"), "ListRules"),
    **named("events", _RULE, "DeleteRule", "DescribeRule"),
    **named("events", _RULE_OF_TARGETS, "ListTargetsByRule", "RemoveTargets"),
    **named(
        "events",
        _RULE_OF_TARGETS,
        "PutTargets",
        keys=lambda parameters: {"events:TargetArn": [each["Arn"] for each in parameters.get("Targets", ())]},
    ),
    **named("events", named_by("ResourceARN"), "ListTagsForResource", "TagResource", keys=tagging),
    ("events", "PutRule"): (
        Rule("events:PutRule", _RULE, tagging),
        Rule("events:TagResource", _RULE, tagging, lambda parameters: bool(tags_of(parameters))),
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


def _authorizing(parameters: Parameters) -> ConditionKeys:
    return {"apigateway:Request/AuthorizerType": str(parameters.get("AuthorizerType", ""))}


_STAGES: Final = "/apis/{ApiId}/stages"
_INTEGRATIONS: Final = "/apis/{ApiId}/integrations"
_ROUTES: Final = "/apis/{ApiId}/routes"
_AUTHORIZERS: Final = "/apis/{ApiId}/authorizers"
_MAPPINGS: Final = "/domainnames/{DomainName}/apimappings"
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
    **_verb("DELETE", f"{_STAGES}/{{StageName}}/routesettings/{{RouteKey}}", "DeleteRouteSettings"),
    **_verb("POST", _INTEGRATIONS, "CreateIntegration", _PASS_INVOKE),
    **_verb("PATCH", f"{_INTEGRATIONS}/{{IntegrationId}}", "UpdateIntegration", _PASS_INVOKE),
    **_verb("DELETE", f"{_INTEGRATIONS}/{{IntegrationId}}", "DeleteIntegration"),
    **_verb("POST", _ROUTES, "CreateRoute"),
    **_verb("PATCH", f"{_ROUTES}/{{RouteId}}", "UpdateRoute"),
    **_verb("DELETE", f"{_ROUTES}/{{RouteId}}", "DeleteRoute"),
    **_verb("GET", _AUTHORIZERS, "GetAuthorizers"),
    **_verb("POST", _AUTHORIZERS, "CreateAuthorizer", keys=_authorizing),
    **_verb("PATCH", f"{_AUTHORIZERS}/{{AuthorizerId}}", "UpdateAuthorizer", keys=_authorizing),
    **_verb("DELETE", f"{_AUTHORIZERS}/{{AuthorizerId}}", "DeleteAuthorizer"),
    **_verb("DELETE", "/apis/{ApiId}", "DeleteApi"),
    **_verb("GET", "/domainnames", "GetDomainNames"),
    **_verb("GET", "/domainnames/{DomainName}", "GetDomainName"),
    **_verb("GET", _MAPPINGS, "GetApiMappings"),
    **_verb("POST", _MAPPINGS, "CreateApiMapping"),
    **_verb("PATCH", f"{_MAPPINGS}/{{ApiMappingId}}", "UpdateApiMapping"),
    **_verb("DELETE", f"{_MAPPINGS}/{{ApiMappingId}}", "DeleteApiMapping"),
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
    ("cloudwatch", "PutMetricData"): (
        Rule(
            "cloudwatch:PutMetricData",
            any_resource,
            lambda parameters: {"cloudwatch:namespace": str(parameters.get("Namespace", ""))},
        ),
    ),
    **named("cloudwatch", at("cloudwatch", "alarm:", "AlarmNames"), "DeleteAlarms"),
    **named("cloudwatch", named_by("ResourceARN"), "ListTagsForResource", "TagResource", keys=tagging),
    ("cloudwatch", "PutMetricAlarm"): (
        Rule("cloudwatch:PutMetricAlarm", _ALARM, tagging),
        Rule("cloudwatch:TagResource", _ALARM, tagging, lambda parameters: bool(tags_of(parameters))),
    ),
}


def _parameter(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    """The parameter of a name or of an id: the slash before a path is not part of an ARN twice."""
    name = str(parameters.get("Name", parameters.get("ResourceId", "")))
    return (scope.arn("ssm", f"parameter/{name.removeprefix('/')}"),)


def _overwriting(parameters: Parameters) -> ConditionKeys:
    return {**tagging(parameters), "ssm:Overwrite": str(bool(parameters.get("Overwrite"))).lower()}


_SSM: Final = {
    **named("ssm", any_resource, "DescribeParameters"),
    **named("ssm", _parameter, "AddTagsToResource", "DeleteParameter", "ListTagsForResource", keys=tagging),
    ("ssm", "PutParameter"): (
        Rule("ssm:PutParameter", _parameter, _overwriting),
        Rule("ssm:AddTagsToResource", _parameter, tagging, lambda parameters: bool(tags_of(parameters))),
    ),
}

_TABLE: Final = at("dynamodb", "table/", "TableName")


def _tables(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (scope.arn("dynamodb", f"table/{name}") for name in parameters["RequestItems"])


def _tables_of(change: str) -> Resources:
    return lambda parameters, scope: (
        scope.arn("dynamodb", f"table/{each[change]['TableName']}")
        for each in parameters["TransactItems"]
        if change in each
    )


# A transaction has no action of its own: "Using IAM with DynamoDB transactions" in the DynamoDB developer guide.
_DYNAMODB: Final = {
    **named("dynamodb", any_resource, "ListTables"),
    **named("dynamodb", _TABLE, "DeleteTable", "DescribeTable", "GetItem", "Query"),
    **named("dynamodb", _tables, "BatchGetItem"),
    **named("dynamodb", named_by("ResourceArn"), "ListTagsOfResource", "TagResource", keys=tagging),
    ("dynamodb", "CreateTable"): (
        Rule("dynamodb:CreateTable", _TABLE, tagging),
        Rule("dynamodb:TagResource", _TABLE, tagging, lambda parameters: bool(tags_of(parameters))),
    ),
    ("dynamodb", "TransactWriteItems"): (
        Rule("dynamodb:PutItem", _tables_of("Put")),
        Rule("dynamodb:UpdateItem", _tables_of("Update")),
    ),
}


def _passing_to_firehose(member: str) -> Rule:
    """Passing the role in a destination, if it names one."""
    return Rule(
        "iam:PassRole",
        lambda parameters, _: (parameters[member]["RoleARN"],),
        lambda _: {"iam:PassedToService": "firehose.amazonaws.com"},
        lambda parameters: "RoleARN" in parameters.get(member, {}),
    )


_DELIVERY_STREAM: Final = at("firehose", "deliverystream/", "DeliveryStreamName")
_STREAMS: Final = {
    **named("firehose", any_resource, "ListDeliveryStreams"),
    **named(
        "firehose",
        _DELIVERY_STREAM,
        "DeleteDeliveryStream",
        "DescribeDeliveryStream",
        "ListTagsForDeliveryStream",
        "PutRecord",
    ),
    **named("firehose", _DELIVERY_STREAM, "TagDeliveryStream", keys=tagging),
    ("firehose", "CreateDeliveryStream"): (
        Rule("firehose:CreateDeliveryStream", _DELIVERY_STREAM, tagging),
        Rule("firehose:TagDeliveryStream", _DELIVERY_STREAM, tagging, lambda parameters: bool(tags_of(parameters))),
        _passing_to_firehose("ExtendedS3DestinationConfiguration"),
    ),
    ("firehose", "UpdateDestination"): (
        Rule("firehose:UpdateDestination", _DELIVERY_STREAM),
        _passing_to_firehose("ExtendedS3DestinationUpdate"),
    ),
    **named("kinesis", at("kinesis", "stream/", "StreamName"), "PutRecord"),
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
    ("sns", "Publish"): (Rule("sns:Publish", named_by("TopicArn")),),
    **named("sqs", _queue, "GetQueueUrl", "ReceiveMessage", "SendMessage"),
    ("resourcegroupstaggingapi", "GetResources"): (Rule("tag:GetResources", any_resource),),
    ("resourcegroupstaggingapi", "GetTagValues"): (Rule("tag:GetTagValues", any_resource),),
    ("pricing", "GetProducts"): (Rule("pricing:GetProducts", any_resource),),
    ("service-quotas", "ListServiceQuotas"): (Rule("servicequotas:ListServiceQuotas", any_resource),),
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
    ("s3", "ListObjectsV2"): (Rule("s3:ListBucket", _bucket),),
    ("s3", "PutObject"): (Rule("s3:PutObject", _object),),
    ("s3", "DeleteObject"): (Rule("s3:DeleteObject", _object),),
}

OPERATIONS: Final[Mapping[tuple[str, str], tuple[Rule, ...]]] = {
    **_SAGEMAKER,
    **_AUTOSCALING,
    **_LAMBDA,
    **_EVENTS,
    **_API_GATEWAY,
    **_LOGS,
    **_STREAMS,
    **_CLOUDWATCH,
    **_DYNAMODB,
    **_SSM,
    **_ECR,
    **_OTHERS,
    **_S3,
}
"""The rules of all known operations, by botocore's names of service and operation."""
