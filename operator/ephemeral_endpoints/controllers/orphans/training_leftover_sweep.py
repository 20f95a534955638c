"""The sweep of what trainings leave beside packages: empty groups, and pipelines of classes that are gone.

AWS itself refuses to delete a group with a version in it, and a pipeline that runs: such a refusal is no failure.
"""

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.training import PREVIEWS
from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.controllers.orphans.rounds import Removal, SweepDeps, in_each_account, remove
from ephemeral_endpoints.engine.errors import AlreadyExists, Denied, InProgress
from ephemeral_endpoints.engine.names import owner_hash, prefix
from ephemeral_endpoints.engine.tags import CLUSTER, UID
from ephemeral_endpoints.features.packages.groups import Group, delete_group, empty_groups, tags_of
from ephemeral_endpoints.features.packages.policy import allows, is_of_previews
from ephemeral_endpoints.features.packages.specs import PACKAGE_GROUP
from ephemeral_endpoints.features.training.desired import owner_of
from ephemeral_endpoints.features.training.leftovers import delete_pipeline, pipelines
from ephemeral_endpoints.features.training.specs import PIPELINE

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

logger = logging.getLogger(__name__)

SECONDS: Final = 3600.0

GROUP_AGE: Final = timedelta(days=1)
"""A younger group may be about to get its first version."""


@dataclass(frozen=True, slots=True)
class _Leftover:
    """What may go if its tags say so: that this cluster made it, for a class for which ``may_go_of`` is true."""

    kind: str
    name: str
    arn: str
    may_go_of: Callable[[str, Collection[str]], bool]
    """Given the UID of the class that made it, and those of all objects and classes that exist."""

    delete: Callable[[Calls], Awaitable[object]]

    def removal(self, calls: Calls) -> Removal:
        """Its deletion. While it is used, AWS refuses it."""
        return Removal(
            self.kind,
            partial(self.delete, calls),
            {"kind": self.kind, "resource": self.name},
            failure="what a training left could not be deleted",
            not_yet=(AlreadyExists, InProgress),
        )


class TrainingLeftoverSweep:
    """Finds groups and pipelines in the accounts of all classes: one that does not train any more may have trained."""

    def __init__(self, deps: SweepDeps) -> None:
        self._deps = deps

    async def run(self) -> None:
        """Make one round, unless clocks differ. What cannot be reached is left for the next."""
        if not self._deps.may_begin("sweep of trainings"):
            return
        classes = self._deps.store.classes()
        train = [each for each in classes if each.spec.training]
        places = {_place(each) for each in train}
        await in_each_account(self._deps, "sweep of trainings", train, self._sweep)
        others = (each for each in classes if _place(each) not in places)
        await in_each_account(self._deps, "sweep of trainings", others, self._sweep_if_allowed)

    async def _sweep_if_allowed(self, account: Account) -> None:
        """Sweep where no class trains: a role that was never meant for trainings has no right to, and nothing to do."""
        try:
            await self._sweep(account)
        except Denied as error:
            logger.debug("no sweep of trainings", extra={"region": account.scope.region, "error": str(error)})

    async def _sweep(self, account: Account) -> None:
        deps, calls = self._deps, account.calls_for(ORPHANS)
        candidates = [*await self._groups(account, calls), *await self._pipelines(account, calls)]
        uids = {each["metadata"]["uid"] async for each in deps.objects()} if candidates else set()
        for each in candidates:
            tags = await tags_of(account.clients.sagemaker, calls, each.arn)
            if tags.get(CLUSTER) == deps.cluster_id and UID in tags and each.may_go_of(tags[UID], uids):
                await remove(deps, each.removal(calls))

    async def _groups(self, account: Account, calls: Calls) -> list[_Leftover]:
        """Those that are empty, and that no object trains for."""
        trainings = (each.spec.model.training for _, each in self._deps.store.endpoints())
        used = {each.register_.group for each in trainings if each}
        return [
            self._group(account, each)
            for each in await empty_groups(account.clients.sagemaker, calls)
            if used.isdisjoint({each.name, each.name.removesuffix(PREVIEWS)})
            and each.created_at + GROUP_AGE < self._deps.now()
        ]

    def _group(self, account: Account, group: Group) -> _Leftover:
        def may_go_of(uid: str, uids: Collection[str]) -> bool:
            is_allowed = any(allows(each.spec.packages, group.name) for each in self._deps.store.classes())
            return is_of_previews(group.name) or not (uid in uids or is_allowed)

        client, kind = account.clients.sagemaker, PACKAGE_GROUP.name
        return _Leftover(kind, group.name, group.arn, may_go_of, lambda calls: delete_group(client, calls, group.name))

    async def _pipelines(self, account: Account, calls: Calls) -> list[_Leftover]:
        """Those of classes that are not known, by their names."""
        client = account.clients.sagemaker
        owners = {owner_hash(each.metadata.uid) for each in self._deps.store.classes()}
        return [
            self._pipeline(client, each["PipelineName"], each["PipelineArn"])
            for each in await pipelines(client, calls, prefix(self._deps.cluster_id))
            if owner_of(each["PipelineName"]) not in owners
        ]

    @staticmethod
    def _pipeline(client: "SageMakerClient", name: str, arn: str) -> _Leftover:
        return _Leftover(
            PIPELINE.name,
            name,
            arn,
            lambda uid, uids: uid not in uids,
            lambda calls: delete_pipeline(client, calls, name),
        )


def _place(endpoint_class: EphemeralEndpointClass) -> tuple[str | None, str]:
    return endpoint_class.spec.account, endpoint_class.spec.region
