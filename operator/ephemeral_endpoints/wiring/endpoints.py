"""The controller of objects: its steps, and what works for them beside reconciliations."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ephemeral_endpoints.api.v1alpha1.checks import CheckRun
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.controllers.endpoint.active import Active
from ephemeral_endpoints.controllers.endpoint.controller import EndpointController
from ephemeral_endpoints.controllers.endpoint.convergence import Convergence
from ephemeral_endpoints.controllers.endpoint.finalize import Finalizer
from ephemeral_endpoints.controllers.endpoint.report import Reporter
from ephemeral_endpoints.controllers.endpoint.retain import Retainer
from ephemeral_endpoints.controllers.endpoint.tags import TagsStep
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.features.capacity import cost
from ephemeral_endpoints.features.capacity.budget_step import BudgetStep
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
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.images.builds.builders import Builders, requesters
from ephemeral_endpoints.features.images.builds.policy import Build
from ephemeral_endpoints.features.images.builds.queue import BuildQueueDeps
from ephemeral_endpoints.features.images.builds.queues import Builds
from ephemeral_endpoints.features.images.collection import ImageCollector
from ephemeral_endpoints.features.images.observe import ImagesStep
from ephemeral_endpoints.features.monitoring.last_lines import LastLinesStep
from ephemeral_endpoints.features.notifications.expiring import ExpiringStep
from ephemeral_endpoints.features.packages.step import PackagesStep
from ephemeral_endpoints.features.routing.capture.step import CaptureStep
from ephemeral_endpoints.features.routing.domain_step import DomainStep
from ephemeral_endpoints.features.routing.feedback.kept import KeptVotesStep
from ephemeral_endpoints.features.routing.feedback.step import FeedbackStep
from ephemeral_endpoints.features.routing.placements import PlacementStep
from ephemeral_endpoints.features.routing.postprocessing.step import PostprocessStep
from ephemeral_endpoints.features.routing.probe import Probe, ProbeStep
from ephemeral_endpoints.features.routing.schemas import SchemasStep
from ephemeral_endpoints.features.routing.token import TokenStep
from ephemeral_endpoints.features.runs import Runs
from ephemeral_endpoints.features.serving.environment import EnvironmentStep
from ephemeral_endpoints.features.serving.observe import EndpointRecovery
from ephemeral_endpoints.features.training.step import TrainingStep
from ephemeral_endpoints.kube.cache import ObjectKey
from ephemeral_endpoints.wiring.base import Base
from ephemeral_endpoints.wiring.services import Services


class Endpoints:
    """The steps of objects, by what they do, and the controllers of living and ending objects from them."""

    def __init__(self, base: Base, services: Services, probe: Probe) -> None:
        self._base = base
        self._services = services
        store, clock, now = base.store, base.clock, base.now
        self.builds = Builds(self._build_queue_deps())
        self._images = ImagesStep(self.builds, base.enqueue_by("RepositoryNeeded"), clock)
        self.trainings = TrainingStep(
            self._images,
            services.configmaps,
            is_heard=services.events.is_heard,
            enqueue=base.enqueue_by("TrainingChanged"),
            clock=clock,
        )
        self._token = TokenStep(base.kube, store, clock, now)
        self._schemas = SchemasStep(services.configmaps, clock)
        self._placement = PlacementStep(services.placements, store, base.enqueue_by("ApiNeeded"), now)
        self._urls = ProbeStep(probe, self._token, self._placement, clock)
        self._domain = DomainStep(probe, self._urls, self._placement, services.domains, clock)
        self._costs, self._tags = RunningCosts(), TagsStep(clock)
        self._turns = Turns(store, base.enqueue_by("TurnChanged"), now)
        self.budgets = BudgetStep(base.kube, store, base.subjects, base.enqueue_by("BudgetReached"), base.clocks.likely)
        self._checks = self._checks_step()
        self._comparisons: Runs[Outcome] = Runs(base.enqueue_by("ComparisonEnded"), most=MOST_COMPARISONS)
        self._recovery = EndpointRecovery(self._costs.describe, now)
        self._convergence = self._converging()
        self._collector = ImageCollector(
            self._images, self.builds, store, clock, sees_all_namespaces=not base.settings.namespaces
        )
        listeners = (BaseListener(base.trigger), services.reviews.publisher, services.notifier)
        self._reporter = Reporter(base.kube, store, base.clocks.likely, listeners)

    def controller(self, accounts: Accounts, triggers: Callable[[ObjectKey], tuple[str, ...]]) -> EndpointController:
        """What reconciles objects; ``triggers`` are the reasons for which one is reconciled."""
        base, services = self._base, self._services
        finalizer = self._finalizer()
        return EndpointController(
            base.cluster_id,
            accounts,
            self._active(),
            finalizer,
            Retainer(finalizer, self._tags, base.clock),
            activities=services.activities,
            counted_at=base.clocks.likely,
            annotate=(services.reviews.pull_request_step.annotate, self.budgets.annotate),
            now=base.now,
            clock=base.clock,
            triggers=triggers,
        )

    async def stop(self) -> None:
        """End what works beside reconciliations."""
        await self._checks.stop()
        await self._comparisons.stop()
        await self.builds.stop()

    def _active(self) -> Active:
        base, services, clock = self._base, self._services, self._base.clock
        return Active(
            turns=self._turns,
            budgets=self.budgets,
            tags=self._tags,
            packages=PackagesStep(services.packages, services.events.is_registry_heard, clock),
            images=self._images,
            training=self.trainings,
            environment=EnvironmentStep(services.configmaps),
            schemas=self._schemas,
            token=self._token,
            placement=self._placement,
            convergence=self._convergence,
            kept_votes=KeptVotesStep(clock),
            probe=self._urls,
            domain=self._domain,
            last_lines=LastLinesStep(self._recovery, clock),
            recovery=self._recovery,
            follow_ups=self._follow_ups(),
            costs=self._costs,
            builds=self.builds,
            collector=self._collector,
            reporter=self._reporter,
            store=base.store,
            shard=base.settings.shard,
            calls=services.calls.of,
            now=base.now,
            counted_at=base.clocks.likely,
        )

    def _follow_ups(self) -> tuple[FollowUp[Any], ...]:
        base, reviews = self._base, self._services.reviews
        return (
            reviews.pull_request_step,
            self.budgets,
            self._checks,
            self._comparison_step(),
            FeedbackStep(base.clock),
            PostprocessStep(base.store, base.now),
            CaptureStep(base.enqueue_by("CaptureNeeded")),
            ExpiringStep(base.now),
            reviews.publication_step,
        )

    def _finalizer(self) -> Finalizer:
        base, services = self._base, self._services
        return Finalizer(
            turns=self._turns,
            ledger=Ledger(base.kube, base.store, base.settings.shard, base.clocks.likely),
            convergence=self._convergence,
            placement=self._placement,
            training=self.trainings,
            collector=self._collector,
            reporter=self._reporter,
            kube=base.kube,
            store=base.store,
            brake=services.brake,
            enqueue=base.enqueue_by("ObjectGone"),
            show_end=services.reviews.publisher.show_end,
            now=base.now,
        )

    def _converging(self) -> Convergence:
        base = self._base
        quotas = Quotas(
            lambda uid: base.store.by_owner(owner_hash(uid)), base.enqueue_by("CapacityReleased"), base.clock
        )
        return Convergence(
            kube=base.kube, store=base.store, quotas=quotas, recovery=self._recovery, now=base.now, clock=base.clock
        )

    def _comparison_step(self) -> ComparisonStep:
        base = self._base
        return ComparisonStep(
            self._comparisons,
            ModelClient(base.session, base.clock, PURPOSE),
            self._token,
            kube=base.kube,
            store=base.store,
            now=base.now,
            clock=base.clock,
        )

    def _checks_step(self) -> ChecksStep:
        base, configmaps = self._base, self._services.configmaps
        image = base.settings.image
        jobs = LoadJobs(base.kube.api, image) if image else None
        return ChecksStep(
            Runner(ModelClient(base.session, base.clock, PURPOSE), base.clock),
            Runs[CheckRun](base.enqueue_by("ChecksEnded"), most=OBJECTS_AT_ONCE),
            self._token,
            configmaps,
            base.now,
            clock=base.clock,
            load=LoadRunner(base.cluster_id, jobs, base.store, base.clock),
            contracts=Contracts(base.store, configmaps, self._schemas),
        )

    def _build_queue_deps(self) -> BuildQueueDeps:
        base, settings = self._base, self._base.settings
        return BuildQueueDeps(
            builder=Builders(base.cluster_id, base.kube.api, base.now).of,
            wanting=partial(requesters, base.store, settings.shard),
            enqueue=base.enqueue_by("BuildChanged"),
            ended=self._build_ended,
            is_heard=self._services.events.is_heard,
            now=base.now,
            clock=base.clock,
            poll_seconds=settings.poll_seconds,
            sees_all_namespaces=not settings.namespaces and settings.shard.is_whole,
        )

    def _build_ended(self, endpoint_class: EphemeralEndpointClass, build: Build) -> None:
        policy = endpoint_class.spec.builds
        price = policy.code_build.price_per_minute if policy and policy.code_build else "0"
        usd = float(cost.of_build(build.seconds, price))
        self._base.metrics.build_ended(endpoint_class.metadata.name, build.result, build.seconds, usd)
