"""What AWS asks permission for when one of its operations is called: the actions, on which resources, in what context.

An operation mostly asks for the action of its name. What it asks for beside is in the column "dependent actions" of the
Service Authorization Reference, and for what Application Auto Scaling does on behalf of its caller in its user guide
("identity-based policies"). Creating with tags counts as tagging, naming a role as passing it; API Gateway is asked by
verb and path, see ``iam.routes``.

This is the other side of ``iam.policies``, which says what is allowed: the embedded AWS and the tests hold policies
against it. It knows the operations that the operator and its forwarders call, and no others.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

Parameters = Mapping[str, Any]
"""The input of an operation, by the names of its members."""

Context = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call is made, and the two things that AWS looks up to authorise it."""

    account: str
    region: str
    partition: str = "aws"
    config_of: Callable[[str], str] = lambda _: ""
    """The endpoint configuration that an endpoint is on."""
    target_arn: Callable[[str], str] = lambda _: ""
    """The ARN of a scalable target by its resource id; empty if there is none."""

    def arn(self, service: str, resource: str) -> str:
        """An ARN in the account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True, slots=True)
class Demand:
    """One action that must be allowed on one resource, with the condition keys that the call itself brings."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


Resources = Callable[[Parameters, Place], Iterable[str]]
Contexts = Callable[[Parameters], Context]


def _no_context(_: Parameters) -> Context:
    return {}


def _always(_: Parameters) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """One action that an operation asks for, ``when`` its input makes it."""

    action: str
    resources: Resources
    context: Contexts = _no_context
    when: Callable[[Parameters], bool] = _always


def actions_of(service: str, operation: str) -> frozenset[str]:
    """All actions that an operation may ask for. Raises KeyError for one that is not known."""
    return frozenset(rule.action for rule in OPERATIONS[service, operation])


def demands(service: str, operation: str, parameters: Parameters, place: Place) -> tuple[Demand, ...]:
    """What AWS asks for when the operation is called so. Raises KeyError for an operation that is not known."""
    return tuple(
        Demand(rule.action, resource, rule.context(parameters))
        for rule in OPERATIONS[service, operation]
        if rule.when(parameters)
        for resource in rule.resources(parameters, place)
    )


def tags_of(parameters: Parameters) -> dict[str, str]:
    """The tags in an operation's input, whatever form its service gives them."""
    given = parameters.get("Tags", parameters.get("tags"))
    if isinstance(given, Mapping):
        return {str(key): str(value) for key, value in given.items()}
    return {each.get("Key", each.get("key")): each.get("Value", each.get("value")) for each in given or ()}


def _tagging(parameters: Parameters) -> Context:
    tags = tags_of(parameters)
    return {
        **{f"aws:RequestTag/{key}": value for key, value in tags.items()},
        **({"aws:TagKeys": [*tags]} if tags else {}),
    }


def _with(contexts: Contexts, **more: str | list[str]) -> Contexts:
    return lambda parameters: {**contexts(parameters), **{key.replace("__", ":"): each for key, each in more.items()}}


def _any(_: Parameters, __: Place) -> Iterable[str]:
    return ("*",)


def _at(service: str, kind: str, member: str) -> Resources:
    """The resource that a member names, or those if it is a list."""

    def resources(parameters: Parameters, place: Place) -> Iterable[str]:
        given = parameters.get(member, ())
        return (place.arn(service, f"{kind}{name}") for name in ([given] if isinstance(given, str) else given))

    return resources


def _fixed(service: str, resource: str) -> Resources:
    return lambda _, place: (place.arn(service, resource),)


def _member(member: str) -> Resources:
    return lambda parameters, _: (parameters[member],)


def _named(service: str, resources: Resources, *operations: str, context: Contexts = _no_context) -> dict[Any, Any]:
    """Operations that ask for the action of their own name and for nothing else."""
    return {(service, operation): (Rule(f"{service}:{operation}", resources, context),) for operation in operations}


def _passing(member: str, service: str) -> Rule:
    context = {"iam:PassedToService": f"{service}.amazonaws.com"}
    return Rule("iam:PassRole", _member(member), lambda _: context, lambda parameters: member in parameters)


_MODEL, _CONFIG, _ENDPOINT = (
    _at("sagemaker", kind, member)
    for kind, member in (
        ("model/", "ModelName"),
        ("endpoint-config/", "EndpointConfigName"),
        ("endpoint/", "EndpointName"),
    )
)


