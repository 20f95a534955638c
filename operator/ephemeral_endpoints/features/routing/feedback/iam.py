"""What the operator does in DynamoDB.

Reference: "Actions, resources, and condition keys for Amazon DynamoDB"
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html). Tags in conditions:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/attribute-based-access-control.html.
"""

from typing import Final

from ephemeral_endpoints.iam.scope import IS_NEW, IS_OURS, OURS, arn, retag
from ephemeral_endpoints.iam.statement import Statement

TABLES: Final = (arn("dynamodb", f"table/{OURS}"),)

FEEDBACK: Final = (
    Statement("ListTables", ("dynamodb:ListTables",), ("*",), "The inventory. The action supports no resource types."),
    Statement(
        "ReadTables",
        ("dynamodb:DescribeTable", "dynamodb:ListTagsOfResource"),
        TABLES,
        "Whether a table is ready, and the owner tags.",
    ),
    Statement(
        "CreateTables",
        ("dynamodb:CreateTable", "dynamodb:TagResource"),
        TABLES,
        "Creating a resource with tags requires the permission to tag it.",
        IS_NEW,
    ),
    retag("RetagTables", "dynamodb:TagResource", TABLES),
    Statement(
        "UseTables",
        ("dynamodb:BatchGetItem", "dynamodb:DeleteTable"),
        TABLES,
        "The counts of votes, and deletion.",
        IS_OURS,
    ),
)
