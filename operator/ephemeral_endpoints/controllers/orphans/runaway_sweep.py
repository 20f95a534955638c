"""The sweep of runaway trainings: stops what still runs for objects that do not exist any more.

The finalizer of an object has its training stopped. Where somebody has removed it, jobs would go on until they end.
"""

from datetime import timedelta
from functools import partial
from typing import Final

from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.controllers.orphans.rounds import Removal, SweepDeps, in_each_account, remove
from ephemeral_endpoints.engine.names import owner_hash, prefix
from ephemeral_endpoints.features.training import outcome
from ephemeral_endpoints.features.training.pipelines import Pipelines
from ephemeral_endpoints.features.training.specs import owner_of

SECONDS: Final = 600.0

_LONGEST: Final = timedelta(days=28)
"""No job runs longer (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html)."""


class RunawaySweep:
    """Finds executions of our pipelines in the accounts of classes that train."""

    def __init__(self, deps: SweepDeps) -> None:
        self._deps = deps

    async def run(self) -> None:
        """Make one round. What cannot be reached is left for the next."""
        classes = (each for each in self._deps.store.classes() if each.spec.training)
        await in_each_account(self._deps, "sweep of executions", classes, self._sweep)

    async def _sweep(self, account: Account) -> None:
        deps = self._deps
        pipelines, since = Pipelines(deps.clock), deps.clock()
        calls = account.calls_for(ORPHANS)
        names = await pipelines.used(account, calls, prefix(deps.cluster_id), begun_after=deps.now() - _LONGEST)
        runs = [each for name in names for each in await pipelines.runs(account, name, since=since)]
        running = [each for each in runs if each.status == outcome.EXECUTING]
        if not running:
            return
        # AWS before Kubernetes: what runs by now was started for an object that exists already.
        owners = {owner_hash(each["metadata"]["uid"]) async for each in deps.objects()}
        for each in running:
            if owner_of(each.name) not in owners:
                await remove(
                    deps,
                    Removal(
                        "PipelineExecution",
                        partial(pipelines.stop, account, calls, each.arn),
                        {"execution": each.arn},
                        failure="a training could not be stopped",
                        done="stopped",
                    ),
                )
