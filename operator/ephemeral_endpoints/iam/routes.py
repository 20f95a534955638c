"""What the operator does in Lambda, API Gateway, CloudWatch Logs and CloudWatch.

References: "Actions, resources, and condition keys for" AWS Lambda
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html), Amazon API Gateway Management
V2 (…/list_amazonapigatewaymanagementv2.html), Amazon CloudWatch Logs (…/list_amazoncloudwatchlogs.html) and Amazon
CloudWatch (…/list_amazoncloudwatch.html). API Gateway is authorised by the HTTP verb and the path. Two things about it
are known from its refusals only: CreateApi with tags asks for POST on ``/tags/<encoded ARN of /v2/apis/*>``, and
CreateStage with tags for ``apigateway:TagResource`` on the API's stages. Which of its resources take tags:
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging-supported-resources.html.
"""

from typing import Final

from ephemeral_endpoints.core.names import ENDPOINT_LOG_PREFIX, LAMBDA_LOG_PREFIX
from ephemeral_endpoints.iam.scope import (
    IS_NEW,
    IS_OF_NO_OTHER,
    IS_OURS,
    MARKS_NO_OTHERS,
    MARKS_OURS,
    OURS,
    arn,
    passed_to,
    role,
)
from ephemeral_endpoints.iam.statement import Statement

_FUNCTIONS: Final = (arn("lambda", f"function:{OURS}"),)
_GROUPS: Final = tuple(arn("logs", f"log-group:{each}{OURS}") for each in (LAMBDA_LOG_PREFIX, ENDPOINT_LOG_PREFIX))
_ALARMS: Final = (arn("cloudwatch", f"alarm:{OURS}"),)


def _api(path: str) -> str:
    return arn("apigateway", path, at="${Region}:")


FORWARDING: Final = (
    Statement(
        "ListFunctions", ("lambda:ListFunctions",), ("*",), "The inventory. This action knows no resource types."
    ),
    Statement(
        "ReadFunctions",
        ("lambda:GetFunctionConfiguration", "lambda:ListTags"),
        _FUNCTIONS,
        "What changed, and whose it is.",
    ),
    Statement(
        "CreateFunctions",
        ("lambda:CreateFunction", "lambda:TagResource"),
        _FUNCTIONS,
        "Creating with tags is tagging.",
        IS_NEW,
    ),
    Statement(
        "MarkFunctions",
        ("lambda:TagResource",),
        _FUNCTIONS,
        "The end of life moves, and things are retained.",
        MARKS_OURS,
    ),
    Statement(
        "ChangeFunctions",
        ("lambda:DeleteFunction", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration"),
        _FUNCTIONS,
        "Updates and deletions.",
        IS_OURS,
    ),
    Statement(
        "PassForwarderRole",
        ("iam:PassRole",),
        (role("ForwarderRole"),),
        "Forwarders run as this role, and as no other.",
        passed_to("lambda"),
    ),
)

ROUTING: Final = (
    Statement(
        "ReadApis",
        ("apigateway:GET",),
        (_api("/apis"), _api("/apis/*")),
        "The inventory. APIs have ids in place of names, so that reading cannot be narrowed.",
    ),
    Statement(
        "CreateApis",
        ("apigateway:POST",),
        (_api("/apis"),),
        "New APIs, under our names and with the tag of the cluster.",
        {**IS_NEW, "StringLike": {"apigateway:Request/ApiName": OURS}},
    ),
    Statement(
        "TagNewApis",
        ("apigateway:POST",),
        (_api("/tags/arn%3A${Partition}%3Aapigateway%3A${Region}%3A%3A%2Fv2%2Fapis%2F*"),),
        "Creating with tags is tagging, of an API that has no id yet.",
        IS_NEW,
    ),
    Statement(
        "CreateStages",
        ("apigateway:POST", "apigateway:TagResource"),
        (_api("/apis/*/stages"),),
        "The stage of a new API.",
        IS_NEW,
    ),
    Statement(
        "ChangeRoutes",
        ("apigateway:DELETE", "apigateway:PATCH"),
        (_api("/apis/*/integrations/*"), _api("/apis/*/routes/*")),
        "Not narrowed: routes and integrations take no tags, inherit none, and are under the id of their API.",
    ),
    Statement(
        "CreateRoutes",
        ("apigateway:POST",),
        (_api("/apis/*/integrations"), _api("/apis/*/routes")),
        "Not narrowed, for the same reason.",
    ),
    Statement("DeleteApis", ("apigateway:DELETE",), (_api("/apis/*"),), "The end of an API.", IS_OURS),
    Statement(
        "PassInvokeRole",
        ("iam:PassRole",),
        (role("InvokeRole"),),
        "API Gateway invokes forwarders as this role, and as no other.",
        passed_to("apigateway"),
    ),
)

MONITORING: Final = (
    Statement(
        "ListLogGroups",
        ("logs:DescribeLogGroups",),
        (arn("logs", "log-group:*"),),
        "The inventory. Lists are authorised on all log groups at once.",
    ),
    Statement(
        "ReadLogs",
        ("logs:DescribeLogStreams", "logs:GetLogEvents", "logs:ListTagsForResource"),
        _GROUPS,
        "Whose a group is, and the last lines of a container that failed. The final * stands for streams too.",
    ),
    Statement(
        "CreateLogGroups",
        ("logs:CreateLogGroup", "logs:TagResource"),
        _GROUPS,
        "Creating with tags is tagging.",
        IS_NEW,
    ),
    Statement(
        "MarkLogGroups",
        ("logs:TagResource",),
        _GROUPS,
        "The end of life moves, and things are retained; groups that a service made again are marked too.",
        MARKS_NO_OTHERS,
    ),
    Statement(
        "ChangeLogGroups",
        ("logs:DeleteLogGroup", "logs:PutRetentionPolicy"),
        _GROUPS,
        "Lambda and SageMaker make a group again for lines that come late: those have no tags, and must go too.",
        IS_OF_NO_OTHER,
    ),
    Statement(
        "ListAlarms",
        ("cloudwatch:DescribeAlarms",),
        (arn("cloudwatch", "alarm:*"),),
        "The inventory, and what Application Auto Scaling looks up. Lists are authorised on all alarms at once.",
    ),
    Statement("ReadAlarms", ("cloudwatch:ListTagsForResource",), _ALARMS, "Whose an alarm is."),
    Statement(
        "PutAlarms",
        ("cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"),
        _ALARMS,
        "One action creates and replaces; the tags are in the request in either case.",
        IS_NEW,
    ),
    Statement(
        "MarkAlarms",
        ("cloudwatch:TagResource",),
        _ALARMS,
        "The end of life moves, and things are retained.",
        MARKS_OURS,
    ),
    Statement("DeleteAlarms", ("cloudwatch:DeleteAlarms",), _ALARMS, "The end.", IS_OURS),
)
