"""What the operator does in CloudWatch Logs and CloudWatch.

References: "Actions, resources, and condition keys for" Amazon CloudWatch Logs
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html) and Amazon
CloudWatch (…/list_amazoncloudwatch.html).
"""

from typing import Final

from ephemeral_endpoints.engine.names import ENDPOINT_LOG_PREFIX, LAMBDA_LOG_PREFIX
from ephemeral_endpoints.iam.scope import (
    IS_NEW,
    IS_OF_NO_OTHER,
    IS_OURS,
    OURS,
    RETAGS_NO_OTHERS,
    arn,
    retag,
)
from ephemeral_endpoints.iam.statement import Statement

_GROUPS: Final = tuple(arn("logs", f"log-group:{each}{OURS}") for each in (LAMBDA_LOG_PREFIX, ENDPOINT_LOG_PREFIX))
_ALARMS: Final = (arn("cloudwatch", f"alarm:{OURS}"),)

LOG_GROUPS: Final = (
    Statement(
        "ListLogGroups",
        ("logs:DescribeLogGroups",),
        (arn("logs", "log-group:*"),),
        "The inventory. Lists are authorised for all log groups at once.",
    ),
    Statement(
        "ReadLogs",
        ("logs:DescribeLogStreams", "logs:GetLogEvents", "logs:ListTagsForResource"),
        _GROUPS,
        "The owner tags, and the last lines of a failed container. The final * also matches streams.",
    ),
    Statement(
        "CreateLogGroups",
        ("logs:CreateLogGroup", "logs:TagResource"),
        _GROUPS,
        "Creating a resource with tags requires the permission to tag it.",
        IS_NEW,
    ),
    retag(
        "RetagLogGroups",
        "logs:TagResource",
        _GROUPS,
        RETAGS_NO_OTHERS,
        ", also of groups that a service has recreated",
    ),
    Statement(
        "ChangeLogGroups",
        ("logs:DeleteLogGroup", "logs:PutRetentionPolicy"),
        _GROUPS,
        "Lambda and SageMaker recreate a group without tags for late log lines; it must be deleted too.",
        IS_OF_NO_OTHER,
    ),
)

ALARMS: Final = (
    Statement(
        "ListAlarms",
        ("cloudwatch:DescribeAlarms",),
        (arn("cloudwatch", "alarm:*"),),
        "The inventory, and lookups by Application Auto Scaling. Lists are authorised for all alarms at once.",
    ),
    Statement("ReadAlarms", ("cloudwatch:ListTagsForResource",), _ALARMS, "The owner tags."),
    Statement(
        "PutAlarms",
        ("cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"),
        _ALARMS,
        "One action creates and replaces alarms; the request contains the tags in both cases.",
        IS_NEW,
    ),
    retag("RetagAlarms", "cloudwatch:TagResource", _ALARMS),
    Statement("DeleteAlarms", ("cloudwatch:DeleteAlarms",), _ALARMS, "Deletion of alarms.", IS_OURS),
)
