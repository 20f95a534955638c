"""Lists the ARNs of everything in the embedded AWS that has tags, as the index of tags searches it.

It has no scalable targets: which of Application Auto Scaling's resources the index shows is not documented.
"""

from collections.abc import Iterator
from typing import Any, Final

from eep_platform.aws.guard.lookups import Lookups

_SAGEMAKER: Final = (
    ("list_endpoints", "Endpoints", "EndpointArn"),
    ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigArn"),
    ("list_models", "Models", "ModelArn"),
    ("list_model_package_groups", "ModelPackageGroupSummaryList", "ModelPackageGroupArn"),
    ("list_pipelines", "PipelineSummaries", "PipelineArn"),
    ("list_processing_jobs", "ProcessingJobSummaries", "ProcessingJobArn"),
    ("list_training_jobs", "TrainingJobSummaries", "TrainingJobArn"),
    ("list_transform_jobs", "TransformJobSummaries", "TransformJobArn"),
)
_PAGE: Final = 100
"""SageMaker gives ten a page to those who do not ask for more."""

_OTHERS: Final = (
    ("lambda", "list_functions", "Functions", "FunctionArn"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmArn"),
    ("ecr", "describe_repositories", "repositories", "repositoryArn"),
)


def arns(lookups: Lookups) -> Iterator[str]:
    """The ARNs of all taggable resources of the kinds that the operator makes. Blocks for a dozen calls."""
    for operation, member, arn in _SAGEMAKER:
        yield from (each[arn] for each in _items(lookups.client("sagemaker"), operation, member, PageSize=_PAGE))
    for service, operation, member, arn in _OTHERS:
        yield from (each[arn] for each in _items(lookups.client(service), operation, member))
    for each in _items(lookups.client("logs"), "describe_log_groups", "logGroups"):
        yield each["arn"].removesuffix(":*")
    tables = lookups.client("dynamodb")
    for name in _items(tables, "list_tables", "TableNames"):
        yield tables.describe_table(TableName=name)["Table"]["TableArn"]
    streams = lookups.client("firehose")
    for name in streams.list_delivery_streams(Limit=10_000)["DeliveryStreamNames"]:
        yield streams.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"][
            "DeliveryStreamARN"
        ]
    yield from (each["Arn"] for each in _items(lookups.client("events"), "list_rules", "Rules"))
    yield from (each["ARN"] for each in _items(lookups.client("ssm"), "describe_parameters", "Parameters"))
    gateway = lookups.client("apigatewayv2")
    for api in _items(gateway, "get_apis", "Items"):
        arn = f"arn:aws:apigateway:{gateway.meta.region_name}::/apis/{api['ApiId']}"
        yield arn
        stages = gateway.get_stages(ApiId=api["ApiId"])["Items"]
        yield from (f"{arn}/stages/{each['StageName']}" for each in stages)


def is_of_type(arn: str, wanted: str) -> bool:
    """Whether a resource is of a type as filters name it: a service, or ``service:type``."""
    service, _, type_ = wanted.partition(":")
    _, _, found, _, _, resource = arn.split(":", 5)
    kind = resource.lstrip("/").replace(":", "/").partition("/")[0]
    return found == service and (not type_ or kind == type_)


def _items(client: Any, operation: str, member: str, **paging: int) -> Iterator[Any]:  # noqa: ANN401 - any service's
    for page in client.get_paginator(operation).paginate(PaginationConfig=paging):
        yield from page[member]
