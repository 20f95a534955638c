"""An active object: from its spec, its class and the observed state to a URL that answers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ephemeral_endpoints.controllers.endpoint.convergence import Convergence
from ephemeral_endpoints.controllers.endpoint.report import Reporter, StatusInput
from ephemeral_endpoints.controllers.endpoint.tags import TagsStep
from ephemeral_endpoints.engine import conditions
from ephemeral_endpoints.engine.conditions import ConditionStatus
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.features import stages
from ephemeral_endpoints.features.capacity.observe import RunningCosts
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.images.builds.queues import Builds
from ephemeral_endpoints.features.images.collection import ImageCollector
from ephemeral_endpoints.features.images.observe import ImagesStep
from ephemeral_endpoints.features.images.policy import images_of
from ephemeral_endpoints.features.monitoring.last_lines import LastLinesStep
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.desired import needs_token
from ephemeral_endpoints.features.routing.placements import PlacementStep
from ephemeral_endpoints.features.routing.policy import PathState
from ephemeral_endpoints.features.routing.probe import ProbeStep
from ephemeral_endpoints.features.routing.token import TokenStep
from ephemeral_endpoints.features.serving.environment import EnvironmentStep
from ephemeral_endpoints.features.serving.observe import EndpointRecovery
from ephemeral_endpoints.features.serving.policy import refusal
from ephemeral_endpoints.features.stages import ConditionInput
from ephemeral_endpoints.features.subject import Resolved, Subject
from ephemeral_endpoints.kube.cache import Store
from ephemeral_endpoints.kube.client import secret_name


@dataclass(frozen=True, slots=True)
class Active:
    """Reconciles active objects: the steps in their order, then the status. ``now`` is the time of day in UTC."""

    tags: TagsStep
    images: ImagesStep
    environment: EnvironmentStep
    token: TokenStep
    placement: PlacementStep
    convergence: Convergence
    probe: ProbeStep
    last_lines: LastLinesStep
    recovery: EndpointRecovery
    costs: RunningCosts
    builds: Builds
    collector: ImageCollector
    reporter: Reporter
    store: Store
    now: Callable[[], datetime]

    async def reconcile(self, reconciliation: Reconciliation) -> float | None:
        """Reconcile an active object; returns in how many seconds it is due again.

        Raises a ``ReconcileError`` that keeps all of it from being reconciled.
        """
        if reconciliation.subject.endpoint.spec.suspend:
            return await self._suspend(reconciliation)
        for step in (self.tags, self.images, self.environment, self.token, self.placement):
            await step.run(reconciliation)
        await self.convergence.run(reconciliation, lambda: self._desired(reconciliation))
        self.placement.release(reconciliation)
        if reconciliation.is_gone(self.store):
            return None
        if self._must_stop(reconciliation.current(self.store)):
            return 0.0
        for check in (self.probe, self.last_lines):
            await check.run(reconciliation)
        await self._report(reconciliation)
        return self._due(reconciliation)

    def resolved(self, reconciliation: Reconciliation, subject: Subject) -> Resolved | None:
        """The values that the steps have resolved for the object; None before it was placed."""
        placement = self.placement.memory(reconciliation.uid)
        if placement.api is None:
            return None
        return Resolved(
            self.images.memory(reconciliation.uid).digests(subject.endpoint.spec.source.revision),
            self.token.memory(reconciliation.uid).sha256,
            placement.api,
            owns_path=self.placement.path(reconciliation, subject).is_owned,
            environment=self.environment.memory(reconciliation.uid).variables,
        )

    async def _suspend(self, reconciliation: Reconciliation) -> float:
        subject = reconciliation.subject
        self.convergence.withdraw(reconciliation)
        self.builds.withdraw(reconciliation.key, subject.endpoint_class)
        inputs = StatusInput(conditions.of_suspended(), own=reconciliation.own, subject=subject, keep_conditions=True)
        await self.reporter.update_status(reconciliation.key, subject.endpoint, inputs)
        return self._expires_in(subject)

    def _desired(self, reconciliation: Reconciliation) -> DesiredState:
        """The desired state of the object as it is now: it may have been changed or deleted meanwhile."""
        if reconciliation.is_gone(self.store):
            return DesiredState.absent()
        subject = reconciliation.current(self.store)
        resolved = self.resolved(reconciliation, subject)
        if resolved is None or self._must_stop(subject):
            return DesiredState.unchanged()
        if reconciliation.derived is None or reconciliation.derived[:2] != (subject, resolved):
            reconciliation.derived = (subject, resolved, desired(subject, resolved))
        state = reconciliation.derived[-1]
        self.costs.note(reconciliation, state)
        return self.recovery.recover(reconciliation, subject, state)

    def _must_stop(self, subject: Subject) -> bool:
        """Whether the object was deleted, expired or suspended during the reconciliation."""
        return subject.endpoint.spec.suspend or subject.is_terminating(self.now())

    async def _report(self, reconciliation: Reconciliation) -> None:
        subject, images = reconciliation.subject, self.images.memory(reconciliation.uid)
        path = self.placement.path(reconciliation, subject)
        updates = stages.of_active(self._condition_input(reconciliation, path))
        inputs = StatusInput(
            updates,
            own=reconciliation.view.own,
            subject=subject,
            digests=images.digests(subject.endpoint.spec.source.revision),
            url=self.probe.url(reconciliation),
            path=path,
            serves=updates[0].status is ConditionStatus.TRUE,
            hourly_cost=self.costs.hourly(reconciliation),
        )
        await self.reporter.update_status(reconciliation.key, subject.endpoint, inputs)
        if inputs.serves and images.replaced:
            await self.collector.collect_replaced(reconciliation)

    def _condition_input(self, reconciliation: Reconciliation, path: PathState) -> ConditionInput:
        subject, view = reconciliation.subject, reconciliation.view
        environment_error = self.environment.memory(reconciliation.uid).error
        images = self.images.memory(reconciliation.uid)
        answer = self.probe.memory(reconciliation.uid).answer
        return ConditionInput(
            desired=view.desired,
            own=view.own,
            others=view.others,
            image=images.overall(images_of(subject)),
            errors=reconciliation.errors,
            problems=tuple(problem for problem in (refusal(subject), images.error, environment_error) if problem),
            path=path,
            answered=self.probe.has_answered(reconciliation),
            answer=answer.message if answer else "",
            refusal=self.probe.refusal(reconciliation),
            last_lines=self.last_lines.memory(reconciliation.uid).lines,
            endpoints=self.recovery.states(reconciliation),
            environment_error=environment_error,
            note=_note(subject),
            token_secret=secret_name(subject.endpoint.metadata.name) if needs_token(subject) else None,
        )

    def _due(self, reconciliation: Reconciliation) -> float:
        steps = (self.tags, self.images, self.environment, self.convergence, self.recovery, self.probe, self.last_lines)
        waits = [wait for step in steps if (wait := step.due(reconciliation)) is not None]
        return min([self._expires_in(reconciliation.subject), *waits])

    def _expires_in(self, subject: Subject) -> float:
        return max(0.0, (subject.lifetime.expires_at - self.now()) / timedelta(seconds=1))


def _note(subject: Subject) -> str:
    if not subject.lifetime.capped:
        return ""
    return "spec.lifecycle.ttl is longer than the class allows: the class's maxTtl applies"
