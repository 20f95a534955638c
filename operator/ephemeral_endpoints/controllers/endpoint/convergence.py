"""The step that brings an object's resources to their desired state, and remembers failures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ephemeral_endpoints.aws.converge import converge
from ephemeral_endpoints.controllers.endpoint.gate import Gate
from ephemeral_endpoints.controllers.endpoint.reasons import DRIFT_REPAIRED
from ephemeral_endpoints.engine.backoff import SOON_ATTEMPTS
from ephemeral_endpoints.engine.drift import Drift, repair_message
from ephemeral_endpoints.engine.errors import AwsError, InProgress, ReconcileError, Unauthenticated
from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Update
from ephemeral_endpoints.engine.plan import Step as PlannedStep
from ephemeral_endpoints.engine.resources import Key
from ephemeral_endpoints.engine.retries import Retries
from ephemeral_endpoints.features.capacity.policy import makes_room
from ephemeral_endpoints.features.capacity.quotas import Quotas
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.serving.components import EndpointComponent
from ephemeral_endpoints.features.serving.observe import EndpointRecovery
from ephemeral_endpoints.features.serving.specs import ENDPOINT
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.kube.cache import Store
from ephemeral_endpoints.kube.client import Kube

_VERBS: Final = {Create: "create", Update: "update", Delete: "delete"}


@dataclass(slots=True)
class ConvergenceMemory:
    """Failures, drift, and steps that wait. ``waits`` are seconds, as of the last run."""

    retries: Retries[Key] = field(default_factory=Retries)
    drift: Drift = field(default_factory=Drift)
    held: Mapping[Key, ReconcileError] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    endpoints: frozenset[Key] = frozenset()
    """The endpoints that the object had at the last look."""


class Convergence(Step[ConvergenceMemory]):
    """Executes the planner's steps for an object. ``now`` is the time of day in UTC, ``clock`` monotonic seconds."""

    def __init__(  # noqa: PLR0913 - both edges, the gates of a step, and two clocks
        self,
        *,
        kube: Kube,
        store: Store,
        quotas: Quotas,
        recovery: EndpointRecovery,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(ConvergenceMemory)
        self._kube = kube
        self._store = store
        self._quotas = quotas
        self._recovery = recovery
        self._now = now
        self._clock = clock

    async def run(self, reconciliation: Reconciliation, desired: Callable[[], DesiredState]) -> None:
        """Take all steps that can be taken, and record on the reconciliation what exists and what failed.

        ``desired`` is called before every decision. Raises Unauthenticated, which concerns more than this object.
        """
        memory = self.memory(reconciliation.uid)
        self.release_capacity(reconciliation)
        reconciliation.seen.update(reconciliation.own)
        blocked = memory.retries.blocked(self._clock())
        errors, gate = dict(blocked), self._gate(reconciliation)
        view = await converge(
            reconciliation.account,
            reconciliation.owner,
            lambda: reconciliation.observe(desired()),
            errors,
            lambda step: self._took(reconciliation, step, gate),
            refusal=gate.refusal,
        )
        await self._report_repairs(reconciliation, gate)
        errors = {key: gate.judged(key, error) for key, error in errors.items()}
        memory.drift = gate.drift
        recreated = await self._recreate(reconciliation, gate)
        errors = {key: error for key, error in errors.items() if key not in recreated}
        self._note(memory, errors, held=gate.held, blocked=blocked)
        gate.conclude(view)
        memory.held, memory.waits = gate.held, [*gate.waits(), *([0.0] if recreated else [])]
        memory.drift = memory.drift.seen(view.desired, view.observed)
        reconciliation.errors, reconciliation.view = errors, reconciliation.observe(desired())

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        memory = self.memory(reconciliation.uid)
        retry = memory.retries.due(self._clock())
        return min(memory.waits if retry is None else [*memory.waits, retry], default=None)

    def lasting_errors(self, reconciliation: Reconciliation) -> dict[Key, ReconcileError]:
        """The errors of the last run, without those of resources that are busy for a moment."""
        failures = self.memory(reconciliation.uid).retries.failures
        return {
            key: error
            for key, error in reconciliation.errors.items()
            if not isinstance(error, InProgress) or (key in failures and failures[key].attempts > SOON_ATTEMPTS)
        }

    def retry(self, uid: str) -> None:
        """See ``Step``."""
        self.memory(uid).retries.keep_only(())

    def withdraw(self, reconciliation: Reconciliation) -> None:
        """The object waits for no capacity any more."""
        self._quotas.keep_only(reconciliation.account.scope, reconciliation.uid, ())

    def release_capacity(self, reconciliation: Reconciliation) -> None:
        """Enqueue the objects that wait for capacity in the account if an endpoint of the object is gone."""
        memory = self.memory(reconciliation.uid)
        existing = frozenset(key for key in reconciliation.own if key.kind is ENDPOINT)
        if memory.endpoints - existing:
            self._quotas.room(reconciliation.account.scope)
        memory.endpoints = existing

    def _gate(self, reconciliation: Reconciliation) -> Gate:
        generation = reconciliation.current(self._store).endpoint.metadata.generation
        return Gate(
            quotas=self._quotas,
            scope=reconciliation.account.scope,
            created_at=reconciliation.subject.created_at,
            uid=reconciliation.uid,
            drift=self.memory(reconciliation.uid).drift.of_generation(generation),
            now=self._now,
        )

    def _note(
        self,
        memory: ConvergenceMemory,
        errors: Mapping[Key, ReconcileError],
        *,
        held: Mapping[Key, ReconcileError],
        blocked: Mapping[Key, ReconcileError],
    ) -> None:
        for key, error in errors.items():
            if isinstance(error, Unauthenticated):
                raise error
            if key not in blocked and key not in held:
                memory.retries.note(key, error, self._clock())
        memory.retries.keep_only(errors)

    async def _report_repairs(self, reconciliation: Reconciliation, gate: Gate) -> None:
        if gate.repaired and not reconciliation.is_gone(self._store):
            message = repair_message(gate.repaired, gate.drift.repairs)
            raw = self._store.raw(reconciliation.key)
            await self._kube.event(raw, type_="Normal", reason=DRIFT_REPAIRED, message=message)

    async def _recreate(self, reconciliation: Reconciliation, gate: Gate) -> frozenset[Key]:
        """Have endpoints recreated whose update no quota has room for beside themselves; returns which ones."""
        component, found = reconciliation.account.component(EndpointComponent), set[Key]()
        for refused in list(gate.refused_updates):
            try:
                running = await component.running_instances(reconciliation.calls, refused.endpoint.name)
            except AwsError:
                # The refusal stands, and with the next one there is another look.
                continue
            if why := makes_room(refused.error, refused.demand, running):
                self._recovery.recreate(reconciliation, refused.endpoint, refused.config, why)
                gate.release(refused.endpoint)
                found.add(refused.endpoint)
        return frozenset(found)

    def _took(self, reconciliation: Reconciliation, step: PlannedStep, gate: Gate) -> None:
        gate.took(step)
        reconciliation.steps.append(f"{_VERBS[type(step)]} {step.key}")
        if _is_gone_for_good(reconciliation, step):
            reconciliation.seen.discard(step.key)
        else:
            reconciliation.seen.add(step.key)
        self.memory(reconciliation.uid).retries.clear(step.key)
        self._recovery.took(reconciliation, step)


def _is_gone_for_good(reconciliation: Reconciliation, step: PlannedStep) -> bool:
    """Whether AWS has just answered that a resource is gone, and no service creates it again."""
    is_gone = isinstance(step, Delete) and step.key not in reconciliation.account.inventory.all
    return is_gone and not step.key.kind.remade_by_services
