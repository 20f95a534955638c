"""Whether a step may be taken now: capacity in the account is given in turn, and repairs of drift are paced."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.engine.drift import Drift
from ephemeral_endpoints.engine.errors import Contested, QuotaExceeded, ReconcileError
from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Step, Update, View
from ephemeral_endpoints.engine.resources import Key, Phase
from ephemeral_endpoints.features.capacity.cost import capacities
from ephemeral_endpoints.features.capacity.policy import Claim, Demand, demand_of
from ephemeral_endpoints.features.capacity.quotas import Quotas
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG, EndpointConfigSpec, EndpointSpec


@dataclass(frozen=True, slots=True)
class RefusedUpdate:
    """An update of an endpoint to ``config`` that AWS refused for a quota."""

    endpoint: Key
    config: str
    demand: Demand
    error: QuotaExceeded


@dataclass(slots=True)
class Gate:
    """Judges the steps of one reconciliation of one object. ``now`` is the time of day in UTC.

    ``held`` are the steps that wait, by resource; ``repaired`` are those that reverted changes by other callers.
    ``drift`` is what is known of the object's drift after them. ``refused_updates`` are those that AWS refused for a
    quota in this reconciliation.
    """

    quotas: Quotas
    scope: Scope
    created_at: datetime
    uid: str
    drift: Drift
    now: Callable[[], datetime]
    held: dict[Key, ReconcileError] = field(default_factory=dict)
    repaired: list[Step] = field(default_factory=list)
    refused_updates: list[RefusedUpdate] = field(default_factory=list)
    _tried: dict[Key, tuple[Create | Update, Demand]] = field(default_factory=dict)

    def refusal(self, step: Step, desired: DesiredState) -> ReconcileError | None:
        """Why a step must wait; None if it may be taken."""
        problem = self.drift.refusal(step, self.now()) or self._no_capacity(step, desired)
        if problem:
            self.held[step.key] = problem
        return problem

    def took(self, step: Step) -> None:
        """A step was taken."""
        if self.drift.is_repair(step):
            self.repaired.append(step)
        self.drift = self.drift.taken(step, self.now())

    def judged(self, key: Key, error: ReconcileError) -> ReconcileError:
        """The error to report: an endpoint for which AWS has no capacity joins the queue, if it can ever get it."""
        if key in self.held or key not in self._tried or not isinstance(error, QuotaExceeded):
            return self.held.get(key, error)
        step, demand = self._tried[key]
        is_update = isinstance(step, Update)
        reported = self.quotas.refused(self.scope, self._claim(key), demand, error, holds=is_update)
        if isinstance(reported, QuotaExceeded):
            self.held[key] = reported
            if is_update and isinstance(step.resource.spec, EndpointSpec):
                self.refused_updates.append(RefusedUpdate(key, step.resource.spec.config, demand, error))
        return reported

    def release(self, key: Key) -> None:
        """The step does not wait for its quota any more: it is not going to be taken."""
        del self.held[key]

    def conclude(self, view: View) -> None:
        """All steps were judged: those not held do not wait for capacity any more.

        Room stays reserved for endpoints until they exist again.
        """
        waiting = {key for key, problem in self.held.items() if isinstance(problem, QuotaExceeded)}
        desired = {resource.key for resource in view.desired.resources}
        reserved = {
            key
            for key in self.quotas.reserved(self.scope, self.uid)
            if (key in desired or view.desired.keeps(key.kind))
            and (key not in view.own or view.own[key].phase is Phase.DELETING)
        }
        self.quotas.keep_only(self.scope, self.uid, waiting, reserved)

    def waits(self) -> list[float]:
        """In how many seconds the held steps may be taken."""
        repairs = self.drift.repairs
        contested = (repairs[key].next_at() for key, problem in self.held.items() if isinstance(problem, Contested))
        room = self.quotas.due(self.scope, self.uid)
        pauses = [max(0.0, (moment - self.now()) / timedelta(seconds=1)) for moment in contested]
        return pauses if room is None else [*pauses, room]

    def _no_capacity(self, step: Step, desired: DesiredState) -> ReconcileError | None:
        if step.key.kind is not ENDPOINT:
            return None
        resources = {resource.key: resource.spec for resource in desired.resources}
        spec = resources.get(step.key)
        if not isinstance(spec, EndpointSpec):
            return None
        config = resources.get(Key(ENDPOINT_CONFIG, spec.config))
        demand = demand_of(capacities(config)) if isinstance(config, EndpointConfigSpec) else {}
        claim = self._claim(step.key)
        if isinstance(step, Delete):
            # It is created again: others must not take the room that it gives up.
            self.quotas.reserve(self.scope, claim, demand)
            return None
        self._tried[step.key] = (step, demand)
        return self.quotas.refusal(self.scope, claim, demand, holds=isinstance(step, Update))

    def _claim(self, endpoint: Key) -> Claim:
        return Claim(self.created_at, self.uid, endpoint)
