"""Rollouts made real: traffic moved step by step to a new fleet, under the eyes of alarms."""

import asyncio
from collections.abc import Sequence

from ephemeral_endpoints.local.sagemaker.alarms import ringing
from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.endpoints import Endpoint, Stage
from ephemeral_endpoints.local.sagemaker.errors import DeploymentFailedError
from ephemeral_endpoints.local.sagemaker.fleets import Fleet, Shift
from ephemeral_endpoints.local.sagemaker.guardrails import Rollout, Step
from ephemeral_endpoints.local.sagemaker.hosting import Hosting
from ephemeral_endpoints.local.sagemaker.store import Record, Store

_POLL_SECONDS = 0.25


class Rollouts:
    """Carries rollouts out."""

    def __init__(self, store: Store, hosting: Hosting, aws: Aws) -> None:
        self._store = store
        self._hosting = hosting
        self._aws = aws

    async def refuse_ringing(self, alarms: Sequence[str]) -> None:
        """Raise `DeploymentFailedError` if one of the alarms is in ALARM state."""
        rung = await ringing(self._aws, alarms)
        if rung:
            raise DeploymentFailedError(
                "The deployment was rolled back because these CloudWatch alarms of its AutoRollbackConfiguration are "
                f"in ALARM state: {', '.join(rung)}."
            )

    async def shift(self, record: Record[Endpoint], new: Fleet | None, rollout: Rollout, spent_seconds: float) -> None:
        """Move the traffic to a fleet that is up, all of it in the end; it is None where containers are off.

        `spent_seconds` of the rollout's limit were needed to bring the fleet up.

        Raises:
            DeploymentFailedError: An alarm rang, or time ran out: all traffic goes to the old fleet again.
        """
        limit = rollout.limit_seconds
        left = None if limit is None else max(0.0, limit - spent_seconds) / self._pace
        try:
            async with asyncio.timeout(left):
                for step in rollout.steps:
                    await self._take(record, new, step, rollout.alarms)
            if new is not None:
                self._hosting.serving[record.arn] = new
        except TimeoutError as error:
            raise DeploymentFailedError(
                f"The deployment was rolled back because it exceeded MaximumExecutionTimeoutInSeconds ({limit:g})."
            ) from error
        finally:
            self._hosting.shifting.pop(record.arn, None)

    async def _take(self, record: Record[Endpoint], new: Fleet | None, step: Step, alarms: Sequence[str]) -> None:
        record.value = record.value.with_stage(Stage.ACTIVATING_TRAFFIC, self._store.clock())
        old = self._hosting.serving.get(record.arn)
        if old and new:
            self._hosting.shifting[record.arn] = Shift(old, new, step.share)
        record.value = record.value.with_stage(Stage.BAKING, self._store.clock())
        await self._bake(step.bake_seconds / self._pace, alarms)
        await self._store.settings.until(lambda: not self._store.settings.behaviour(record.name).stuck)

    async def _bake(self, seconds: float, alarms: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            left = end - loop.time()
            await self.refuse_ringing(alarms)
            if left <= 0:
                return
            await asyncio.sleep(min(left, _POLL_SECONDS))

    @property
    def _pace(self) -> float:
        return self._store.settings.now.guardrail_seconds_per_second
