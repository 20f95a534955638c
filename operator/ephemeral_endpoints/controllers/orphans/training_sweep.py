"""The sweep of what trainings leave beside packages: empty groups, and pipelines of classes that are gone.

AWS itself refuses to delete a group with a version in it, and a pipeline that runs: such a refusal is no failure.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.training import PREVIEWS
from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import Scope, if_there, items
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.controllers.orphans.sweep import SweepObserver
from ephemeral_endpoints.engine.errors import AlreadyExists, AwsError, InProgress, ReconcileError
from ephemeral_endpoints.engine.names import content_digest, owner_hash, prefix
from ephemeral_endpoints.engine.tags import CLUSTER, UID
from ephemeral_endpoints.features.packages.groups import Group, delete_group, empty_groups, tags_of
from ephemeral_endpoints.features.packages.policy import allows, is_of_previews
from ephemeral_endpoints.features.training.desired import owner_of
from ephemeral_endpoints.kube.cache import Store
from ephemeral_endpoints.kube.errors import KubernetesError
from ephemeral_endpoints.settings import Settings, SweepMode

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

logger = logging.getLogger(__name__)

SECONDS: Final = 3600.0
GROUP: Final = "ModelPackageGroup"
PIPELINE: Final = "Pipeline"

_GROUP_AGE: Final = timedelta(days=1)
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


class TrainingSweep:
    """Finds groups and pipelines in the accounts of classes that train. ``now`` is the time of day in UTC.

    ``objects`` lists all classes and all objects afresh: one that the operator cannot read still exists.
    """

    def __init__(  # noqa: PLR0913 - both edges, callbacks, and a clock
        self,
        settings: Settings,
        cluster_id: str,
        *,
        store: Store,
        accounts: Accounts,
        objects: Callable[[], AsyncIterator[Mapping[str, Any]]],
        observer: SweepObserver,
        disagreement: Callable[[], str | None],
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._cluster_id = cluster_id
        self._store = store
        self._accounts = accounts
        self._objects = objects
        self._observer = observer
        self._disagreement = disagreement
        self._now = now

    async def run(self) -> None:
        """Make one round, unless clocks differ. What cannot be reached is left for the next."""
        if differs := self._disagreement():
            logger.error("no sweep of trainings: set the clock of the operator's node", extra={"error": differs})
            return
        swept: set[Scope] = set()
        for each in [known for known in self._classes() if known.spec.training]:
            try:
                account = await self._accounts.of(each)
                if account.scope not in swept:
                    await self._sweep(account)
                    swept.add(account.scope)
            except (KubernetesError, ReconcileError) as problem:
                extra = {"class": each.metadata.name, "error": str(problem)}
                logger.warning("the sweep of trainings failed; the operator tries again", extra=extra)

    def _classes(self) -> list[EphemeralEndpointClass]:
        known = (self._store.named_class(name) for name in self._store.class_names())
        return [each for each in known if each]

    async def _sweep(self, account: Account) -> None:
        calls = account.calls.on_behalf_of(ORPHANS.owner, ORPHANS.priority)
        candidates = [*await self._groups(account, calls), *await self._pipelines(account, calls)]
        uids = {each["metadata"]["uid"] async for each in self._objects()} if candidates else set()
        for each in candidates:
            tags = await tags_of(account, calls, each.arn)
            if tags.get(CLUSTER) == self._cluster_id and UID in tags and each.may_go_of(tags[UID], uids):
                await self._delete(calls, each)

    async def _delete(self, calls: Calls, leftover: _Leftover) -> None:
        extra = {"kind": leftover.kind, "resource": leftover.name}
        if self._settings.sweep is SweepMode.DRY_RUN:
            logger.info("would be swept", extra=extra)
            return
        try:
            await leftover.delete(calls)
        except (AlreadyExists, InProgress):
            return
        except AwsError as error:
            self._observer.swept(leftover.kind, "failed")
            extra["error"] = str(error)
            logger.warning("what a training left could not be deleted; the operator tries again", extra=extra)
            return
        self._observer.swept(leftover.kind, "deleted")
        logger.info("swept", extra=extra)

    async def _groups(self, account: Account, calls: Calls) -> list[_Leftover]:
        """Those that are empty, and that no object trains for."""
        trainings = (each.spec.model.training for _, each in self._store.endpoints())
        used = {each.register_.group for each in trainings if each}
        return [
            self._group(account, each)
            for each in await empty_groups(account, calls)
            if used.isdisjoint({each.name, each.name.removesuffix(PREVIEWS)})
            and each.created_at + _GROUP_AGE < self._now()
        ]

    def _group(self, account: Account, group: Group) -> _Leftover:
        def may_go_of(uid: str, uids: Collection[str]) -> bool:
            is_allowed = any(allows(each.spec.packages, group.name) for each in self._classes())
            return is_of_previews(group.name) or not (uid in uids or is_allowed)

        return _Leftover(
            GROUP, group.name, group.arn, may_go_of, lambda calls: delete_group(account, calls, group.name)
        )

    async def _pipelines(self, account: Account, calls: Calls) -> list[_Leftover]:
        """Those of classes that are not known, by their names."""
        client, ours = account.clients.sagemaker, prefix(self._cluster_id)
        # SageMaker refuses a prefix that ends with a hyphen, as no name may.
        beginning = ours.rstrip("-")
        listed = await items(calls, client.list_pipelines, "PipelineSummaries", PipelineNamePrefix=beginning)
        owners = {owner_hash(each.metadata.uid) for each in self._classes()}
        found = [(each["PipelineName"], each["PipelineArn"]) for each in listed]
        return [
            _Leftover(PIPELINE, name, arn, lambda uid, uids: uid not in uids, partial(_delete_pipeline, client, name))
            for name, arn in found
            if name.startswith(ours) and owner_of(name) not in owners
        ]


async def _delete_pipeline(client: "SageMakerClient", name: str, calls: Calls) -> None:
    call = calls(client.delete_pipeline, PipelineName=name, ClientRequestToken=content_digest("delete", name))
    await if_there(call)


async def sweep_trainings_regularly(sweep: TrainingSweep, sleep: Sleep = asyncio.sleep) -> None:
    """Make a round every hour, until cancelled."""
    while True:
        await sleep(SECONDS)
        await sweep.run()
