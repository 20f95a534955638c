"""One acting operator: its watch, its queue, and what it does regularly."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Any, Final

import aiohttp

from ephemeral_endpoints.api.kinds import BY_NAME, ENDPOINT, ENDPOINT_CLASS, PROMOTION, STAGE
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.accounts import Connector
from ephemeral_endpoints.aws.clients import Access, Sessions
from ephemeral_endpoints.aws.freshness import poll, take_snapshots
from ephemeral_endpoints.controllers.endpoint.controller import Inspection
from ephemeral_endpoints.controllers.orphans import tasks as sweeps
from ephemeral_endpoints.controllers.orphans.rounds import SweepDeps
from ephemeral_endpoints.engine.clocks import Clocks
from ephemeral_endpoints.features.capacity.budget_step import look_regularly
from ephemeral_endpoints.features.expiry.jumps import notice_jumps
from ephemeral_endpoints.features.routing.probe import Probe
from ephemeral_endpoints.features.serving.event_messages import Changed, Kind
from ephemeral_endpoints.kube.cache import ObjectKey, endpoint_key
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.resync import Resync
from ephemeral_endpoints.kube.triggers import ResourcesChanged, TimeJumped, Trigger, keys
from ephemeral_endpoints.kube.watch import Watch
from ephemeral_endpoints.kube.workqueue import Queue
from ephemeral_endpoints.settings import Settings
from ephemeral_endpoints.telemetry.memory import trim_regularly
from ephemeral_endpoints.telemetry.metrics import Metrics
from ephemeral_endpoints.wiring import gauges
from ephemeral_endpoints.wiring.base import Base
from ephemeral_endpoints.wiring.clocks import elapsed, now
from ephemeral_endpoints.wiring.cloud import Cloud
from ephemeral_endpoints.wiring.endpoints import Endpoints
from ephemeral_endpoints.wiring.kinds import class_controller, promotion_controller, stage_controller
from ephemeral_endpoints.wiring.services import Services

logger = logging.getLogger(__name__)

GRACE_SECONDS: Final = 20.0

Reconciler = Callable[[ObjectKey], Awaitable[float | None]]
"""Reconciles the object of a key; returns in how many seconds it is due again, None if only a change can make it so."""


class Operator:
    """One acting operator.

    ``session`` sends requests to forges and to the URLs of objects. ``check`` is called before each request that could
    change something; ``clock`` is monotonic seconds, ``clocks`` knows the times of the API server and AWS. ``sessions``
    makes the clients of AWS, as ``Sessions`` does.
    """

    def __init__(  # noqa: PLR0913 - the composition root passes its parts
        self,
        settings: Settings,
        cluster_id: str,
        *,
        kube: KubeClient,
        probe: Probe,
        session: aiohttp.ClientSession,
        metrics: Metrics,
        check: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        clocks: Clocks | None = None,
        sessions: Callable[..., Connector] = Sessions,
    ) -> None:
        self._base = base = Base(
            settings,
            cluster_id,
            kube=kube,
            session=session,
            metrics=metrics,
            clock=clock,
            clocks=clocks or Clocks(now, elapsed),
            enqueue=self.enqueue,
            trigger=self._trigger,
        )
        self._settings = settings
        self._clock = clock
        self.metrics = metrics
        self.store = base.store
        self.watch = Watch(self.store, self._trigger)
        self._queue: Queue[ObjectKey] = Queue(
            self._reconcile, clock=clock, waited=lambda key, seconds: metrics.waited(key.kind, seconds)
        )
        self.resync = Resync(kube, self.store, settings.namespaces, self._trigger)
        self._cloud = Cloud(base, sessions, check=check, on_change=self._resources_changed)
        self.accounts = self._cloud.accounts
        self.services = services = Services(base, self.accounts, self.resync, check=check, on_progress=self.progressed)
        self.calls, self.reviews = services.calls, services.reviews
        self._steps = Endpoints(base, services, probe)
        self.budgets = self._steps.budgets
        self._endpoints = self._steps.controller(self.accounts, self._queue.triggers)
        self._classes = class_controller(base, services, self.accounts)
        self.reconcilers: Mapping[str, Reconciler] = {
            ENDPOINT.name: self._endpoints.reconcile,
            ENDPOINT_CLASS.name: self._reconcile_class,
            STAGE.name: stage_controller(base, services).reconcile,
            PROMOTION.name: promotion_controller(base).reconcile,
        }
        gauges.watch(base, services, self.accounts, self._queue)

    async def initial_list(self) -> None:
        """Fill the cache before the watch begins, and begin to list the accounts of classes meanwhile.

        May be repeated. Raises what ``KubeClient.objects`` raises.
        """

        def connect(key: ObjectKey) -> None:
            if endpoint_class := self.store.get(EphemeralEndpointClass, key):
                self.accounts.begin(endpoint_class)

        await self.resync.initial_list(connect)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then finish the calls in hand.

        Raises the error that ended the watch, or one of the regular tasks, unexpectedly.
        """
        drained = asyncio.Event()
        draining = asyncio.create_task(self._drain(stop, drained))
        regular = [asyncio.create_task(_guard(task, stop)) for task in self._regular()]
        try:
            await self.watch.run(self._settings.namespaces, stop=drained)
        finally:
            stop.set()
            for task in regular:
                task.cancel()
            results = await asyncio.gather(*regular, return_exceptions=True)
            await self.services.events.stop()
            await draining
            await self._cloud.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def drain(self) -> None:
        """Finish the calls in hand, and reconcile nothing any more."""
        await self._queue.stop(GRACE_SECONDS)
        await self._steps.stop()
        await self.reviews.stop()
        await self.services.notifier.stop()

    def is_ready(self) -> bool:
        """Whether the watch is up."""
        return self.watch.is_up

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being reconciled."""
        return len(self._queue) == 0

    def inspect(self, key: ObjectKey) -> Inspection | None:
        """The failures and holds of an object; None if this operator has not reconciled it."""
        return self._endpoints.inspect(key)

    def inspection(self, namespace: str, name: str) -> dict[str, object] | None:
        """The retries and holds of an object as JSON, without messages; None if it was not reconciled."""
        found = self.inspect(endpoint_key(namespace, name))
        return found.to_json(self._clock()) if found else None

    def enqueue(self, key: ObjectKey, trigger: str = "request") -> None:
        """Enqueue an object of this shard; every shard handles its share of cluster-scoped objects."""
        if not BY_NAME[key.kind].is_namespaced or self._settings.shard.takes(key.namespace):
            self._queue.enqueue(key, trigger)

    def progressed(self, changed: Changed) -> None:
        """Look at a build that has ended, at a pipeline's executions, or at the steps of one, for who follows it."""
        if changed.kind is Kind.BUILD:
            self._steps.builds.announce_end(changed.name)
        elif changed.execution:
            self._steps.trainings.step_begun(changed.execution)
        else:
            self._steps.trainings.changed(changed.name)

    def _trigger(self, trigger: Trigger) -> None:
        for key in keys(trigger, self.store):
            self.enqueue(key, type(trigger).__name__)

    def _resources_changed(self, owner: str) -> None:
        self._trigger(ResourcesChanged(owner, self._settings.shard))

    async def _reconcile(self, key: ObjectKey) -> float | None:
        outcome, began = "failed", self._clock()
        try:
            due = await self.reconcilers[key.kind](key)
            outcome = "done"
        finally:
            self.metrics.reconciled(key.kind, outcome, self._clock() - began)
        return due

    async def _reconcile_class(self, key: ObjectKey) -> float | None:
        classes = self.store.classes()
        self.services.events.follow(classes)
        self.accounts.keep_only(frozenset(map(Access.of, classes)))
        self.reviews.connections.keep_only(classes)
        return await self._classes.reconcile(key)

    def _regular(self) -> list[Coroutine[Any, Any, None]]:
        settings, accounts, services = self._settings, self.accounts, self.services
        return [
            poll(accounts, settings.poll_seconds, self._clock, is_notified=services.events.is_heard),
            services.configmaps.run(),
            take_snapshots(accounts, settings.snapshot_seconds, self._clock),
            *self.reviews.tasks(),
            trim_regularly(),
            look_regularly(self.budgets),
            notice_jumps(self._base.now, self._clock, lambda: self._trigger(TimeJumped())),
            *(tuple(self._sweeps()) or (self.resync.run(settings.snapshot_seconds),)),
        ]

    def _sweeps(self) -> Iterator[Coroutine[Any, Any, None]]:
        base = self._base
        deps = SweepDeps(
            base.settings,
            base.cluster_id,
            store=self.store,
            accounts=self.accounts,
            objects=self.resync.objects,
            observer=self.metrics,
            disagreement=base.clocks.disagreement,
            clock=self._clock,
            now=base.now,
        )
        return sweeps.tasks(deps, self._resources_changed)

    async def _drain(self, stop: asyncio.Event, drained: asyncio.Event) -> None:
        """Finish the calls in hand before the watch ends."""
        await stop.wait()
        await self.drain()
        drained.set()


async def _guard(task: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """End the process on an error: without its snapshots the operator would look healthy and see nothing."""
    try:
        await task
    except Exception:
        logger.exception("a periodic task failed; the operator stops")
        stop.set()
        raise