def _hosting(parameters: Parameters) -> Context:
    """What an endpoint configuration would run on."""
    variants = parameters.get("ProductionVariants", ())
    types = [each["InstanceType"] for each in variants if "InstanceType" in each]
    concurrency = [each["ServerlessConfig"]["MaxConcurrency"] for each in variants if "ServerlessConfig" in each]
    return {
        **_tagging(parameters),
        **({"sagemaker:InstanceTypes": types} if types else {}),
        **({"sagemaker:ServerlessMaxConcurrency": str(max(concurrency))} if concurrency else {}),
    }


def _creating(operation: str, resources: Resources, *beside: Rule, context: Contexts = _tagging) -> dict[Any, Any]:
    tagging = _with(_tagging, sagemaker__TaggingAction=operation)
    return {
        ("sagemaker", operation): (
            Rule(f"sagemaker:{operation}", resources, context),
            Rule("sagemaker:AddTags", resources, tagging, lambda parameters: bool(tags_of(parameters))),
            *beside,
        )
    }


_SAGEMAKER: Final = {
    **_named("sagemaker", _any, "ListEndpointConfigs", "ListEndpoints", "ListModels"),
    **_named("sagemaker", _MODEL, "DeleteModel", "DescribeModel"),
    **_named("sagemaker", _CONFIG, "DeleteEndpointConfig", "DescribeEndpointConfig"),
    **_named("sagemaker", _ENDPOINT, "DeleteEndpoint", "DescribeEndpoint"),
    **_named("sagemaker", _member("ResourceArn"), "AddTags", "ListTags", context=_tagging),
    **_creating("CreateModel", _MODEL, _passing("ExecutionRoleArn", "sagemaker")),
    **_creating("CreateEndpointConfig", _CONFIG, context=_hosting),
    **_creating("CreateEndpoint", _ENDPOINT, Rule("sagemaker:CreateEndpoint", _CONFIG, _tagging)),
    ("sagemaker", "UpdateEndpoint"): (
        Rule("sagemaker:UpdateEndpoint", _ENDPOINT),
        Rule("sagemaker:UpdateEndpoint", _CONFIG),
    ),
    ("sagemaker-runtime", "InvokeEndpoint"): (Rule("sagemaker:InvokeEndpoint", _ENDPOINT),),
    ("sagemaker-runtime", "InvokeEndpointAsync"): (Rule("sagemaker:InvokeEndpointAsync", _ENDPOINT),),
}

_SCALING: Final = "application-autoscaling"


def _target(parameters: Parameters, place: Place) -> Iterable[str]:
    """The target of a resource; a new one has no ARN yet."""
    return (place.target_arn(parameters["ResourceId"]) or place.arn(_SCALING, "scalable-target/*"),)


def _of_target(parameters: Parameters) -> Context:
    return {
        **_tagging(parameters),
        "application-autoscaling:service-namespace": parameters.get("ServiceNamespace", ""),
        "application-autoscaling:scalable-dimension": parameters.get("ScalableDimension", ""),
    }


def _scaled_endpoint(parameters: Parameters) -> str:
    return str(parameters["ResourceId"].split("/")[1])


def _scaled(parameters: Parameters, place: Place) -> Iterable[str]:
    return (place.arn("sagemaker", f"endpoint/{_scaled_endpoint(parameters)}"),)


def _scaled_config(parameters: Parameters, place: Place) -> Iterable[str]:
    return (place.arn("sagemaker", f"endpoint-config/{place.config_of(_scaled_endpoint(parameters))}"),)


def _tracking_alarms(parameters: Parameters, place: Place) -> Iterable[str]:
    return (place.arn("cloudwatch", f"alarm:TargetTracking-{parameters['ResourceId']}-AlarmHigh-0"),)


def _service_role(_: Parameters, place: Place) -> Iterable[str]:
    service = "sagemaker.application-autoscaling.amazonaws.com"
    role = f"role/aws-service-role/{service}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    return (f"arn:{place.partition}:iam::{place.account}:{role}",)


