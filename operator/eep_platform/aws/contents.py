"""Lists the resources in the embedded AWS.

It is independent of the operator's code, so that it can prove that the operator leaves nothing behind.
"""

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from types_boto3_apigatewayv2 import ApiGatewayV2Client
    from types_boto3_lambda import LambdaClient

Contents = dict[str, list[str]]
"""Names by kind, without kinds that have none."""

_OURS = re.compile("(.+/)?eep-")
"""Other repositories belong to the people who push images."""

_OF_PROJECTS = "/aws/codebuild/"
"""Logs of builds belong to their project, which the operator only uses."""


def contents(session: boto3.Session, endpoint: str) -> Contents:
    """All resources of the operator's kinds, whoever created them, but only repositories that it could have created.

    Blocks for a dozen calls.
    """
    sagemaker = session.client("sagemaker", endpoint_url=endpoint)
    functions = session.client("lambda", endpoint_url=endpoint)
    gateway = session.client("apigatewayv2", endpoint_url=endpoint)
    groups = session.client("logs", endpoint_url=endpoint).get_paginator("describe_log_groups")
    alarms = session.client("cloudwatch", endpoint_url=endpoint).get_paginator("describe_alarms")
    scaling = session.client("application-autoscaling", endpoint_url=endpoint)
    targets = scaling.get_paginator("describe_scalable_targets")
    repositories = session.client("ecr", endpoint_url=endpoint).get_paginator("describe_repositories")
    found = {
        "Endpoint": [
            each["EndpointName"]
            for page in sagemaker.get_paginator("list_endpoints").paginate()
            for each in page["Endpoints"]
        ],
        "EndpointConfig": [
            each["EndpointConfigName"]
            for page in sagemaker.get_paginator("list_endpoint_configs").paginate()
            for each in page["EndpointConfigs"]
        ],
        "Model": [
            each["ModelName"] for page in sagemaker.get_paginator("list_models").paginate() for each in page["Models"]
        ],
        "ScalableTarget": [
            each["ResourceId"]
            for page in targets.paginate(ServiceNamespace="sagemaker")
            for each in page["ScalableTargets"]
        ],
        "LogGroup": [
            each["logGroupName"]
            for page in groups.paginate()
            for each in page["logGroups"]
            if not each["logGroupName"].startswith(_OF_PROJECTS)
        ],
        "Alarm": [each["AlarmName"] for page in alarms.paginate() for each in page["MetricAlarms"]],
        "Repository": [
            each["repositoryName"]
            for page in repositories.paginate()
            for each in page["repositories"]
            if _OURS.match(each["repositoryName"])
        ],
        **_of_lambda(functions),
        **_of_apis(gateway),
    }
    return {kind: sorted(names) for kind, names in found.items() if names}


def _of_lambda(client: "LambdaClient") -> Contents:
    pages = client.get_paginator("list_functions").paginate()
    names = [each["FunctionName"] for page in pages for each in page["Functions"]]
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
    found: Contents = {"HttpApi": [api["Name"] for api in apis], "Route": [], "Integration": []}
    for api in apis:
        # It may have been deleted since it was listed.
        with suppress(gateway.exceptions.NotFoundException):
            name, id_ = api["Name"], api["ApiId"]
            routes = gateway.get_paginator("get_routes").paginate(ApiId=id_)
            integrations = gateway.get_paginator("get_integrations").paginate(ApiId=id_)
            found["Route"] += [f"{name} {each['RouteKey']}" for page in routes for each in page["Items"]]
            found["Integration"] += [
                f"{name} {each['IntegrationId']}" for page in integrations for each in page["Items"]
            ]
    return found
