"""The sweep of executions: stops what still runs for objects that do not exist any more.

The finalizer of an object has its training stopped. Where somebody has removed it, jobs would go on until they end.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.controllers.orphans.sweep import SweepObserver
from ephemeral_endpoints.engine.errors import AwsError, ReconcileError
from ephemeral_endpoints.engine.names import owner_hash, prefix
from ephemeral_endpoints.features.training import outcome
from ephemeral_endpoints.features.training.pipelines import Pipelines
from ephemeral_endpoints.features.training.specs import owner_of
from ephemeral_endpoints.kube.cache import Store
from ephemeral_endpoints.kube.errors import KubernetesError
from ephemeral_endpoints.settings import Settings, SweepMode

logger = logging.getLogger(__name__)

KIND: Final = "PipelineExecution"
SECONDS: Final = 600.0

_LONGEST: Final = timedelta(days=28)
"""No job runs longer (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html)."""


class ExecutionSweep:
    """Finds executions of our pipelines. ``objects`` lists all objects afresh; ``now`` is the time of day in UTC."""

    def __init__(  # noqa: PLR0913 - both edges, callbacks, and two clocks
        self,
        settings: Settings,
        cluster_id: str,
        *,
        store: Store,
        accounts: Accounts,
        objects: Callable[[], AsyncIterator[Mapping[str, Any]]],
        observer: SweepObserver,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._cluster_id = cluster_id
        self._store = store
        self._accounts = accounts
        self._objects = objects
        self._observer = observer
        self._clock = clock
        self._now = now

    async def run(self) -> None:
        """Make one round. What cannot be reached is left for the next."""
        known = (self._store.named_class(name) for name in self._store.class_names())
        classes = {(each.spec.account, each.spec.region): each for each in known if each and each.spec.training}
        for each in classes.values():
            try:
                await self._sweep(await self._accounts.of(each))
            except (ReconcileError, KubernetesError) as error:
                extra = {"class": each.metadata.name, "error": str(error)}
                logger.warning("the sweep of executions failed; the operator tries again", extra=extra)

    async def _sweep(self, account: Account) -> None:
        pipelines, since = Pipelines(self._clock), self._clock()
        calls = account.calls.on_behalf_of(ORPHANS.owner, ORPHANS.priority)
        begun_after = self._now() - _LONGEST
        names = await pipelines.used(account, calls, prefix(self._cluster_id), begun_after=begun_after)
        runs = [each for name in names for each in await pipelines.runs(account, name, since=since)]
        running = [each for each in runs if each.status == outcome.EXECUTING]
        if not running:
            return
        # AWS before Kubernetes: what runs by now was started for an object that exists already.
        owners = {owner_hash(each["metadata"]["uid"]) async for each in self._objects()}
        for each in running:
            if owner_of(each.name) in owners:
                continue
            extra = {"execution": each.arn}
            if self._settings.sweep is SweepMode.DRY_RUN:
                logger.info("would be stopped", extra=extra)
                continue
            try:
                await pipelines.stop(account, calls, each.arn)
            except AwsError as error:
                self._observer.swept(KIND, "failed")
                logger.warning(
                    "a training could not be stopped; the operator tries again", extra=extra | {"error": str(error)}
                )
                continue
            self._observer.swept(KIND, "deleted")
            logger.info("stopped", extra=extra)


async def sweep_executions_regularly(sweep: ExecutionSweep, sleep: Sleep = asyncio.sleep) -> None:
    """Make a round every ten minutes, until cancelled."""
    while True:
        await sleep(SECONDS)
        await sweep.run()
