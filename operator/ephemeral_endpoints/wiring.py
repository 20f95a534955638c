"""Puts an operator together from its parts: watch, queue, controllers, accounts, regular tasks."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import aiohttp

from ephemeral_endpoints.api.kinds import BY_NAME, ENDPOINT, ENDPOINT_CLASS, PROMOTION, STAGE
from ephemeral_endpoints.api.v1alpha1.checks import CheckRun
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Access, Sessions
from ephemeral_endpoints.aws.freshness import poll, take_snapshots
from ephemeral_endpoints.aws.limits import LIMITS, Limiter, share
from ephemeral_endpoints.controllers.endpoint.active import Active
from ephemeral_endpoints.controllers.endpoint.controller import EndpointController, Inspection
from ephemeral_endpoints.controllers.endpoint.convergence import Convergence
from ephemeral_endpoints.controllers.endpoint.finalize import Finalizer
from ephemeral_endpoints.controllers.endpoint.report import Reporter
from ephemeral_endpoints.controllers.endpoint.retain import Retainer
from ephemeral_endpoints.controllers.endpoint.tags import TagsStep
from ephemeral_endpoints.controllers.endpoint_class.controller import ClassController
from ephemeral_endpoints.controllers.model_promotion.controller import PromotionController
from ephemeral_endpoints.controllers.model_stage.controller import StageController
from ephemeral_endpoints.controllers.orphans.execution_sweep import ExecutionSweep, sweep_executions_regularly
from ephemeral_endpoints.controllers.orphans.image_sweep import ImageSweep, sweep_images_regularly
from ephemeral_endpoints.controllers.orphans.package_sweep import PackageSweep, sweep_packages_regularly
from ephemeral_endpoints.controllers.orphans.sweep import Sweep, sweep_regularly
from ephemeral_endpoints.controllers.orphans.training_sweep import TrainingSweep, sweep_trainings_regularly
from ephemeral_endpoints.controllers.reasons import TO_ACT_ON
from ephemeral_endpoints.engine.clocks import Clocks, Source
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.features.capacity import cost
from ephemeral_endpoints.features.capacity.budget_step import BudgetStep, look_regularly
from ephemeral_endpoints.features.capacity.budgets import furthest
from ephemeral_endpoints.features.capacity.ledger import Ledger
from ephemeral_endpoints.features.capacity.observe import RunningCosts
from ephemeral_endpoints.features.capacity.quotas import Quotas
from ephemeral_endpoints.features.capacity.turns import Turns
from ephemeral_endpoints.features.checks.comparison.bases import BaseListener
from ephemeral_endpoints.features.checks.comparison.step import MOST_RUNS as MOST_COMPARISONS
from ephemeral_endpoints.features.checks.comparison.step import ComparisonStep, Outcome
from ephemeral_endpoints.features.checks.contract.sides import Contracts
from ephemeral_endpoints.features.checks.load.jobs import LoadJobs
from ephemeral_endpoints.features.checks.load.runner import LoadRunner
from ephemeral_endpoints.features.checks.requests import ModelClient
from ephemeral_endpoints.features.checks.runner import PURPOSE, Runner
from ephemeral_endpoints.features.checks.step import OBJECTS_AT_ONCE, ChecksStep
from ephemeral_endpoints.features.expiry.brake import ExpiryBrake, recently_ended
from ephemeral_endpoints.features.expiry.jumps import notice_jumps
from ephemeral_endpoints.features.expiry.observe import Activities
from ephemeral_endpoints.features.images.builds.builders import Builders, requesters
from ephemeral_endpoints.features.images.builds.policy import Build
from ephemeral_endpoints.features.images.builds.queue import BuildQueueDeps
from ephemeral_endpoints.features.images.builds.queues import Builds
from ephemeral_endpoints.features.images.collection import ImageCollector
from ephemeral_endpoints.features.images.observe import ImagesStep
from ephemeral_endpoints.features.monitoring.last_lines import LastLinesStep
from ephemeral_endpoints.features.notifications.expiring import ExpiringStep
from ephemeral_endpoints.features.notifications.notifier import Notifier
from ephemeral_endpoints.features.notifications.targets import Targets
from ephemeral_endpoints.features.packages.inventory import PackageInventory
from ephemeral_endpoints.features.packages.registry import Registry
from ephemeral_endpoints.features.packages.step import PackagesStep
from ephemeral_endpoints.features.promotion.publisher import StagePublisher
from ephemeral_endpoints.features.promotion.registry import PackageGroups
from ephemeral_endpoints.features.registry import components
from ephemeral_endpoints.features.reviews.reviews import ReviewDeps, Reviews
from ephemeral_endpoints.features.routing.capture.step import CaptureStep
from ephemeral_endpoints.features.routing.domain_step import DomainStep
from ephemeral_endpoints.features.routing.domains import Domains
from ephemeral_endpoints.features.routing.feedback.kept import KeptVotesStep
from ephemeral_endpoints.features.routing.feedback.step import FeedbackStep
from ephemeral_endpoints.features.routing.object_calls import ObjectCalls
from ephemeral_endpoints.features.routing.placements import Placements, PlacementStep
from ephemeral_endpoints.features.routing.postprocessing.step import PostprocessStep
from ephemeral_endpoints.features.routing.probe import Probe, ProbeStep
from ephemeral_endpoints.features.routing.schemas import SchemasStep
from ephemeral_endpoints.features.routing.token import TokenStep
from ephemeral_endpoints.features.runs import Runs
from ephemeral_endpoints.features.serving.environment import EnvironmentStep
from ephemeral_endpoints.features.serving.event_messages import Changed
from ephemeral_endpoints.features.serving.events import EndpointEvents
from ephemeral_endpoints.features.serving.observe import EndpointRecovery
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.features.training.step import TrainingStep
from ephemeral_endpoints.kube.cache import ObjectKey, Store, endpoint_key
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.configmaps import ConfigMaps
from ephemeral_endpoints.kube.lease import own_namespace
from ephemeral_endpoints.kube.resync import Resync
from ephemeral_endpoints.kube.secrets import OwnSecrets
from ephemeral_endpoints.kube.triggers import (
    EventQueueChanged,
    ListErrorChanged,
    PackageChanged,
    ResourcesChanged,
    TimeJumped,
    Trigger,
    keys,
)
from ephemeral_endpoints.kube.watch import Watch
from ephemeral_endpoints.kube.workqueue import Queue
from ephemeral_endpoints.settings import Settings, SweepMode
from ephemeral_endpoints.telemetry.memory import trim_regularly
from ephemeral_endpoints.telemetry.metrics import Metrics
from ephemeral_endpoints.telemetry.summary import Summary, summary

logger = logging.getLogger(__name__)

GRACE_SECONDS: Final = 20.0

_POLLS_AN_APPROVAL: Final = 60
"""Approvals are given by people: they are looked for less often than AWS's own progress."""