_AUTOSCALING: Final = {
    **_named(_SCALING, _any, "DescribeScalableTargets", "DescribeScalingPolicies", "DescribeScheduledActions"),
    **_named(_SCALING, _member("ResourceARN"), "ListTagsForResource", "TagResource", context=_tagging),
    **_named(
        _SCALING,
        _target,
        "DeleteScheduledAction",
        "DeregisterScalableTarget",
        "PutScheduledAction",
        context=_of_target,
    ),
    (_SCALING, "RegisterScalableTarget"): (
        Rule(f"{_SCALING}:RegisterScalableTarget", _target, _of_target),
        Rule(f"{_SCALING}:TagResource", _target, _tagging, lambda parameters: bool(tags_of(parameters))),
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
        Rule("cloudwatch:DescribeAlarms", _fixed("cloudwatch", "alarm:*")),
        Rule("cloudwatch:PutMetricAlarm", _tracking_alarms),
    ),
    (_SCALING, "DeleteScalingPolicy"): (
        Rule(f"{_SCALING}:DeleteScalingPolicy", _target, _of_target),
        Rule("cloudwatch:DeleteAlarms", _tracking_alarms),
    ),
}

_FUNCTION: Final = _at("lambda", "function:", "FunctionName")
_LAMBDA: Final = {
    **_named("lambda", _any, "ListFunctions"),
    **_named("lambda", _FUNCTION, "DeleteFunction", "GetFunctionConfiguration", "UpdateFunctionCode"),
    **_named("lambda", _member("Resource"), "ListTags", "TagResource", context=_tagging),
    ("lambda", "CreateFunction"): (
        Rule("lambda:CreateFunction", _FUNCTION, _tagging),
        Rule("lambda:TagResource", _FUNCTION, _tagging, lambda parameters: bool(tags_of(parameters))),
        _passing("Role", "lambda"),
    ),
    ("lambda", "UpdateFunctionConfiguration"): (
        Rule("lambda:UpdateFunctionConfiguration", _FUNCTION),
        _passing("Role", "lambda"),
    ),
}


def _path(template: str) -> Resources:
    """A path of API Gateway, with members of the input in it."""
    return lambda parameters, place: (
        f"arn:{place.partition}:apigateway:{place.region}::{template.format_map(parameters)}",
    )


def _tags_path(parameters: Parameters, place: Place) -> Iterable[str]:
    arn = parameters.get("ResourceArn") or f"arn:{place.partition}:apigateway:{place.region}::/v2/apis/*"
    return (f"arn:{place.partition}:apigateway:{place.region}::/tags/{quote(arn, safe='*')}",)


def _verb(verb: str, path: str, operation: str, *beside: Rule, context: Contexts = _no_context) -> dict[Any, Any]:
    return {("apigatewayv2", operation): (Rule(f"apigateway:{verb}", _path(path), context), *beside)}


def _naming(parameters: Parameters) -> Context:
    return {**_tagging(parameters), "apigateway:Request/ApiName": str(parameters.get("Name", ""))}


_STAGES: Final = "/apis/{ApiId}/stages"
_INTEGRATIONS: Final = "/apis/{ApiId}/integrations"
_ROUTES: Final = "/apis/{ApiId}/routes"
_PASS_INVOKE: Final = _passing("CredentialsArn", "apigateway")
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
        Rule("apigateway:POST", _tags_path, _tagging, lambda parameters: bool(tags_of(parameters))),
        context=_naming,
    ),
    **_verb(
        "POST",
        _STAGES,
        "CreateStage",
        Rule("apigateway:TagResource", _path(_STAGES), _tagging, lambda parameters: bool(tags_of(parameters))),
        context=_tagging,
    ),
    **_verb("POST", _INTEGRATIONS, "CreateIntegration", _PASS_INVOKE),
    **_verb("PATCH", f"{_INTEGRATIONS}/{{IntegrationId}}", "UpdateIntegration", _PASS_INVOKE),
    **_verb("DELETE", f"{_INTEGRATIONS}/{{IntegrationId}}", "DeleteIntegration"),
    **_verb("POST", _ROUTES, "CreateRoute"),
    **_verb("PATCH", f"{_ROUTES}/{{RouteId}}", "UpdateRoute"),
    **_verb("DELETE", f"{_ROUTES}/{{RouteId}}", "DeleteRoute"),
    **_verb("DELETE", "/apis/{ApiId}", "DeleteApi"),
    ("apigatewayv2", "TagResource"): (Rule("apigateway:POST", _tags_path, _tagging),),
}

_GROUP: Final = _at("logs", "log-group:", "logGroupName")


def _stream(parameters: Parameters, place: Place) -> Iterable[str]:
    name = f"log-group:{parameters['logGroupName']}:log-stream:{parameters.get('logStreamName', '')}"
    return (place.arn("logs", name),)


