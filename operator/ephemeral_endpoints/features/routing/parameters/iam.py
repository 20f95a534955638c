"""What the operator does in the Parameter Store of SSM.

Reference: "Actions, resources, and condition keys for AWS Systems Manager"
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html).
"""

from typing import Final

from ephemeral_endpoints.iam.scope import IS_NEW, IS_OURS, OURS, arn, retag
from ephemeral_endpoints.iam.statement import Statement

_PARAMETERS: Final = (arn("ssm", f"parameter/*/{OURS}"),)

PARAMETERS: Final = (
    Statement(
        "ListParameters", ("ssm:DescribeParameters",), ("*",), "The inventory. The action supports no resource types."
    ),
    Statement("ReadParameterTags", ("ssm:ListTagsForResource",), _PARAMETERS, "The owner tags."),
    Statement(
        "CreateParameters",
        ("ssm:AddTagsToResource", "ssm:PutParameter"),
        _PARAMETERS,
        "Creating a resource with tags requires the permission to tag it.",
        IS_NEW,
    ),
    retag("RetagParameters", "ssm:AddTagsToResource", _PARAMETERS),
    Statement(
        "ChangeParameters",
        ("ssm:DeleteParameter", "ssm:PutParameter"),
        _PARAMETERS,
        "The names of another revision, and deletion.",
        IS_OURS,
    ),
)
