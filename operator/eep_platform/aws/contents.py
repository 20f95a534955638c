"""Lists the resources in the embedded AWS.

It is independent of the operator's code, so that it can prove that the operator leaves nothing behind.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_boto3_apigatewayv2 import ApiGatewayV2Client
    from types_boto3_application_autoscaling import ApplicationAutoScalingClient
    from types_boto3_codebuild import CodeBuildClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_sagemaker import SageMakerClient

Contents = dict[str, list[str]]
"""Names by kind, without kinds that have none."""

LASTING = frozenset({"ModelPackage", "ModelPackageGroup", "Pipeline", "Repository"})
"""The kinds that outlive objects: they are their classes'."""

_OURS = re.compile("(.+/)?eep-")
"""Other repositories belong to the people who push images."""

_RUNNING = frozenset({"Executing", "InProgress", "Stopping"})
"""The states of jobs and executions that have not ended."""

_OF_PROJECTS = "/aws/codebuild/"
"""Logs of builds belong to their project, which the operator only uses, as it does the rules that match events."""


def contents(aws: Callable[[str], Any]) -> Contents:
    """All resources of the operator's kinds, whoever created them, but only repositories that it could have created.

    Of builds, jobs and executions of pipelines those that run: of others a record remains, which costs nothing.
    ``aws`` returns the client of a service. Blocks for two dozen calls.
    """
    return {kind: sorted(names) for kind, names in by_kind(aws).items() if names}


def by_kind(aws: Callable[[str], Any]) -> Contents:
    """The same with the kinds that have none."""
    return {kind: names for some in _few_at_a_time(aws) for kind, names in some.items()}


def holds(aws: Callable[[str], Any], expected: Contents) -> bool:
    """Whether `contents`, without what outlives objects, is this. It looks no further than the first that is not."""
    return all(
        sorted(names) == expected.get(kind, [])
        for some in _few_at_a_time(aws)
        for kind, names in some.items()
        if kind not in LASTING
    )


