"""Carries out rollouts: shifts traffic step by step to a new fleet while watching alarms."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import inf

from eep_platform.emulation.aws import Aws
from eep_platform.sagemaker.alarms import ringing
from eep_platform.sagemaker.endpoints import Endpoint, Stage
from eep_platform.sagemaker.errors import DeploymentFailedError
from eep_platform.sagemaker.fleets import Fleet, Shift
from eep_platform.sagemaker.guardrails import Rollout, Step
from eep_platform.sagemaker.hosting import Hosting
from eep_platform.sagemaker.store import Record, Store

_POLL_SECONDS = 0.25


class Rollouts:
    """Shifts traffic between fleets."""

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
        """Shift all traffic to a running fleet, which is None if containers are off.

        `spent_seconds` of the rollout's limit were needed to start the fleet.

        Raises:
            DeploymentFailedError: An alarm went off or the time ran out; all traffic goes to the old fleet again.
        """
        limit = rollout.limit_seconds
        try:
            async with self._limited(None if limit is None else limit - spent_seconds):
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
        await self._store.settings.until(lambda: not self._store.settings.behaviour(record.name).stuck)
        await self._bake(step.bake_seconds, alarms)

    async def _bake(self, seconds: float, alarms: Sequence[str]) -> None:
        left = seconds
        while True:
            await self.refuse_ringing(alarms)
            if left <= 0:
                return
            left -= await self._spend(left, at_most=_POLL_SECONDS)

    @asynccontextmanager
    async def _limited(self, seconds: float | None) -> AsyncIterator[None]:
        """Raise TimeoutError after so many seconds of the rollout; None: never."""
        async with asyncio.timeout(None) as limit:
            running = None if seconds is None else asyncio.create_task(self._run_out(limit, seconds))
            try:
                yield
            finally:
                if running:
                    running.cancel()

    async def _run_out(self, limit: asyncio.Timeout, seconds: float) -> None:
        left = seconds
        while left > 0:
            left -= await self._spend(left)
        limit.reschedule(asyncio.get_running_loop().time())

    async def _spend(self, seconds: float, *, at_most: float = inf) -> float:
        """Let time pass at the pace that is set, until it changes at the latest; returns how much of it passed.

        ``at_most`` are real seconds.
        """
        loop, pace = asyncio.get_running_loop(), self._store.settings.now.guardrail_seconds_per_second
        began = loop.time()
        await self._store.settings.pause(min(seconds / pace, at_most))
        return (loop.time() - began) * pace
