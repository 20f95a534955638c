"""The groups of model packages of an account."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import if_there, items, tag_map
from ephemeral_endpoints.iam.statement import actions

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

ACTIONS: Final = actions(
    "sagemaker", "DeleteModelPackageGroup", "ListModelPackageGroups", "ListModelPackages", "ListTags"
)

_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Group:
    """A group, and since when there is one."""

    name: str
    arn: str
    created_at: datetime


async def empty_groups(client: "SageMakerClient", calls: Calls) -> tuple[Group, ...]:
    """The groups without a version. Raises an ``AwsError``."""
    # Groups first: one that gets its first version between the two lists has it then.
    groups = await items(calls, client.list_model_package_groups, "ModelPackageGroupSummaryList", MaxResults=_PAGE)
    versions = await items(
        calls, client.list_model_packages, "ModelPackageSummaryList", ModelPackageType="Versioned", MaxResults=_PAGE
    )
    used = {each["ModelPackageGroupName"] for each in versions}
    return tuple(
        Group(name, each["ModelPackageGroupArn"], each["CreationTime"].astimezone(UTC))
        for each in groups
        if (name := each["ModelPackageGroupName"]) not in used
    )


async def tags_of(client: "SageMakerClient", calls: Calls, arn: str) -> Mapping[str, str]:
    """The tags of a group or a pipeline. Raises an ``AwsError``."""
    return tag_map(await items(calls, client.list_tags, "Tags", ResourceArn=arn))


async def delete_group(client: "SageMakerClient", calls: Calls, name: str) -> None:
    """Delete a group; one that is gone is no error. Raises an ``AwsError``: AlreadyExists if it has a version."""
    await if_there(calls(client.delete_model_package_group, ModelPackageGroupName=name))
