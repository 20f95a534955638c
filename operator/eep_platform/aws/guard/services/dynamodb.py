"""The operations of DynamoDB."""

from collections.abc import Iterable
from typing import Final

from eep_platform.aws.guard.rules import (
    CallScope,
    Operations,
    Resources,
    Rule,
    any_resource,
    at,
    creating,
    named,
    named_by,
    tagging,
)
from eep_platform.aws.inputs.rules import Parameters

_TABLE: Final = at("dynamodb", "table/", "TableName")


def _tables(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (scope.arn("dynamodb", f"table/{name}") for name in parameters["RequestItems"])


def _tables_of(change: str) -> Resources:
    return lambda parameters, scope: (
        scope.arn("dynamodb", f"table/{each[change]['TableName']}")
        for each in parameters["TransactItems"]
        if change in each
    )


# A transaction has no action of its own: "Using IAM with DynamoDB transactions" in the DynamoDB developer guide.
RULES: Final[Operations] = {
    **named("dynamodb", any_resource, "ListTables"),
    **named("dynamodb", _TABLE, "DeleteTable", "DescribeTable", "GetItem", "Query"),
    **named("dynamodb", _tables, "BatchGetItem"),
    **named("dynamodb", named_by("ResourceArn"), "ListTagsOfResource", "TagResource", keys=tagging),
    **creating("dynamodb", "CreateTable", _TABLE),
    ("dynamodb", "TransactWriteItems"): (
        Rule("dynamodb:PutItem", _tables_of("Put")),
        Rule("dynamodb:UpdateItem", _tables_of("Update")),
    ),
}
