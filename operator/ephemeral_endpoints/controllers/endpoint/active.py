"""An active object: from its spec, its class and the observed state to a URL that answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.controllers.endpoint.convergence import Convergence
from ephemeral_endpoints.controllers.endpoint.report import Reporter, StatusInput
from ephemeral_endpoints.controllers.endpoint.tags import TagsStep
from ephemeral_endpoints.engine import conditions
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.features import stages
from ephemeral_endpoints.features.capacity.budget_step import BudgetStep
from ephemeral_endpoints.features.capacity.observe import RunningCosts
from ephemeral_endpoints.features.capacity.turns import Turns
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.images.builds.queues import Builds
from ephemeral_endpoints.features.images.collection import ImageCollector
from ephemeral_endpoints.features.images.observe import ImagesStep
from ephemeral_endpoints.features.images.policy import images_of
from ephemeral_endpoints.features.monitoring.last_lines import LastLinesStep
from ephemeral_endpoints.features.packages.step import PackagesStep
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.bases import base_of, second_of
from ephemeral_endpoints.features.routing.callers import admission, auth_type, refused_auth
from ephemeral_endpoints.features.routing.domain_step import DomainStep
from ephemeral_endpoints.features.routing.feedback.desired import refused_feedback
from ephemeral_endpoints.features.routing.feedback.kept import KeptVotesStep
from ephemeral_endpoints.features.routing.placements import PlacementStep
from ephemeral_endpoints.features.routing.policy import (
    PathState,
    refused_cors,
    refused_mode,
    refused_postprocess,
    refused_throttle,
)
from ephemeral_endpoints.features.routing.probe import ProbeStep
from ephemeral_endpoints.features.routing.results.desired import refused_results
from ephemeral_endpoints.features.routing.schemas import SchemasStep
from ephemeral_endpoints.features.routing.token import TokenStep
from ephemeral_endpoints.features.serving.environment import EnvironmentStep
from ephemeral_endpoints.features.serving.events import queue_name
from ephemeral_endpoints.features.serving.forms import changing_form
from ephemeral_endpoints.features.serving.observe import EndpointRecovery
from ephemeral_endpoints.features.serving.policy import refusal
from ephemeral_endpoints.features.serving.specs import ENDPOINT_READY
from ephemeral_endpoints.features.sleep.policy import Calls, Rest, rest_of
from ephemeral_endpoints.features.sleep.stage import activity, asleep, is_resting
from ephemeral_endpoints.features.stages import ConditionInput
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.features.subject import Resolved, Subject
from ephemeral_endpoints.features.training.step import TrainingStep
from ephemeral_endpoints.kube.cache import Store
from ephemeral_endpoints.kube.client import secret_name


@dataclass(frozen=True, slots=True)
class Active:
    """Reconciles active objects: the steps in their order, then the status.

    ``calls`` says when an object was called last, ``now`` is the time of day in UTC, and ``counted_at`` that by which
    it is told for how long an object was not used.
    """

    turns: Turns
    budgets: BudgetStep
    tags: TagsStep
    packages: PackagesStep
    images: ImagesStep
    training: TrainingStep
    environment: EnvironmentStep
    schemas: SchemasStep
    token: TokenStep
    placement: PlacementStep
    convergence: Convergence
    kept_votes: KeptVotesStep
    probe: ProbeStep
    domain: DomainStep
    last_lines: LastLinesStep
    recovery: EndpointRecovery
    follow_ups: Sequence[FollowUp[Any]]
    costs: RunningCosts
    builds: Builds
    collector: ImageCollector
    reporter: Reporter
    store: Store
    shard: Shard
    calls: Callable[[EphemeralEndpoint], Calls]
    now: Callable[[], datetime]
    counted_at: Callable[[], datetime]

    async def reconcile(self, reconciliation: Reconciliation) -> float | None:
        """Reconcile an active object; returns in how many seconds it is due again.

        Raises a ``ReconcileError`` that keeps all of it from being reconciled.
        """
        if reconciliation.subject.endpoint.spec.suspend:
            return await self._suspend(reconciliation)
        if waits_for := self.turns.wait(reconciliation):
            return await self._wait(reconciliation, waits_for)
        reading = (self.tags, self.packages, self.images, self.training, self.environment)
        for step in (*reading, self.schemas, self.token, self.placement):
            await step.run(reconciliation)
        await self.convergence.run(reconciliation, lambda: self._desired(reconciliation))
        await self.kept_votes.run(reconciliation)
        self.placement.release(reconciliation)
        if reconciliation.is_gone(self.store):
            return None
        if self._must_stop(reconciliation.current(self.store)):
            return 0.0
        if reconciliation.rest.is_stopped:
            self.probe.rest(reconciliation.uid)
        else:
            for check in (self.probe, self.domain, self.last_lines):
                await check.run(reconciliation)
        await self._report(reconciliation)
        self.placement.hand_over(reconciliation, is_proven=self.probe.has_answered(reconciliation))
        return 0.0 if self._tells_another_url(reconciliation) else self._due(reconciliation)

    def resolved(self, reconciliation: Reconciliation, subject: Subject) -> Resolved | None:
        """The values that the steps have resolved for the object; None before it was placed."""
        placement = self.placement.memory(reconciliation.uid)
        if placement.api is None:
            return None
        token = self.token.memory(reconciliation.uid)
        return Resolved(
            self.images.memory(reconciliation.uid).digests(subject.endpoint.revision),
            token.sha256,
            placement.api,
            owns_path=self.placement.path(reconciliation, subject).is_owned,
            environment=self.environment.memory(reconciliation.uid).variables,
            former_token=token.former,
            schemas=self.schemas.memory(reconciliation.uid).schemas,
            base=base_of(subject, self.store, self.now()),
            second=second_of(subject, self.store, self.now()),
            url=reconciliation.told_url(subject, placement.api),
            former_api=self.placement.former_api(reconciliation.uid),
            has_room=placement.has_room,
            asleep=reconciliation.rest.is_asleep,
            kept_asleep=reconciliation.rest.is_forced,
            queue=queue_name(subject.endpoint_class, self.shard),
            trained=self.training.data_url(reconciliation.uid, subject),
            refused=self.training.withdrawn_by(reconciliation.uid, subject) is not None,
        )

    async def _suspend(self, reconciliation: Reconciliation) -> float:
        subject = reconciliation.subject
        self.convergence.withdraw(reconciliation)
        self.builds.withdraw(reconciliation.key, subject.endpoint_class)
        if not reconciliation.own:
            self.turns.leave(reconciliation.key, reconciliation.uid)
        inputs = StatusInput(conditions.of_suspended(), own=reconciliation.own, subject=subject, keep_conditions=True)
        await self.reporter.update_status(reconciliation.key, subject.endpoint, inputs)
        return self._expires_in(subject)

    async def _wait(self, reconciliation: Reconciliation, cause: Cause) -> float:
        """Report what keeps an object that has nothing in AWS from having anything there."""
        subject = reconciliation.subject
        self.convergence.withdraw(reconciliation)
        self.builds.withdraw(reconciliation.key, subject.endpoint_class)
        inputs = StatusInput(conditions.of_waiting(cause), own=reconciliation.own, subject=subject)
        await self.reporter.update_status(reconciliation.key, subject.endpoint, inputs)
        return self._expires_in(subject)

    def _desired(self, reconciliation: Reconciliation) -> DesiredState:
        """The desired state of the object as it is now: it may have been changed or deleted meanwhile."""
        if reconciliation.is_gone(self.store):
            return DesiredState.absent()
        subject = reconciliation.current(self.store)
        reconciliation.rest = self._rest(reconciliation, subject)
        resolved = self.resolved(reconciliation, subject)
        if resolved is None or self._must_stop(subject):
            return DesiredState.unchanged()
        if reconciliation.derived is None or reconciliation.derived[:2] != (subject, resolved):
            reconciliation.derived = (subject, resolved, desired(subject, resolved))
        state = reconciliation.derived[-1]
        self.costs.note(reconciliation, state)
        return self.recovery.recover(reconciliation, subject, state)

    def _rest(self, reconciliation: Reconciliation, subject: Subject) -> Rest:
        is_busy = any(each.is_busy(reconciliation) for each in self.follow_ups)
        calls, forced = self.calls(subject.endpoint), self.budgets.rest(subject)
        return rest_of(subject, calls, self.counted_at(), is_busy=is_busy, forced=forced)

    def _must_stop(self, subject: Subject) -> bool:
        """Whether the object was deleted, has ended or was suspended during the reconciliation."""
        return subject.endpoint.spec.suspend or subject.is_terminating(self.now())

    async def _report(self, reconciliation: Reconciliation) -> None:
        subject, images = reconciliation.subject, self.images.memory(reconciliation.uid)
        package = self.packages.memory(reconciliation.uid).status
        path = self.placement.path(reconciliation, subject)
        given = self._condition_input(reconciliation, path)
        updates = stages.of_active(given)
        serves, url = updates[0].status is ConditionStatus.TRUE, self.probe.url(reconciliation)
        following = self._following(reconciliation)
        for each in following:
            await each.run(reconciliation, url if serves and not reconciliation.rest.is_stopped else None)
        further = (each.condition(reconciliation) for each in following)
        inputs = StatusInput(
            (*updates, *filter(None, (self._activity(reconciliation, updates), *further))),
            own={**reconciliation.view.own, **self.kept_votes.observed(reconciliation)},
            subject=subject,
            digests=images.digests(subject.endpoint.revision),
            url=self._shown_url(reconciliation),
            path=path,
            # With an error, the way and its callers stay as they were.
            auth=None if given.api_error else auth_type(subject),
            serves=serves,
            hourly_cost=self.costs.hourly(reconciliation),
            kept_types=frozenset(
                each.asks_model for each in self.follow_ups if each not in following if each.asks_model
            ),
            fields={
                **self.training.status(reconciliation),
                **{name: value for each in following for name, value in each.status(reconciliation).items()},
                **self._tagged_end(reconciliation),
                **({"package": package} if package else {}),
            },
            review={name: value for each in following for name, value in each.review(reconciliation).items()},
        )
        await self.reporter.update_status(reconciliation.key, subject.endpoint, inputs)
        if inputs.serves and images.replaced:
            await self.collector.collect_replaced(reconciliation)

    def _following(self, reconciliation: Reconciliation) -> tuple[FollowUp[Any], ...]:
        """The follow-ups that run: while the object is asleep, nothing is asked of its model."""
        return tuple(each for each in self.follow_ups if not (reconciliation.rest.is_asleep and each.asks_model))

    def _activity(self, reconciliation: Reconciliation, updates: Iterable[ConditionUpdate]) -> ConditionUpdate | None:
        serves = any(each.type == ENDPOINT_READY and each.status is ConditionStatus.TRUE for each in updates)
        is_changing = bool(changing_form(reconciliation.view.desired, reconciliation.view.own))
        return activity(reconciliation.subject, reconciliation.rest, serves=serves and not is_changing)

    def _tagged_end(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        """The end that the tags tell, while they do not tell the present one: the reaper goes by it, and so do people.

        Another process begins with it too, see ``TagsStep``.
        """
        told = reconciliation.subject.endpoint.status.expires_at
        return {} if told is None or self.tags.has_followed(reconciliation) else {"expires_at": told}

    def _tells_another_url(self, reconciliation: Reconciliation) -> bool:
        """Whether the status has another URL now than the parameter was given."""
        subject, shown = reconciliation.subject, self._shown_url(reconciliation)
        if not subject.endpoint_class.spec.parameters or reconciliation.derived is None or shown is None:
            return False
        told = reconciliation.current(self.store).endpoint.status.url
        return told == shown and reconciliation.derived[1].url != shown

    def _shown_url(self, reconciliation: Reconciliation) -> str | None:
        """The URL for callers: a new one once it has answered, if there is another that leads to the object still."""
        url, known = self.domain.url(reconciliation) or self.probe.url(reconciliation), reconciliation.subject.endpoint
        rests = reconciliation.rest.is_asleep or is_resting(known)
        if rests and not self.probe.has_answered(reconciliation):
            return known.status.url or url
        if self.placement.former_api(reconciliation.uid) is None or self.probe.has_answered(reconciliation):
            return url
        return known.status.url or url

    def _condition_input(self, reconciliation: Reconciliation, path: PathState) -> ConditionInput:
        subject, view = reconciliation.subject, reconciliation.view
        environment_error = self.environment.memory(reconciliation.uid).error
        api_error = self.schemas.memory(reconciliation.uid).error or self.placement.error(reconciliation)
        images, packages = self.images.memory(reconciliation.uid), self.packages.memory(reconciliation.uid)
        answer = self.probe.memory(reconciliation.uid).answer
        return ConditionInput(
            desired=view.desired,
            own=view.own,
            others=view.others,
            image=images.overall(images_of(subject)),
            errors=reconciliation.errors,
            problems=self._problems(subject, packages.error, images.error, environment_error, api_error),
            path=path,
            answered=self.probe.has_answered(reconciliation),
            answer=answer.message if answer else "",
            refusal=self.probe.refusal(reconciliation),
            last_lines=self.last_lines.memory(reconciliation.uid).lines,
            endpoints=self.recovery.states(reconciliation),
            environment_error=environment_error,
            api_error=api_error,
            note=subject.lifetime.note,
            admission=admission(subject, secret_name(subject.endpoint.metadata.name)),
            domain_note=self.domain.note(reconciliation),
            asleep=asleep(subject, reconciliation.rest) if reconciliation.rest.is_stopped else None,
            training=self.training.progress(reconciliation.uid),
            refused=self.training.withdrawn_by(reconciliation.uid, subject),
            package=packages.state,
            is_proven=subject.endpoint.status.revision == subject.endpoint.revision,
        )

    def _problems(self, subject: Subject, *found: ReconcileError | None) -> tuple[ReconcileError, ...]:
        """What is wrong with the object as a whole."""
        api, policy = subject.endpoint.spec.api, subject.endpoint_class.spec.routing
        refused = (
            refusal(subject),
            refused_auth(subject),
            refused_feedback(subject),
            refused_results(subject),
            *(each(api, policy) for each in (refused_cors, refused_postprocess, refused_throttle, refused_mode)),
        )
        return tuple(each for each in (*refused, *found) if each)

    def _due(self, reconciliation: Reconciliation) -> float:
        resolving = (self.tags, self.packages, self.images, self.training, self.environment)
        read = (*resolving, self.token, self.schemas, self.placement)
        after = (self.kept_votes, self.recovery, self.probe, self.domain, self.last_lines)
        steps: tuple[Step[Any], ...] = (*read, self.convergence, *after, *self._following(reconciliation))
        waits = [wait for step in steps if (wait := step.due(reconciliation)) is not None]
        return min([self._expires_in(reconciliation.subject), *self._rests_in(reconciliation), *waits])

    def _rests_in(self, reconciliation: Reconciliation) -> list[float]:
        """In how many seconds the object falls asleep or wakes by itself; by what was written, that may be now."""
        rest = self._rest(reconciliation, reconciliation.current(self.store))
        if rest.is_asleep is not reconciliation.rest.is_asleep:
            return [0.0]
        return [_seconds(rest.next_at - self.counted_at())] if rest.next_at else []

    def _expires_in(self, subject: Subject) -> float:
        return _seconds(subject.end.at - self.now())


def _seconds(wait: timedelta) -> float:
    return max(0.0, wait / timedelta(seconds=1))
