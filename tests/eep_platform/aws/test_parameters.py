"""What the embedded SSM refuses as AWS does."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.fixtures.platform import Aws

NEW = {"Name": "/previews/nlp/pr-1", "Value": "{}", "Type": "String", "Tier": "Standard"}


def refused(aws: Aws, operation: str, **arguments: Any) -> str:  # noqa: ANN401 - of any operation
    with pytest.raises(ClientError) as caught:
        getattr(aws.client("ssm"), operation)(**arguments)
    return caught.value.response["Error"]["Code"]


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"Name": "/aws/previews"}, "AccessDeniedException", "AWS keeps its own"),
        ({"Name": "/ssmpreviews"}, "ValidationException", "SSM likewise, whatever follows"),
        ({"Name": "/previews/a b"}, "ValidationException", "no spaces"),
        ({"Name": "/previews/"}, "ValidationException", "no empty level"),
        ({"Name": "/a" * 16}, "HierarchyLevelLimitExceededException", "at most 15 levels"),
        ({"Value": "x" * 4097}, "ValidationException", "the size of the tier"),
        ({"Tags": [{"Key": "a", "Value": "b"}], "Overwrite": True}, "ValidationException", "no tags on a change"),
    ],
)
def test_a_parameter_that_aws_refuses_is_refused(
    fresh_aws: Aws, changes: dict[str, Any], code: str, reason: str
) -> None:
    assert refused(fresh_aws, "put_parameter", **{**NEW, **changes}) == code, reason


def test_a_parameter_keeps_its_type_and_its_tier(fresh_aws: Aws) -> None:
    client = fresh_aws.client("ssm")
    client.put_parameter(**NEW)
    assert refused(fresh_aws, "put_parameter", **NEW) == "ParameterAlreadyExists"
    change = {"Name": NEW["Name"], "Value": "[]", "Overwrite": True}
    assert refused(fresh_aws, "put_parameter", **change, Type="SecureString") == "HierarchyTypeMismatchException"
    client.put_parameter(**change, Tier="Advanced")
    assert refused(fresh_aws, "put_parameter", **change, Tier="Standard") == "ValidationException"


def test_lists_and_tags_are_refused_as_in_aws(fresh_aws: Aws) -> None:
    assert refused(fresh_aws, "describe_parameters", MaxResults=51) == "ValidationException"
    contains = [{"Key": "Tier", "Option": "Contains", "Values": ["a"]}]
    assert refused(fresh_aws, "describe_parameters", ParameterFilters=contains) == "InvalidFilterOption"
    missing = {"ResourceType": "Parameter", "ResourceId": "/previews/none"}
    assert refused(fresh_aws, "list_tags_for_resource", **missing) == "InvalidResourceId"
