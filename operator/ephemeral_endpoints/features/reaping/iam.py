"""What the operator does in EventBridge, and with the functions that rules run.

References: "Actions, resources, and condition keys for" Amazon EventBridge
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html) and AWS Lambda
(…/list_awslambda.html).
"""

from typing import Final

from ephemeral_endpoints.iam.scope import IS_NEW, IS_OURS, OURS, arn
from ephemeral_endpoints.iam.statement import Statement

_RULES: Final = (arn("events", f"rule/{OURS}"),)
_FUNCTION: Final = arn("lambda", f"function:{OURS}")

RULES: Final = (
    Statement(
        "ListRules", ("events:ListRules",), (arn("events", "rule/*"),), "The rules that run reapers, by their prefix."
    ),
    Statement(
        "ReadRules",
        ("events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule"),
        _RULES,
        "Changes, and the owner tags.",
    ),
    Statement(
        "CreateRules",
        ("events:PutRule", "events:TagResource"),
        _RULES,
        "Creating a resource with tags requires the permission to tag it.",
        IS_NEW,
    ),
    Statement(
        "ChangeRules",
        ("events:DeleteRule", "events:PutRule", "events:RemoveTargets"),
        _RULES,
        "Updates and deletions.",
        IS_OURS,
    ),
    Statement(
        "RunReapers",
        ("events:PutTargets",),
        _RULES,
        "A rule runs functions of the operator's only.",
        {**IS_OURS, "ForAllValues:ArnLike": {"events:TargetArn": _FUNCTION}, "Null": {"events:TargetArn": "false"}},
    ),
    Statement("ReadPermissions", ("lambda:GetPolicy",), (_FUNCTION,), "Whether the function lets the rule run it."),
    Statement(
        "LetRulesRun",
        ("lambda:AddPermission",),
        (_FUNCTION,),
        "Likewise. Nobody but EventBridge gets a permission.",
        {
            "StringEquals": {
                **IS_OURS["StringEquals"],
                "lambda:Principal": "events.amazonaws.com",
            }
        },
    ),
)
