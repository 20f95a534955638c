"""Reads the SageMaker Model Registry; all objects share what was read."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.features.packages.policy import PackageVersion, VersionArn, version_of
from ephemeral_endpoints.iam.statement import actions

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

ACTIONS: Final = actions("sagemaker", "DescribeModelPackage", "ListModelPackages")

_KEPT_SECONDS: Final = 7200.0

T = TypeVar("T")
Address = tuple[Scope, str]


@dataclass(frozen=True, slots=True)
class _Read(Generic[T]):
    at: float
    task: asyncio.Task[T]


@dataclass(slots=True)
class Reads(Generic[T]):
    """What was read last, and when, by address: concurrent readers share a read, and a failure is not kept.

    ``clock`` is monotonic seconds.
    """

    clock: Callable[[], float]
    known: dict[Address, _Read[T]] = field(default_factory=dict)

    async def read(self, address: Address, max_age: float, read: Callable[[], Awaitable[T]]) -> T:
        """What ``read`` gave at most ``max_age`` seconds ago, or gives now; raises what it raises."""
        now, found = self.clock(), self.known.get(address)
        if found is None or found.at + max_age <= now or _has_failed(found.task):
            self.known = {key: each for key, each in self.known.items() if each.at + _KEPT_SECONDS > now}
            found = self.known[address] = _Read(now, asyncio.ensure_future(_awaited(read)))
        return await asyncio.shield(found.task)

    def forget(self, concerns: Callable[[Address], bool]) -> None:
        """Read these addresses afresh."""
        self.known = {address: each for address, each in self.known.items() if not concerns(address)}


async def _awaited(read: Callable[[], Awaitable[T]]) -> T:
    return await read()


def _has_failed(task: asyncio.Task[T]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


class Registry:
    """The versions of model packages in all accounts. ``clock`` is monotonic seconds.

    Methods take how old an answer may be in seconds, and raise an ``AwsError``.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._versions: Reads[PackageVersion] = Reads(clock)
        self._latest: Reads[str | None] = Reads(clock)

    async def version(self, account: Account, calls: Calls, arn: str, max_age: float) -> PackageVersion:
        """The version of that ARN. Raises NotFound."""
        return await self._versions.read(
            (account.scope, arn), max_age, lambda: _described(account.clients.sagemaker, calls, arn)
        )

    async def latest_approved(self, account: Account, calls: Calls, group: str, max_age: float) -> str | None:
        """The ARN of the newest version of a group that is approved; None if none is. Raises NotFound."""
        return await self._latest.read(
            (account.scope, group), max_age, lambda: _latest_approved(account.clients.sagemaker, calls, group)
        )

    def changed(self, group: str) -> None:
        """Read versions of groups of that name afresh: one of them has changed."""
        self._latest.forget(lambda address: address[1] == group)
        self._versions.forget(lambda address: VersionArn.group_of(address[1]) == group)


async def _described(client: "SageMakerClient", calls: Calls, arn: str) -> PackageVersion:
    return version_of(await calls(client.describe_model_package, ModelPackageName=arn))


async def _latest_approved(client: "SageMakerClient", calls: Calls, group: str) -> str | None:
    answer = await calls(
        client.list_model_packages,
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=1,
    )
    found = answer["ModelPackageSummaryList"]
    return found[0]["ModelPackageArn"] if found else None
