"""The versions of model package groups, as the SageMaker Model Registry has them."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.packages import Approval
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.component import if_there, items
from ephemeral_endpoints.features.packages.lineage import Lineage
from ephemeral_endpoints.features.packages.registry import Reads
from ephemeral_endpoints.features.promotion.versions import Version

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

_LINEAGE_SECONDS: Final = 600.0


class PackageGroups:
    """The groups of all accounts; stages of one group share its list. ``clock`` is monotonic seconds.

    Methods raise ReconcileError.
    """

    def __init__(self, accounts: Accounts, clock: Callable[[], float]) -> None:
        self._accounts = accounts
        self._listed: Reads[Mapping[Version, Approval]] = Reads(clock)
        self._lineages: Reads[Lineage] = Reads(clock)

    async def versions(
        self, endpoint_class: EphemeralEndpointClass, group: str, *, max_age: float
    ) -> Mapping[Version, Approval]:
        """The versions of a group that can be served, by a list of at most that age; none of a group that is gone."""
        account = await self._accounts.of(endpoint_class)
        return await self._listed.read((account.scope, group), max_age, lambda: _versions(account, group))

    async def lineage(self, endpoint_class: EphemeralEndpointClass, version: Version) -> Lineage:
        """What a version was made from, as far as whoever registered it said so."""
        account = await self._accounts.of(endpoint_class)
        return await self._lineages.read(
            (account.scope, str(version)), _LINEAGE_SECONDS, lambda: _lineage(account, version)
        )

    def changed(self, group: str) -> None:
        """Read groups of that name afresh: a version of one of them has changed."""
        self._listed.forget(lambda address: address[1] == group)
        self._lineages.forget(lambda address: Version.parse(address[1]).group == group)


async def _versions(account: Account, group: str) -> Mapping[Version, Approval]:
    listing = items(
        account.calls,
        account.clients.sagemaker.list_model_packages,
        "ModelPackageSummaryList",
        ModelPackageGroupName=group,
        MaxResults=100,
    )
    found: list[Any] = await if_there(listing) or []
    return {
        Version(group, each["ModelPackageVersion"]): Approval(each["ModelApprovalStatus"])
        for each in found
        if each["ModelPackageStatus"] == "Completed"
    }


async def _lineage(account: Account, version: Version) -> Lineage:
    arn = account.scope.arn("sagemaker", f"model-package/{version}")
    client: SageMakerClient = account.clients.sagemaker
    answer = await if_there(account.calls(client.describe_model_package, ModelPackageName=arn))
    return Lineage.of(answer.get("CustomerMetadataProperties", {})) if answer else Lineage()