_LOGS: Final = {
    **_named("logs", _fixed("logs", "log-group::log-stream:"), "DescribeLogGroups"),
    **_named("logs", _member("resourceArn"), "ListTagsForResource", "TagResource", context=_tagging),
    **_named("logs", _GROUP, "DeleteLogGroup", "DescribeLogStreams", "PutRetentionPolicy"),
    **_named("logs", _stream, "GetLogEvents"),
    ("logs", "CreateLogGroup"): (
        Rule("logs:CreateLogGroup", _GROUP, _tagging),
        Rule("logs:TagResource", _GROUP, _tagging, lambda parameters: bool(tags_of(parameters))),
    ),
}

_ALARM: Final = _at("cloudwatch", "alarm:", "AlarmName")
_CLOUDWATCH: Final = {
    **_named("cloudwatch", _fixed("cloudwatch", "alarm:*"), "DescribeAlarms"),
    **_named("cloudwatch", _at("cloudwatch", "alarm:", "AlarmNames"), "DeleteAlarms"),
    **_named("cloudwatch", _member("ResourceARN"), "ListTagsForResource", "TagResource", context=_tagging),
    ("cloudwatch", "PutMetricAlarm"): (
        Rule("cloudwatch:PutMetricAlarm", _ALARM, _tagging),
        Rule("cloudwatch:TagResource", _ALARM, _tagging, lambda parameters: bool(tags_of(parameters))),
    ),
}


def _repository(parameters: Parameters, place: Place) -> Iterable[str]:
    account = parameters.get("registryId", place.account)
    name = parameters["repositoryName"]
    return (f"arn:{place.partition}:ecr:{place.region}:{account}:repository/{name}",)


def _repositories(parameters: Parameters, place: Place) -> Iterable[str]:
    return (place.arn("ecr", f"repository/{name}") for name in parameters.get("repositoryNames") or ("*",))


_ECR: Final = {
    **_named("ecr", _repositories, "DescribeRepositories"),
    **_named("ecr", _member("resourceArn"), "ListTagsForResource", "TagResource", context=_tagging),
    **_named(
        "ecr",
        _repository,
        "BatchDeleteImage",
        "BatchGetImage",
        "DeleteRepository",
        "DescribeImageScanFindings",
        "DescribeImages",
        "GetLifecyclePolicy",
        "PutImageScanningConfiguration",
        "PutImageTagMutability",
        "PutLifecyclePolicy",
    ),
    ("ecr", "CreateRepository"): (
        Rule("ecr:CreateRepository", _repository, _tagging),
        Rule("ecr:TagResource", _repository, _tagging, lambda parameters: bool(tags_of(parameters))),
    ),
}


def _projects(parameters: Parameters, place: Place) -> Iterable[str]:
    """The projects of builds, whose ids begin with them."""
    ids = parameters.get("ids") or [parameters["id"]]
    return dict.fromkeys(place.arn("codebuild", f"project/{each.partition(':')[0]}") for each in ids)


def _queue(parameters: Parameters, place: Place) -> Iterable[str]:
    name = parameters.get("QueueName") or parameters["QueueUrl"].rpartition("/")[2]
    return (place.arn("sqs", name),)


_OTHERS: Final = {
    **_named("codebuild", _at("codebuild", "project/", "projectName"), "ListBuildsForProject", "StartBuild"),
    **_named("codebuild", _projects, "BatchGetBuilds", "StopBuild"),
    **_named("sqs", _queue, "GetQueueUrl", "ReceiveMessage"),
    ("sqs", "DeleteMessageBatch"): (Rule("sqs:DeleteMessage", _queue),),
    ("sts", "AssumeRole"): (Rule("sts:AssumeRole", _member("RoleArn")),),
    ("sts", "GetCallerIdentity"): (),
}


def _bucket(parameters: Parameters, place: Place) -> Iterable[str]:
    return (f"arn:{place.partition}:s3:::{parameters['Bucket']}",)


def _object(parameters: Parameters, place: Place) -> Iterable[str]:
    return (f"arn:{place.partition}:s3:::{parameters['Bucket']}/{parameters['Key']}",)


# That an object is missing is told only to who may list the bucket
# (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html); forwarders always ask for what may be missing.
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
"""The rules of every operation that is known, by its service and name as botocore has them."""
