"""Whether a step may be taken now: room in the account goes round in turn, and nobody is fought over every second."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.core.cost import capacities
from ephemeral_endpoints.core.errors import Contested, Problem, QuotaExceeded
from ephemeral_endpoints.core.plan import Delete, Desired, Step
from ephemeral_endpoints.core.quotas import Claim, demand
from ephemeral_endpoints.core.resources import EndpointConfigSpec, EndpointSpec, Key, Kind
from ephemeral_endpoints.reconcile.memory import Memory
from ephemeral_endpoints.reconcile.quotas import Quotas


@dataclass(slots=True)
class Gate:
    """Judges the steps of one reconciliation of one object. ``now`` is the time of day in UTC.

    ``held`` are the steps that wait, by what they act on; ``repaired`` are those that undid what somebody else did.
    """

    quotas: Quotas
    scope: Scope
    created_at: datetime
    uid: str
    memory: Memory
    now: Callable[[], datetime]
    held: dict[Key, Problem] = field(default_factory=dict)
    repaired: list[Step] = field(default_factory=list)

    def refusal(self, step: Step, desired: Desired) -> Problem | None:
        """Why a step must wait; None if it may be taken."""
        problem = self.memory.drift.refusal(step, self.now()) or self._no_room(step, desired)
        if problem:
            self.held[step.key] = problem
        return problem

    def took(self, step: Step) -> None:
        """A step was taken."""
        if self.memory.drift.is_repair(step):
            self.repaired.append(step)
        self.memory.drift = self.memory.drift.taken(step, self.now())

    def judged(self, key: Key, error: Problem) -> Problem:
        """What to tell of an error: an endpoint for which AWS has no room queues up."""
        if key.kind is Kind.ENDPOINT and key not in self.held and isinstance(error, QuotaExceeded):
            self.held[key] = self.quotas.refused(self.scope, self._claim(key), error)
        return self.held.get(key, error)

    def conclude(self) -> None:
        """All steps were judged: what was not held waits for no room any more."""
        waiting = {key for key, problem in self.held.items() if isinstance(problem, QuotaExceeded)}
        self.quotas.keep_only(self.scope, self.uid, waiting)

    def waits(self) -> list[float]:
        """In how many seconds what is held may be taken."""
        repairs = self.memory.drift.repairs
        contested = (repairs[key].next_at() for key, problem in self.held.items() if isinstance(problem, Contested))
        room = self.quotas.due(self.scope, self.uid)
        pauses = [max(0.0, (moment - self.now()) / timedelta(seconds=1)) for moment in contested]
        return pauses if room is None else [*pauses, room]

    def _no_room(self, step: Step, desired: Desired) -> Problem | None:
        if isinstance(step, Delete) or not isinstance(step.want.spec, EndpointSpec):
            return None
        config = Key(Kind.ENDPOINT_CONFIG, step.want.spec.config)
        spec = next((want.spec for want in desired.wants if want.key == config), None)
        demanded = demand(capacities(spec)) if isinstance(spec, EndpointConfigSpec) else frozenset()
        return self.quotas.refusal(self.scope, self._claim(step.key), demanded)

    def _claim(self, endpoint: Key) -> Claim:
        return Claim(self.created_at, self.uid, endpoint)
