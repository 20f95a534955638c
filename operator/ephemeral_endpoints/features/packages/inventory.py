"""All versions of the model packages that a class allows, with what they name and whose they are."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import if_there, items
from ephemeral_endpoints.features.packages.policy import PackageVersion, VersionArn, version_of
from ephemeral_endpoints.iam.statement import actions

ACTIONS: Final = actions("sagemaker", "DeleteModelPackage", "DescribeModelPackage", "ListModelPackages", "ListTags")

_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Registered:
    """A version, and since when the registry has it."""

    version: PackageVersion
    created_at: datetime


class PackageInventory:
    """Lists versions. All but their approval is read once, because it cannot change."""

    def __init__(self) -> None:
        self._known: dict[str, PackageVersion] = {}

    async def versions(self, account: Account, calls: Calls, is_seen: Callable[[str], bool]) -> tuple[Registered, ...]:
        """The versions of all groups of the account that are seen. Raises an ``AwsError``."""
        sagemaker = account.clients.sagemaker
        listed = await items(
            calls,
            sagemaker.list_model_packages,
            "ModelPackageSummaryList",
            ModelPackageType="Versioned",
            MaxResults=_PAGE,
        )
        found = []
        for each in listed:
            arn = each["ModelPackageArn"]
            if not is_seen(VersionArn.group_of(arn) or ""):
                continue
            if arn not in self._known:
                answer = await if_there(calls(sagemaker.describe_model_package, ModelPackageName=arn))
                if answer is None:
                    continue
                self._known[arn] = version_of(answer)
            version = replace(self._known[arn], approval=each.get("ModelApprovalStatus", ""))
            found.append(Registered(version, each["CreationTime"].astimezone(UTC)))
        there = {each["ModelPackageArn"] for each in listed}
        self._known = {arn: each for arn, each in self._known.items() if arn in there or not _is_of(account, arn)}
        return tuple(found)


async def delete(account: Account, calls: Calls, arn: str) -> None:
    """Delete a version; one that is gone is no error. Raises an ``AwsError``."""
    await if_there(calls(account.clients.sagemaker.delete_model_package, ModelPackageName=arn))


def _is_of(account: Account, arn: str) -> bool:
    parsed = VersionArn.parse(arn)
    return parsed is not None and (parsed.account, parsed.region) == (account.scope.account_id, account.scope.region)
