"""What the reaper does in AWS. It creates nothing, and deletes nothing without the tags of its cluster and class.

References: "Actions, resources, and condition keys for" the services, see the features that make the resources, and
AWS Resource Groups Tagging API
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsresourcegroupstaggingapi.html).
"""

from typing import Final

from ephemeral_endpoints.engine.names import ENDPOINT_LOG_PREFIX, LAMBDA_LOG_PREFIX
from ephemeral_endpoints.engine.tags import CLASS, CLUSTER
from ephemeral_endpoints.features.expiry.reaper.report import NAMESPACE_OF_METRICS
from ephemeral_endpoints.iam.scope import IS_OF_CLASS, OURS, arn
from ephemeral_endpoints.iam.statement import Conditions, Statement

_OF_AN_OBJECT: Final[Conditions] = {
    "StringEquals": {f"aws:ResourceTag/{CLUSTER}": "${ClusterId}", f"aws:ResourceTag/{CLASS}": "${ClassName}"}
}
_OF_NO_OTHER: Final[Conditions] = {
    "StringEqualsIfExists": {f"aws:ResourceTag/{CLUSTER}": "${ClusterId}", f"aws:ResourceTag/{CLASS}": "${ClassName}"}
}
_HOSTING: Final = tuple(arn("sagemaker", f"{kind}/{OURS}") for kind in ("model", "endpoint-config", "endpoint"))
_FUNCTIONS: Final = (arn("lambda", f"function:{OURS}"),)
_GROUPS: Final = tuple(arn("logs", f"log-group:{each}{OURS}") for each in (LAMBDA_LOG_PREFIX, ENDPOINT_LOG_PREFIX))
_ALARMS: Final = (arn("cloudwatch", f"alarm:{OURS}"),)
_TABLES: Final = (arn("dynamodb", f"table/{OURS}"),)
_PARAMETERS: Final = (arn("ssm", f"parameter/*/{OURS}"),)
_STREAMS: Final = (arn("firehose", f"deliverystream/{OURS}"),)
_TARGETS: Final = (arn("application-autoscaling", "scalable-target/*"),)
_REPOSITORIES: Final = (arn("ecr", f"repository/{OURS}"), arn("ecr", f"repository/*/{OURS}"))
_PIPELINES: Final = (arn("sagemaker", f"pipeline/{OURS}"),)


def _api(path: str) -> str:
    return arn("apigateway", path, at="${Region}:")


REAPER_READS: Final = (
    Statement(
        "FindExpired",
        (
            "application-autoscaling:DescribeScalableTargets",
            "sagemaker:ListEndpoints",
            "tag:GetResources",
            "tag:GetTagValues",
        ),
        ("*",),
        "The index of tags, and lists. The actions support no resource types.",
    ),
    Statement("ListLogGroups", ("logs:DescribeLogGroups",), (arn("logs", "log-group:*"),), "Groups without tags."),
    Statement(
        "ReadTagsOfHosting",
        ("sagemaker:DescribeEndpoint", "sagemaker:ListTags"),
        _HOSTING,
        "The owner tags and the end of life, right before a deletion, and whether an endpoint can be deleted.",
    ),
    Statement(
        "ReadPipelines",
        ("sagemaker:DescribePipeline", "sagemaker:ListTags"),
        _PIPELINES,
        "Likewise, and when a pipeline ran last.",
    ),
    Statement("ReadTagsOfScaling", ("application-autoscaling:ListTagsForResource",), _TARGETS, "Likewise."),
    Statement("ReadTagsOfFunctions", ("lambda:GetFunctionConfiguration", "lambda:ListTags"), _FUNCTIONS, "Likewise."),
    Statement("ReadTagsOfLogGroups", ("logs:ListTagsForResource",), _GROUPS, "Likewise."),
    Statement("ReadTagsOfAlarms", ("cloudwatch:ListTagsForResource",), _ALARMS, "Likewise."),
    Statement("ReadTagsOfTables", ("dynamodb:ListTagsOfResource",), _TABLES, "Likewise."),
    Statement("ReadTagsOfParameters", ("ssm:ListTagsForResource",), _PARAMETERS, "Likewise."),
    Statement(
        "ReadStreams",
        ("firehose:DescribeDeliveryStream", "firehose:ListTagsForDeliveryStream"),
        _STREAMS,
        "Likewise, and how old a stream is.",
    ),
    Statement(
        "ReadRepositories",
        ("ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:ListTagsForResource"),
        _REPOSITORIES,
        "Likewise, and when an image was pushed last.",
    ),
    Statement(
        "ReadApis",
        ("apigateway:GET",),
        (_api("/apis/*"), _api("/domainnames"), _api("/domainnames/*")),
        "Routes of expired objects, and paths of domains that lead to APIs. APIs have ids only.",
    ),
    Statement(
        "Report",
        ("cloudwatch:PutMetricData",),
        ("*",),
        "What the alarms watch. The action supports no resource types.",
        {"StringEquals": {"cloudwatch:namespace": NAMESPACE_OF_METRICS}},
    ),
    Statement(
        "WriteLogs",
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        (arn("logs", "log-group:${ReaperLogs}:*"),),
        "The reports of the runs.",
    ),
)

REAPER_DELETES: Final = (
    Statement(
        "DeleteOfObjects",
        (
            "apigateway:DELETE",
            "application-autoscaling:DeregisterScalableTarget",
            "cloudwatch:DeleteAlarms",
            "dynamodb:DeleteTable",
            "lambda:DeleteFunction",
            "sagemaker:DeleteEndpoint",
            "sagemaker:DeleteEndpointConfig",
            "sagemaker:DeleteModel",
            "ssm:DeleteParameter",
        ),
        (_api("/apis/*"), *_TARGETS, *_ALARMS, *_TABLES, *_FUNCTIONS, *_HOSTING, *_PARAMETERS),
        "What expired objects left.",
        _OF_AN_OBJECT,
    ),
    Statement(
        "DeleteAlarmsOfScaling",
        ("cloudwatch:DeleteAlarms",),
        (arn("cloudwatch", f"alarm:TargetTracking-endpoint/{OURS}"),),
        "Application Auto Scaling deletes the alarms of a policy with the caller's permissions; they have no tags.",
    ),
    Statement(
        "DeleteLogGroups",
        ("logs:DeleteLogGroup",),
        _GROUPS,
        "Likewise. Services make groups again without tags, for lines that come late.",
        _OF_NO_OTHER,
    ),
    Statement(
        "DeleteRoutes",
        ("apigateway:DELETE",),
        (
            _api("/apis/*/integrations/*"),
            _api("/apis/*/routes/*"),
            _api("/apis/*/stages/*/routesettings/*"),
            _api("/domainnames/*/apimappings/*"),
        ),
        "Not restricted: routes, their settings, integrations and paths of domains neither have nor inherit tags; "
        "their path has the id of their API, or the name of the domain.",
    ),
    Statement(
        "DeleteOfClasses",
        (
            "apigateway:DELETE",
            "cloudwatch:DeleteAlarms",
            "ecr:DeleteRepository",
            "firehose:DeleteDeliveryStream",
            "sagemaker:DeletePipeline",
        ),
        (_api("/apis/*"), *_ALARMS, *_REPOSITORIES, *_STREAMS, *_PIPELINES),
        "What the objects of a class shared that has none any more; its repository and pipelines long after their use.",
        IS_OF_CLASS,
    ),
)

REAPER_TOPIC: Final = (
    Statement("Notify", ("sns:Publish",), ("${ReaperTopic}",), "Reports of runs that did something."),
)
