"""An operator that acts, put together from its parts: watch, queue, reconcilers, accounts, regular tasks."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Access, Sessions
from ephemeral_endpoints.aws.codebuild import CodeBuildBuilder
from ephemeral_endpoints.aws.freshness import poll, take_snapshots
from ephemeral_endpoints.aws.limits import LIMITS, Limiter, share
from ephemeral_endpoints.aws.wakeups import Wakeups
from ephemeral_endpoints.core import cost
from ephemeral_endpoints.core.buildjob import Place
from ephemeral_endpoints.core.builds import Build
from ephemeral_endpoints.core.census import Census, census
from ephemeral_endpoints.core.names import owner_hash
from ephemeral_endpoints.core.paths import path_of
from ephemeral_endpoints.image_sweep import ImageSweep, sweep_images_regularly
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.handlers import Watch
from ephemeral_endpoints.kube.jobs import JobBuilder
from ephemeral_endpoints.kube.queue import Queue
from ephemeral_endpoints.kube.rest import Gone, Raw
from ephemeral_endpoints.kube.store import ObjectKey, Store
from ephemeral_endpoints.reconcile.build_line import Builder, Surroundings
from ephemeral_endpoints.reconcile.builds import Builds
from ephemeral_endpoints.reconcile.endpoint import EndpointReconciler
from ephemeral_endpoints.reconcile.klass import ClassReconciler
from ephemeral_endpoints.reconcile.observe import Observer
from ephemeral_endpoints.reconcile.placements import Placements
from ephemeral_endpoints.reconcile.probe import Probe
from ephemeral_endpoints.reconcile.quotas import Quotas
from ephemeral_endpoints.reconcile.report import Reporter
from ephemeral_endpoints.reconcile.run import Context
from ephemeral_endpoints.settings import Settings, SweepMode
from ephemeral_endpoints.sweep import Sweep, sweep_regularly
from ephemeral_endpoints.telemetry import Metrics

logger = logging.getLogger(__name__)

GRACE_SECONDS: Final = 20.0
_UNREACHABLE: Final = (Gone, ApiException, aiohttp.ClientError, TimeoutError)
"""What a list of objects fails with that passes by itself."""

_ERROR_LENGTH: Final = 300


def now() -> datetime:
    """The time of day in UTC."""
    return datetime.now(UTC)


class Operator:
    """One acting operator. ``check`` is called before each request that could change something."""

    def __init__(  # noqa: PLR0913 - the composition root hands over what it made
        self,
        settings: Settings,
        cluster_id: str,
        *,
        kube: KubeClient,
        probe: Probe,
        metrics: Metrics,
        check: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._kube = kube
        self._cluster_id = cluster_id
        self._metrics = metrics
        self._pools: dict[Access, ThreadPoolExecutor] = {}
        self._store = Store()
        self._queue: Queue[ObjectKey] = Queue(self._reconcile)
        self._watch = Watch(self._store, self._wake)
        self._accounts = Accounts(
            cluster_id,
            connector=Sessions(connections=settings.aws_connections, check=check),
            calls=self._calls,
            clock=time.monotonic,
            on_change=self._wake_owner,
            on_trouble=self._wake_classes,
        )
        self._wakeups = Wakeups(
            self._accounts,
            seconds=settings.poll_seconds,
            clock=time.monotonic,
            on_change=lambda name: self._wake(ObjectKey(None, name)),
            shard=settings.shard,
        )
        self._builds = Builds(self._surroundings())
        context = Context(
            cluster_id=cluster_id,
            store=self._store,
            accounts=self._accounts,
            kube=kube,
            observer=Observer(kube, probe, time.monotonic),
            reporter=Reporter(kube, self._store, now),
            placements=Placements(cluster_id, shard=settings.shard),
            builds=self._builds,
            quotas=Quotas(lambda uid: self._store.by_owner(owner_hash(uid)), self._wake, time.monotonic),
            is_alone=not settings.namespaces,
            shard=settings.shard,
            wake=self._wake,
            now=now,
            clock=time.monotonic,
        )
        self._endpoints = EndpointReconciler(context)
        self._classes = ClassReconciler(context, self._wakeups.trouble)
        metrics.watch_ages(self._ages)
        takes = settings.shard.takes
        metrics.count_objects(
            lambda: self._store.count_endpoints(takes),
            lambda: self._store.count_classes() if settings.shard.is_first else 0,
            lambda: self._store.count_ready(takes),
        )
        metrics.take_census(self._census)

    def is_ready(self) -> bool:
        """Whether the watch is up."""
        return self._watch.is_up

    async def learn(self) -> None:
        """Take in all objects before the watch begins: none must be judged while others, or its class, are unknown.

        What is in the accounts of the classes is listed meanwhile. May be repeated. Raises what ``KubeClient.objects``
        raises.
        """
        async for raw in self._kube.objects(self._settings.namespaces):
            key = self._store.put(raw)
            if key.namespace is None and (klass := self._store.named_class(key.name)):
                self._accounts.begin(klass)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then finish the calls in hand.

        Raises what ended the watch, or one of the regular tasks, against all expectation.
        """
        drained = asyncio.Event()
        draining = asyncio.create_task(self._drain(stop, drained))
        regular = [asyncio.create_task(self._guard(task, stop)) for task in self._regular()]
        try:
            await self._watch.run(self._settings.namespaces, stop=drained)
        finally:
            stop.set()
            for task in regular:
                task.cancel()
            results = await asyncio.gather(*regular, return_exceptions=True)
            await self._wakeups.stop()
            await draining
            # Calls that outlasted the grace end before another replica may act.
            for pool in self._pools.values():
                await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _regular(self) -> list[Coroutine[Any, Any, None]]:
        settings, accounts = self._settings, self._accounts
        return [
            poll(accounts, settings.poll_seconds, time.monotonic, is_woken=self._wakeups.is_heard),
            take_snapshots(accounts, settings.snapshot_seconds, time.monotonic),
            *(tuple(self._sweeps()) or (self._take_roll_regularly(),)),
        ]

    async def _take_roll_regularly(self) -> None:
        """Where no sweep lists the objects, have it done all the same."""
        while True:
            await asyncio.sleep(self._settings.snapshot_seconds)
            try:
                async for _ in self._take_roll():
                    pass
            except _UNREACHABLE as error:
                logger.warning("the objects cannot be listed", extra={"error": str(error)[:_ERROR_LENGTH]})

    async def _take_roll(self) -> AsyncIterator[Raw]:
        """List all objects, and forget those that are known and do not exist any more.

        Nothing tells of what goes between a list and the watch that follows it, at the start and whenever the
        connection is lost: an object whose finalizer somebody takes off just then would be kept up for ever.
        """
        known = self._store.uids()
        async for raw in self._kube.objects(self._settings.namespaces):
            metadata = raw["metadata"]
            key = ObjectKey(metadata.get("namespace"), metadata["name"])
            if known.get(key) == metadata["uid"]:
                del known[key]
            yield raw
        for key, uid in known.items() & self._store.uids().items():
            logger.warning("an object is gone of which nobody told", extra={"object": str(key), "uid": uid})
            self._store.remove(key, uid)
            self._wake(key)

    def _sweeps(self) -> Iterator[Coroutine[Any, Any, None]]:
        settings, accounts, observer = self._settings, self._accounts, self._metrics
        if settings.sweep is SweepMode.OFF or not settings.shard.is_first:
            return
        sweep = Sweep(
            settings,
            accounts,
            self._take_roll,
            observer=observer,
            wake=self._wake_owner,
            clock=time.monotonic,
        )
        yield sweep_regularly(sweep, settings.snapshot_seconds)
        if not settings.namespaces:
            # What objects in the namespaces of other operators name is not known.
            images = ImageSweep(
                settings, self._cluster_id, store=self._store, accounts=accounts, observer=observer, now=now
            )
            yield sweep_images_regularly(images, settings.snapshot_seconds)

    @staticmethod
    async def _guard(task: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
        """An operator without its snapshots would look healthy and be blind: better that it is started anew."""
        try:
            await task
        except Exception:
            logger.exception("a regular task ended")
            stop.set()
            raise

    async def _drain(self, stop: asyncio.Event, drained: asyncio.Event) -> None:
        """Finish the calls in hand before the watch ends."""
        await stop.wait()
        await self._queue.stop(GRACE_SECONDS)
        await self._builds.stop()
        drained.set()

    async def _reconcile(self, key: ObjectKey) -> float | None:
        kind = "EphemeralEndpoint" if key.namespace else "EphemeralEndpointClass"
        outcome = "failed"
        try:
            due = await (self._endpoints(key) if key.namespace else self._reconcile_class(key))
            outcome = "done"
        finally:
            self._metrics.reconciled(kind, outcome)
        return due

    async def _reconcile_class(self, key: ObjectKey) -> float | None:
        known = (self._store.named_class(name) for name in self._store.class_names())
        classes = [klass for klass in known if klass]
        self._wakeups.follow(classes)
        self._accounts.keep_only(frozenset(map(Access.of, classes)))
        return await self._classes(key)

    def _surroundings(self) -> Surroundings:
        """What builds need of the operator."""
        return Surroundings(
            builder=self._builder,
            wanting=self._wanting,
            wake=self._wake,
            ended=self._build_ended,
            now=now,
            clock=time.monotonic,
            poll_seconds=self._settings.poll_seconds,
            is_alone=not self._settings.namespaces and self._settings.shard.is_whole,
        )

    def _builder(self, klass: EphemeralEndpointClass, account: Account) -> Builder:
        policy = klass.spec.builds
        if policy and policy.job:
            return JobBuilder(self._kube.api, Place(policy.job, self._cluster_id, klass.metadata.name), now)
        return CodeBuildBuilder(
            account.clients.codebuild,
            account.clients.logs,
            account.calls,
            policy.code_build.project if policy and policy.code_build else "",
            account.scope.region,
            owner_hash(klass.metadata.uid),
        )

    def _wanting(self, class_name: str) -> list[ObjectKey]:
        """The living objects of a class that may want an image to be made."""
        return [
            key
            for key, endpoint in self._store.of_class(class_name)
            if endpoint.spec.model.image is None
            and endpoint.metadata.deletion_timestamp is None
            and self._settings.shard.takes(key.namespace)
        ]

    def _build_ended(self, klass: EphemeralEndpointClass, build: Build) -> None:
        policy = klass.spec.builds
        price = policy.code_build.price_per_minute if policy and policy.code_build else "0"
        usd = float(cost.of_build(build.seconds, price))
        self._metrics.build_ended(klass.metadata.name, build.result, build.seconds, usd)

    def _census(self) -> Census:
        """What this shard's objects tell in sum, and the classes where they are its work."""
        store, shard = self._store, self._settings.shard
        own = (endpoint for key, endpoint in store.endpoints() if shard.takes(key.namespace))
        known = (store.named_class(name) for name in store.class_names() if shard.is_first)
        return census(((store.class_name_of(each), each) for each in own), filter(None, known), now())

    def _ages(self) -> dict[tuple[str, str, str], float]:
        return {
            (access.account, access.region, access.role.arn if access.role else ""): age
            for access, age in self._accounts.ages().items()
        }

    def _wake(self, key: ObjectKey) -> None:
        """Have something reconciled that is this shard's work; every shard has its part in every class."""
        if key.namespace is None or self._settings.shard.takes(key.namespace):
            self._queue.wake(key)

    def _wake_owner(self, owner: str) -> None:
        key = self._store.by_owner(owner)
        if key is None:
            return
        self._wake(key)
        for each in self._store.affected_by_class(key.name) if key.namespace is None else self._rivals(key):
            self._wake(each)

    def _rivals(self, key: ObjectKey) -> list[ObjectKey]:
        """Who waits for the path of another shard's object, whose end only AWS tells here."""
        endpoint = self._store.endpoint(key)
        if endpoint is None or self._settings.shard.takes(key.namespace):
            return []
        return [each for each, _ in self._store.sharing_path(path_of(endpoint), self._store.class_name_of(endpoint))]

    def _namespace_of(self, owner: str) -> str:
        """Of whom a call is made; classes and orphans belong to none."""
        key = self._store.by_owner(owner)
        return (key.namespace if key else None) or ""

    def _wake_classes(self) -> None:
        for name in self._store.class_names():
            self._wake(ObjectKey(None, name))

    def _calls(self, access: Access) -> Calls:
        """The door for an access, with threads of its own: an account that does not answer uses up no one else's."""
        if access not in self._pools:
            self._pools[access] = ThreadPoolExecutor(self._settings.aws_connections, "aws")
        limiter = Limiter(time.monotonic, share(LIMITS, self._settings.shard.count), group=self._namespace_of)
        return Calls(limiter, self._pools[access], self._metrics.aws_call)