Reconciler = Callable[[ObjectKey], Awaitable[float | None]]
"""Reconciles the object of a key; returns in how many seconds it is due again, None if only a change can make it so."""


def now() -> datetime:
    """The time of day in UTC."""
    return datetime.now(UTC)


def elapsed() -> float:
    """Monotonic seconds, with those in which the machine slept where the system counts them.

    ``time.monotonic`` stands meanwhile (https://man7.org/linux/man-pages/man2/clock_gettime.2.html): a leader would
    still believe itself to be one when it wakes.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Operator:
    """One acting operator.

    ``session`` sends requests to forges and to the URLs of objects. ``check`` is called before each request that could
    change something; ``clock`` is monotonic seconds, ``clocks`` knows the times of the API server and AWS.
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
    ) -> None:
        self._settings = settings
        self._cluster_id = cluster_id
        self._kube = kube
        self._session = session
        self._clock = clock
        self._clocks = clocks or Clocks(now, elapsed)
        self._now = self._clocks.now
        self._pools: dict[Access, ThreadPoolExecutor] = {}
        self.metrics = metrics
        self.store = Store()
        self.watch = Watch(self.store, self._trigger)
        self._queue: Queue[ObjectKey] = Queue(
            self._reconcile, clock=clock, waited=lambda key, seconds: metrics.waited(key.kind, seconds)
        )
        self.resync = Resync(kube, self.store, settings.namespaces, self._trigger)
        self.accounts = Accounts(
            cluster_id,
            connector=Sessions(
                connections=settings.aws_connections, check=check, note_date=partial(self._clocks.note, Source.AWS)
            ),
            calls=self._calls,
            components=components,
            clock=clock,
            on_change=self._resources_changed,
            on_list_error=lambda: self._trigger(ListErrorChanged()),
        )
        self._activities = Activities()
        self._packages = Registry(clock)
        self.calls = ObjectCalls(
            self._activities,
            self.store,
            self.enqueue,
            self._now,
            is_certain=lambda: self._clocks.disagreement() is None,
        )
        self._events = EndpointEvents(
            self.accounts,
            seconds=settings.poll_seconds,
            clock=clock,
            on_change=lambda name: self._trigger(EventQueueChanged(name)),
            on_notice=self.calls.noticed,
            on_pipeline=self.pipeline_changed,
            on_package=self.package_changed,
            shard=settings.shard,
        )
        self._brake = ExpiryBrake(
            self._clocks.disagreement,
            lambda: self.store.count(ENDPOINT, settings.shard.takes),
            ended=lambda: recently_ended(((each.endpoint, each.end) for _, each in self._subjects()), self._now()),
            share=settings.expiry_most_share,
            clock=clock,
        )
        self._configmaps = ConfigMaps(kube.api, settings.namespaces, partial(self.enqueue, trigger="ConfigMapChanged"))
        secrets = OwnSecrets(kube.api, settings.own_namespace or own_namespace(), clock)
        self.reviews = Reviews(
            ReviewDeps(
                cluster_id,
                session,
                kube,
                self.store,
                secrets,
                settings.shard,
                subjects=self._subjects,
                objects=self.resync.objects,
                enqueue=self.enqueue,
                failures=TO_ACT_ON,
                share=settings.expiry_most_share,
                check=check,
                counted=metrics.forge_request,
                now=self._now,
                clock=clock,
            )
        )
        self._notifier = Notifier(
            Targets(secrets, self.accounts),
            self.store,
            enqueue=partial(self.enqueue, trigger="TargetAnswered"),
            count=metrics.notified,
        )
        self._builds = Builds(self._build_queue_deps())
        self._comparisons: Runs[Outcome] = Runs(partial(self.enqueue, trigger="ComparisonEnded"), most=MOST_COMPARISONS)
        self._package_groups = PackageGroups(self.accounts, clock)
        placements = Placements(cluster_id, shard=settings.shard)
        self._domains = Domains(clock)
        self._endpoints = self._endpoint_controller(probe, placements)
        self._classes = self._class_controller(placements)
        self.reconcilers: Mapping[str, Reconciler] = {
            ENDPOINT.name: self._endpoints.reconcile,
            ENDPOINT_CLASS.name: self._reconcile_class,
            STAGE.name: self._stage_controller().reconcile,
            PROMOTION.name: PromotionController(
                kube, self.store, enqueue=partial(self.enqueue, trigger="PromotionChanged"), now=self._now
            ).reconcile,
        }
        self._watch_metrics()

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
            await self._events.stop()
            await draining
            # Calls that outlasted the grace end before another replica may act.
            for pool in self._pools.values():
                await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def drain(self) -> None:
        """Finish the calls in hand, and reconcile nothing any more."""
        await self._queue.stop(GRACE_SECONDS)
        await self._checks.stop()
        await self._comparisons.stop()
        await self._builds.stop()
        await self.reviews.stop()
        await self._notifier.stop()

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

    def _trigger(self, trigger: Trigger) -> None:
        for key in keys(trigger, self.store):
            self.enqueue(key, type(trigger).__name__)

    def _resources_changed(self, owner: str) -> None:
        self._trigger(ResourcesChanged(owner, self._settings.shard))

    def pipeline_changed(self, changed: Changed) -> None:
        """Look at the executions of a pipeline afresh, for the objects that follow one, or at one's steps only."""
        if changed.execution:
            self._trainings.step_begun(changed.execution)
        else:
            self._trainings.changed(changed.name)

    def package_changed(self, class_name: str, group: str) -> None:
        """Read what is served of a group of model packages afresh, for the objects of a class."""
        self._packages.changed(group)
        self._package_groups.changed(group)
        self._trigger(PackageChanged(class_name, group))

    async def _reconcile(self, key: ObjectKey) -> float | None:
        outcome, began = "failed", self._clock()
        try:
            due = await self.reconcilers[key.kind](key)
            outcome = "done"
        finally:
            self.metrics.reconciled(key.kind, outcome, self._clock() - began)
        return due

    async def _reconcile_class(self, key: ObjectKey) -> float | None:
        known = (self.store.named_class(name) for name in self.store.class_names())
        classes = [endpoint_class for endpoint_class in known if endpoint_class]
        self._events.follow(classes)
        self.accounts.keep_only(frozenset(map(Access.of, classes)))
        self.reviews.connections.keep_only(classes)
        return await self._classes.reconcile(key)

    def _endpoint_controller(self, probe: Probe, placements: Placements) -> EndpointController:
        kube, store, clock, settings = self._kube, self.store, self._clock, self._settings
        images = ImagesStep(self._builds, partial(self.enqueue, trigger="RepositoryNeeded"), clock)
        self._trainings = training = TrainingStep(
            images,
            self._configmaps,
            is_heard=self._events.is_heard,
            enqueue=partial(self.enqueue, trigger="TrainingChanged"),
            clock=clock,
        )
        token = TokenStep(kube, store, clock, self._now)
        schemas = SchemasStep(self._configmaps, clock)
        self._checks = self._checks_step(token, schemas)
        placement = PlacementStep(placements, store, partial(self.enqueue, trigger="ApiNeeded"), self._now)
        urls = ProbeStep(probe, token, placement, clock)
        costs, tags = RunningCosts(), TagsStep(clock)
        turns = Turns(store, partial(self.enqueue, trigger="TurnChanged"), self._now)
        self.budgets = BudgetStep(
            kube, store, self._subjects, partial(self.enqueue, trigger="BudgetReached"), self._now
        )
        listeners = (BaseListener(self._trigger), self.reviews.publisher, self._notifier)
        reporter = Reporter(kube, store, self._now, listeners)
        comparison = ComparisonStep(
            self._comparisons,
            ModelClient(self._session, clock, PURPOSE),
            token,
            kube=kube,
            store=store,
            now=self._now,
            clock=clock,
        )
        recovery = EndpointRecovery(costs.describe, self._now)
        quotas = Quotas(
            lambda uid: store.by_owner(owner_hash(uid)), partial(self.enqueue, trigger="CapacityReleased"), clock
        )
        convergence = Convergence(kube=kube, store=store, quotas=quotas, recovery=recovery, now=self._now, clock=clock)
        collector = ImageCollector(images, self._builds, store, clock, sees_all_namespaces=not settings.namespaces)
        active = Active(
            turns=turns,
            budgets=self.budgets,
            tags=tags,
            packages=PackagesStep(self._packages, self._events.is_registry_heard, clock),
            images=images,
            training=training,
            environment=EnvironmentStep(self._configmaps),
            schemas=schemas,
            token=token,
            placement=placement,
            convergence=convergence,
            kept_votes=KeptVotesStep(clock),
            probe=urls,
            domain=DomainStep(probe, urls, placement, self._domains, clock),
            last_lines=LastLinesStep(recovery, clock),
            recovery=recovery,
            follow_ups=(
                self.reviews.pull_request_step,
                self.budgets,
                self._checks,
                comparison,
                FeedbackStep(clock),
                PostprocessStep(store, self._now),
                CaptureStep(partial(self.enqueue, trigger="CaptureNeeded")),
                ExpiringStep(self._now),
                self.reviews.publication_step,
            ),
            costs=costs,
            builds=self._builds,
            collector=collector,
            reporter=reporter,
            store=store,
            shard=settings.shard,
            calls=self.calls.of,
            now=self._now,
        )
        finalizer = Finalizer(
            turns=turns,
            ledger=Ledger(kube, store, settings.shard, self._now),
            convergence=convergence,
            placement=placement,
            training=training,
            collector=collector,
            reporter=reporter,
            kube=kube,
            store=store,
            brake=self._brake,
            enqueue=partial(self.enqueue, trigger="ObjectGone"),
            show_end=self.reviews.publisher.show_end,
            now=self._now,
        )
        return EndpointController(
            self._cluster_id,
            self.accounts,
            active,
            finalizer,
            Retainer(finalizer, tags, clock),
            activities=self._activities,
            annotate=(self.reviews.pull_request_step.annotate, self.budgets.annotate),
            now=self._now,
            clock=clock,
            triggers=self._queue.triggers,
        )

    def _checks_step(self, token: TokenStep, schemas: SchemasStep) -> ChecksStep:
        contracts = Contracts(self.store, self._configmaps, schemas)
        runner = Runner(ModelClient(self._session, self._clock, PURPOSE), self._clock)
        runs = Runs[CheckRun](partial(self.enqueue, trigger="ChecksEnded"), most=OBJECTS_AT_ONCE)
        return ChecksStep(
            runner,
            runs,
            token,
            self._configmaps,
            self._now,
            clock=self._clock,
            load=self._load_runner(),
            contracts=contracts,
        )

    def _load_runner(self) -> LoadRunner:
        image = self._settings.image
        jobs = LoadJobs(self._kube.api, image) if image else None
        return LoadRunner(self._cluster_id, jobs, self.store, self._clock)

    def _class_controller(self, placements: Placements) -> ClassController:
        return ClassController(
            self._cluster_id,
            self.accounts,
            placements,
            kube=self._kube,
            store=self.store,
            shard=self._settings.shard,
            enqueue=partial(self.enqueue, trigger="ClassReconciled"),
            events_error=self._events.events_error,
            is_known=self._events.is_known,
            further=(self.reviews.connections, self._notifier),
            domains=self._domains,
            now=self._now,
            clock=self._clock,
        )

    def _stage_controller(self) -> StageController:
        return StageController(
            self._kube,
            self.store,
            self._package_groups,
            self._notifier,
            StagePublisher(
                self._cluster_id,
                self.reviews.publisher.lane_of,
                self._package_groups.lineage,
                partial(self.enqueue, trigger="Published"),
            ),
            enqueue=partial(self.enqueue, trigger="StageChanged"),
            now=self._now,
            waiting_seconds=_POLLS_AN_APPROVAL * self._settings.poll_seconds,
        )

    def _build_queue_deps(self) -> BuildQueueDeps:
        settings = self._settings
        return BuildQueueDeps(
            builder=Builders(self._cluster_id, self._kube.api, self._now).of,
            wanting=partial(requesters, self.store, settings.shard),
            enqueue=partial(self.enqueue, trigger="BuildChanged"),
            ended=self._build_ended,
            now=self._now,
            clock=self._clock,
            poll_seconds=settings.poll_seconds,
            sees_all_namespaces=not settings.namespaces and settings.shard.is_whole,
        )

    def _build_ended(self, endpoint_class: EphemeralEndpointClass, build: Build) -> None:
        policy = endpoint_class.spec.builds
        price = policy.code_build.price_per_minute if policy and policy.code_build else "0"
        usd = float(cost.of_build(build.seconds, price))
        self.metrics.build_ended(endpoint_class.metadata.name, build.result, build.seconds, usd)

    def _watch_metrics(self) -> None:
        store, takes = self.store, self._settings.shard.takes
        self.metrics.watch_ages(self._ages)
        self.metrics.count_objects(lambda kind: store.count(kind, takes), lambda: store.count_ready(takes))
        self.metrics.watch_summary(self._summary)
        self.metrics.watch_clocks(self._clocks.skews, self._brake.held)
        self.metrics.watch_pull_requests(self.reviews.pull_requests.held, self.reviews.connections.remaining)
        queue = self._queue
        self.metrics.watch_queue(lambda: queue.depth, lambda: len(queue), lambda: queue.longest_running)
        if self._settings.metrics_per_object:
            self.metrics.watch_objects(partial(store.readiness, takes), partial(store.votes, takes))

    def _summary(self) -> Summary:
        """The sums over this shard's objects, and over the classes if they are its work."""
        store, shard = self.store, self._settings.shard
        own = (endpoint for key, endpoint in store.endpoints() if shard.takes(key.namespace))
        known = (store.named_class(name) for name in store.class_names() if shard.is_first)
        classes, now = [*filter(None, known)], self._now()
        found = summary(((store.class_name_of(each), each) for each in own), classes, now)
        return replace(found, budgets=dict(self._budgets(classes, now)))

    def _budgets(
        self, classes: Iterable[EphemeralEndpointClass], now: datetime
    ) -> Iterator[tuple[tuple[str, str], tuple[float, float]]]:
        """How far the budgets of classes are spent, by the objects of all shards."""
        for each in classes:
            name = each.metadata.name
            of_class = [endpoint for _, endpoint in self.store.of_class(name)]
            for scope, (usd, limit) in furthest(each, of_class, now).items():
                yield (name, scope.value), (float(usd), float(limit))

    def _subjects(self) -> Iterator[tuple[ObjectKey, Subject]]:
        """This shard's objects, as far as they have a class."""
        for key, endpoint in self.store.endpoints():
            endpoint_class = self.store.named_class(self.store.class_name_of(endpoint) or "")
            if endpoint_class and self._settings.shard.takes(key.namespace):
                yield key, Subject(self._cluster_id, endpoint, endpoint_class)

    def _ages(self) -> dict[tuple[str, str, str], float]:
        return {
            (access.account, access.region, access.role.arn if access.role else ""): age
            for access, age in self.accounts.ages().items()
        }

    def _calls(self, access: Access) -> Calls:
        """The calls for an access, with threads of its own: an account that does not answer blocks no other."""
        if access not in self._pools:
            self._pools[access] = ThreadPoolExecutor(self._settings.aws_connections, "aws")
        limiter = Limiter(self._clock, share(LIMITS, self._settings.shard.count), group=self._namespace_of)
        return Calls(limiter, self._pools[access], self.metrics.aws_call)

    def _namespace_of(self, owner: str) -> str:
        """The namespace for which a call is made; classes and orphans belong to none."""
        key = self.store.by_owner(owner)
        return (key.namespace if key else None) or ""

    def _regular(self) -> list[Coroutine[Any, Any, None]]:
        settings, accounts = self._settings, self.accounts
        return [
            poll(accounts, settings.poll_seconds, self._clock, is_notified=self._events.is_heard),
            self._configmaps.run(),
            take_snapshots(accounts, settings.snapshot_seconds, self._clock),
            *self.reviews.tasks(),
            trim_regularly(),
            look_regularly(self.budgets),
            notice_jumps(self._now, self._clock, lambda: self._trigger(TimeJumped())),
            *(tuple(self._sweeps()) or (self.resync.run(settings.snapshot_seconds),)),
        ]

    def _sweeps(self) -> Iterator[Coroutine[Any, Any, None]]:
        settings = self._settings
        if settings.sweep is SweepMode.OFF or not settings.shard.is_first:
            return
        sweep = Sweep(
            settings,
            self.accounts,
            self.resync.objects,
            observer=self.metrics,
            enqueue=self._resources_changed,
            disagreement=self._clocks.disagreement,
            clock=self._clock,
            now=self._now,
        )
        yield sweep_regularly(sweep, settings.snapshot_seconds)
        if not settings.namespaces:
            # The images and packages that objects in other operators' namespaces name are not known.
            inventory = PackageInventory()
            images = ImageSweep(
                settings,
                self._cluster_id,
                store=self.store,
                accounts=self.accounts,
                packages=inventory,
                observer=self.metrics,
                disagreement=self._clocks.disagreement,
                now=self._now,
            )
            yield sweep_images_regularly(images, settings.snapshot_seconds)
            packages = PackageSweep(
                settings,
                self._cluster_id,
                store=self.store,
                accounts=self.accounts,
                inventory=inventory,
                observer=self.metrics,
                disagreement=self._clocks.disagreement,
                now=self._now,
            )
            yield sweep_packages_regularly(packages)
            trainings = TrainingSweep(
                settings,
                self._cluster_id,
                store=self.store,
                accounts=self.accounts,
                objects=self.resync.objects,
                observer=self.metrics,
                disagreement=self._clocks.disagreement,
                now=self._now,
            )
            yield sweep_trainings_regularly(trainings)
            executions = ExecutionSweep(
                settings,
                self._cluster_id,
                store=self.store,
                accounts=self.accounts,
                objects=self.resync.objects,
                observer=self.metrics,
                clock=self._clock,
                now=self._now,
            )
            yield sweep_executions_regularly(executions)

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