def _few_at_a_time(aws: Callable[[str], Any]) -> Iterator[Contents]:
    """All kinds, listed as they are asked for; what goes last with an object comes first."""
    sagemaker = aws("sagemaker")
    groups = _named(aws("logs"), "describe_log_groups", "logGroups", "logGroupName")
    yield {"LogGroup": [each for each in groups if not each.startswith(_OF_PROJECTS)]}
    yield {"Endpoint": _named(sagemaker, "list_endpoints", "Endpoints", "EndpointName")}
    yield {"EndpointConfig": _named(sagemaker, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName")}
    yield {"Model": _named(sagemaker, "list_models", "Models", "ModelName")}
    yield _of_apis(aws("apigatewayv2"))
    yield _of_lambda(aws("lambda"))
    yield {"Alarm": _named(aws("cloudwatch"), "describe_alarms", "MetricAlarms", "AlarmName")}
    yield _of_trainings(sagemaker)
    repositories = _named(aws("ecr"), "describe_repositories", "repositories", "repositoryName")
    yield {"Repository": [each for each in repositories if _OURS.match(each)]}
    yield {"FeedbackTable": [name for page in _pages(aws("dynamodb"), "list_tables") for name in page["TableNames"]]}
    rules = (each for page in _pages(aws("events"), "list_rules") for each in page["Rules"])
    yield {"EventRule": [each["Name"] for each in rules if "ScheduleExpression" in each]}
    yield {"DeliveryStream": aws("firehose").list_delivery_streams(Limit=10_000)["DeliveryStreamNames"]}
    yield {"Parameter": _named(aws("ssm"), "describe_parameters", "Parameters", "Name")}
    yield _of_scaling(aws("application-autoscaling"))
    yield _at_work(sagemaker, aws("codebuild"))


def _of_scaling(client: "ApplicationAutoScalingClient") -> Contents:
    kinds = {
        "ScalableTarget": ("describe_scalable_targets", "ScalableTargets", "ResourceId"),
        "ScalingPolicy": ("describe_scaling_policies", "ScalingPolicies", "PolicyName"),
        "ScheduledAction": ("describe_scheduled_actions", "ScheduledActions", "ScheduledActionName"),
    }
    return {
        kind: _named(client, method, members, name, ServiceNamespace="sagemaker")
        for kind, (method, members, name) in kinds.items()
    }


def _at_work(sagemaker: "SageMakerClient", codebuild: "CodeBuildClient") -> Contents:
    """What is being built and trained, which costs money for as long as it runs."""
    jobs = {
        f"{kind}Job": [
            each[f"{kind}JobName"]
            for page in _pages(sagemaker, f"list_{kind.lower()}_jobs")
            for each in page[f"{kind}JobSummaries"]
            if each[f"{kind}JobStatus"] in _RUNNING
        ]
        for kind in ("Processing", "Training", "Transform")
    }
    executions = [
        each["PipelineExecutionArn"]
        for pipelines in _pages(sagemaker, "list_pipelines")
        for pipeline in pipelines["PipelineSummaries"]
        for page in _pages(sagemaker, "list_pipeline_executions", PipelineName=pipeline["PipelineName"])
        for each in page["PipelineExecutionSummaries"]
        if each["PipelineExecutionStatus"] in _RUNNING
    ]
    builds = [
        each["id"]
        for projects in _pages(codebuild, "list_projects")
        for project in projects["projects"]
        for page in _pages(codebuild, "list_builds_for_project", projectName=project)
        for each in (codebuild.batch_get_builds(ids=page["ids"])["builds"] if page["ids"] else ())
        if not each["buildComplete"]
    ]
    return {**jobs, "PipelineExecution": executions, "Build": builds}


def _pages(client: Any, method: str, **arguments: str) -> Any:  # noqa: ANN401 - any service's
    return client.get_paginator(method).paginate(**arguments)


def _named(client: Any, method: str, members: str, name: str, **arguments: str) -> list[str]:  # noqa: ANN401 - any service's
    return [each[name] for page in _pages(client, method, **arguments) for each in page[members]]


def _of_trainings(client: "SageMakerClient") -> Contents:
    """What trainings leave, which outlives objects: see ``LASTING``."""
    versions = _named(
        client, "list_model_packages", "ModelPackageSummaryList", "ModelPackageArn", ModelPackageType="Versioned"
    )
    return {
        "ModelPackageGroup": _named(
            client, "list_model_package_groups", "ModelPackageGroupSummaryList", "ModelPackageGroupName"
        ),
        "ModelPackage": [arn.rpartition(":model-package/")[2] for arn in versions],
        "Pipeline": _named(client, "list_pipelines", "PipelineSummaries", "PipelineName"),
    }


def _of_lambda(client: "LambdaClient") -> Contents:
    names = _named(client, "list_functions", "Functions", "FunctionName")
    limits = client.get_account_settings()["AccountLimit"]
    is_any_reserved = limits["UnreservedConcurrentExecutions"] < limits["ConcurrentExecutions"]
    reserved: list[str] = []
    for name in names if is_any_reserved else ():
        with suppress(client.exceptions.ResourceNotFoundException):
            if "ReservedConcurrentExecutions" in client.get_function_concurrency(FunctionName=name):
                reserved.append(name)
    return {"Function": names, "FunctionConcurrency": reserved}


def _of_apis(gateway: "ApiGatewayV2Client") -> Contents:
    apis = [api for page in gateway.get_paginator("get_apis").paginate() for api in page["Items"]]
    kinds = ("Route", "Integration", "Authorizer", "RouteThrottle")
    found: Contents = {"HttpApi": [api["Name"] for api in apis], **{kind: [] for kind in kinds}}
    for api in apis:
        # It may have been deleted since it was listed.
        with suppress(gateway.exceptions.NotFoundException):
            name, id_ = api["Name"], api["ApiId"]
            routes = gateway.get_paginator("get_routes").paginate(ApiId=id_)
            integrations = gateway.get_paginator("get_integrations").paginate(ApiId=id_)
            authorizers = gateway.get_paginator("get_authorizers").paginate(ApiId=id_)
            found["Authorizer"] += [f"{name} {each['Name']}" for page in authorizers for each in page["Items"]]
            found["Route"] += [f"{name} {each['RouteKey']}" for page in routes for each in page["Items"]]
            found["Integration"] += [
                f"{name} {each['IntegrationId']}" for page in integrations for each in page["Items"]
            ]
            for stage in gateway.get_stages(ApiId=id_)["Items"]:
                found["RouteThrottle"] += [f"{name} {key}" for key in stage.get("RouteSettings", {})]
    found["ApiMapping"] = [
        f"{domain['DomainName']}/{each.get('ApiMappingKey', '')}"
        for domain in gateway.get_domain_names()["Items"]
        for each in gateway.get_api_mappings(DomainName=domain["DomainName"])["Items"]
    ]
    return found
