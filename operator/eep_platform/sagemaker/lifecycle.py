"""The transitions of endpoints, which continue after the request was answered; each runs as a task."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any

from eep_platform.emulation.outbox import Outbox
from eep_platform.sagemaker.endpoints import Deployment, Endpoint
from eep_platform.sagemaker.errors import DeploymentFailedError
from eep_platform.sagemaker.events import state_change
from eep_platform.sagemaker.fleets import Fleet
from eep_platform.sagemaker.guardrails import Rollout
from eep_platform.sagemaker.hosting import Hosting
from eep_platform.sagemaker.rollouts import Rollouts
from eep_platform.sagemaker.settings import Behaviour
from eep_platform.sagemaker.store import Record, Store

_log = logging.getLogger(__name__)
EndpointRecord = Record[Endpoint]

_Seconds = Callable[[Behaviour], float]
"""How long a transition takes."""


class Lifecycle:
    """Drives endpoints through their states and announces each state."""

    def __init__(self, store: Store, hosting: Hosting, rollouts: Rollouts, events: Outbox[dict[str, Any]]) -> None:
        self._store = store
        self._hosting = hosting
        self._rollouts = rollouts
        self._events = events
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, record: EndpointRecord, endpoint: Endpoint, then: Coroutine[Any, Any, None]) -> None:
        """Put an endpoint into a transitional state, and run `then` in the background."""
        self.enter(record, endpoint)
        task = asyncio.create_task(then)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def enter(self, record: EndpointRecord, endpoint: Endpoint) -> None:
        """Put an endpoint into a state and announce it."""
        record.value = endpoint
        self._events.put(state_change(endpoint, record.tags))

    async def create(self, record: EndpointRecord) -> None:
        """Creating -> InService or Failed."""
        try:
            fleet = await self._deploy(record, lambda now: now.create_seconds, lambda now: now.create_failure)
        except DeploymentFailedError as failure:
            self.enter(record, record.value.failed(str(failure), self._store.clock()))
        else:
            self._serve(record, fleet)
            self.enter(record, record.value.deployed(self._store.clock()))

    async def update(self, record: EndpointRecord, rollout: Rollout) -> None:
        """Updating -> InService on the new configuration, or RollingBack -> InService on the old one."""
        began = self._store.clock()
        fleet = None
        try:
            await self._rollouts.refuse_ringing(rollout.alarms)
            fleet = await self._deploy(record, lambda now: now.update_seconds, lambda now: now.update_failure)
            replaced = self._hosting.serving.get(record.arn)
            await self._rollouts.shift(record, fleet, rollout, (self._store.clock() - began).total_seconds())
        except DeploymentFailedError as failure:
            await self._roll_back(record, str(failure), fleet)
        else:
            self.enter(record, record.value.deployed(self._store.clock()))
            await self._retire(replaced)

    async def rescale(self, record: EndpointRecord) -> None:
        """Updating -> InService on the same servers with new weights and counts."""
        await self._pass(record, lambda now: now.update_seconds)
        fleet = self._hosting.serving.get(record.arn)
        if fleet and record.value.pending:
            fleet.resize(record.value.pending)
        self.enter(record, record.value.deployed(self._store.clock()))

    async def system_update(self, record: EndpointRecord) -> None:
        """SystemUpdating -> InService."""
        await self._pass(record, lambda now: now.update_seconds)
        self.enter(record, record.value.deployed(self._store.clock()))

    async def delete(self, record: EndpointRecord) -> None:
        """Deleting -> gone, or Failed if the settings say so."""
        fleet = self._hosting.serving.pop(record.arn, None)
        await asyncio.gather(self._retire(fleet), self._pass(record, lambda now: now.delete_seconds))
        failure = self._store.settings.behaviour(record.name).delete_failure
        if failure is None:
            self._store.remove_endpoint(record)
        else:
            self.enter(record, record.value.failed(failure, self._store.clock()))

    async def close(self) -> None:
        """Cancel all transitions."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deploy(
        self, record: EndpointRecord, seconds: _Seconds, failure: Callable[[Behaviour], str | None]
    ) -> Fleet | None:
        began = self._store.clock()
        try:
            forced = failure(self._store.settings.behaviour(record.name))
            fleet = None if forced is not None else await self._start(record)
        except DeploymentFailedError:
            await self._pass(record, seconds, began)
            raise
        try:
            await self._pass(record, seconds, began)
            forced = failure(self._store.settings.behaviour(record.name))
            if forced is not None:
                raise DeploymentFailedError(forced)  # noqa: TRY301 - what was started has to be stopped again
            await self._refuse_missing(record)
        except BaseException:
            await self._retire(fleet)
            raise
        return fleet

    async def _start(self, record: EndpointRecord) -> Fleet | None:
        await self._refuse_missing(record)
        pending = _pending(record).provisioned(self._store.settings.now.capacity_shortages)
        record.value = record.value.with_pending(pending)
        if self._store.settings.now.containers == "off":
            return None
        models = self._models(pending)
        resolved = await self._hosting.resolved(pending, models)
        record.value = record.value.with_pending(resolved)
        return await self._hosting.start(record.name, resolved, models)

    async def _refuse_missing(self, record: EndpointRecord) -> None:
        """Hang, then fail, if the configuration or a model was deleted during the deployment."""
        pending = _pending(record)
        needed = [(self._store.configs.find(pending.config_name), self._store.configs.arn(pending.config_name))]
        models = self._store.models
        names = [str(variant.body["ModelName"]) for variant in pending.variants]
        missing = [arn for found, arn in needed if found is None]
        missing += [models.arn(name) for name in names if models.find(name) is None]
        if missing:
            await asyncio.sleep(self._store.settings.now.missing_dependency_seconds)
            raise DeploymentFailedError(f'Could not find "{missing[0]}", which was deleted while it was in use.')

    def _models(self, deployment: Deployment) -> Mapping[str, Mapping[str, Any]]:
        found = {
            variant.name: self._store.models.find(str(variant.body["ModelName"])) for variant in deployment.variants
        }
        return {name: model.value for name, model in found.items() if model is not None}

    def _serve(self, record: EndpointRecord, fleet: Fleet | None) -> None:
        if fleet is not None:
            self._hosting.serving[record.arn] = fleet

    async def _roll_back(self, record: EndpointRecord, reason: str, fleet: Fleet | None) -> None:
        self.enter(record, record.value.roll_back(reason, self._store.clock()))
        behaviour = self._store.settings.behaviour(record.name)
        await asyncio.gather(self._retire(fleet), self._pass(record, lambda now: now.rollback_seconds))
        now = self._store.clock()
        if behaviour.rollback_fails:
            ended = record.value.rollback_failed(now)
        else:
            ended = record.value.rolled_back(now, forgets=behaviour.forgets_failures)
        self.enter(record, ended)

    async def _retire(self, fleet: Fleet | None) -> None:
        if fleet is not None:
            limit = self._store.settings.now.invocation_timeout_seconds
            await self._hosting.retire(fleet.every(), limit)

    async def _pass(self, record: EndpointRecord, seconds: _Seconds, began: datetime | None = None) -> None:
        """Wait until a transition has lasted as long as the settings want by then, and is not stuck."""
        settings, began = self._store.settings, began or self._store.clock()

        def left() -> float:
            lasted = self._store.clock() - began
            return seconds(settings.behaviour(record.name)) - lasted.total_seconds()

        while (remaining := left()) > 0:
            await settings.pause(remaining)
        await settings.until(lambda: not settings.behaviour(record.name).stuck)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("a transition failed", exc_info=error)


def _pending(record: EndpointRecord) -> Deployment:
    pending = record.value.pending
    assert pending is not None  # noqa: S101 - only called while a deployment is under way
    return pending
