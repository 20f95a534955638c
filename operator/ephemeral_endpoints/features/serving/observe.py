"""The endpoints of an active object: which failed, which are retried and when, and which take too long."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.engine.plan import DesiredState, Update
from ephemeral_endpoints.engine.plan import Step as PlannedStep
from ephemeral_endpoints.engine.resources import FAILURES, Key, ObservedResource
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.serving.failure_classes import RetryPolicy
from ephemeral_endpoints.features.serving.failures import Endpoints, stuck_message
from ephemeral_endpoints.features.serving.hosting import longest_start
from ephemeral_endpoints.features.serving.recovery import EndpointHistory, Recovery, RecoveryInput, recover
from ephemeral_endpoints.features.serving.recreation import Recreation
from ephemeral_endpoints.features.serving.rollout import Rollout
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG, EndpointSpec
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.features.subject import Subject

LONGEST_PAUSE: Final = RetryPolicy().longest

CLOCK_SKEW: Final = timedelta(minutes=1)
"""By how much this machine's clock may be ahead of AWS's."""

DescribeCost = Callable[[Reconciliation, Collection[ObservedResource]], str]
"""The cost of some endpoints of the object, in words that follow "it costs"."""


@dataclass(slots=True)
class EndpointMemory:
    """The memory of one object's endpoints, and the last conclusion from them."""

    history: EndpointHistory = field(default_factory=EndpointHistory)
    given_up: frozenset[Key] = frozenset()
    stuck: tuple[ObservedResource, ...] = ()
    next_at: datetime | None = None

    def conclude(self, recovery: Recovery) -> None:
        """Remember what was concluded, without the desired state, which is large and derived anew each time."""
        self.history, self.given_up = recovery.history, recovery.given_up
        self.stuck, self.next_at = recovery.stuck, recovery.next_at


class EndpointRecovery(Step[EndpointMemory]):
    """Decides whether failed endpoints are retried or given up. ``now`` is the time of day in UTC."""

    def __init__(self, describe_cost: DescribeCost, now: Callable[[], datetime]) -> None:
        super().__init__(EndpointMemory)
        self._describe_cost = describe_cost
        self._now = now

    def recover(self, reconciliation: Reconciliation, subject: Subject, desired: DesiredState) -> DesiredState:
        """The desired state, without changes that SageMaker gave up, and with failed ones retried when due."""
        memory, policy = self.memory(reconciliation.uid), subject.endpoint_class.spec.endpoints
        longest = max(LONGEST_PAUSE, policy.retry_after)
        given = RecoveryInput(
            now=self._now(),
            generation=subject.endpoint.metadata.generation,
            asked_at=reconciliation.subject.endpoint.metadata.annotations.get(RECONCILE_AT_ANNOTATION),
            retry_policy=RetryPolicy(policy.creation_attempts, policy.retry_after, longest),
            timeout=max(policy.creation_timeout, longest_start(subject)),
        )
        recovery = recover(desired, reconciliation.own, memory.history, given)
        memory.conclude(recovery)
        return recovery.desired

    def took(self, reconciliation: Reconciliation, step: PlannedStep) -> None:
        """A step was taken: an accepted update of an endpoint begins a rollout."""
        if isinstance(step, Update) and isinstance(step.resource.spec, EndpointSpec):
            memory = self.memory(reconciliation.uid)
            memory.history = memory.history.updating(step.observed, step.resource.spec.config, self._now())

    def recreate(self, reconciliation: Reconciliation, endpoint: Key, config: str, why: str) -> None:
        """Have the endpoint deleted and created with a configuration that it cannot be updated to."""
        memory = self.memory(reconciliation.uid)
        memory.history = memory.history.recreating(endpoint, Recreation(config, why, self._now()))

    def states(self, reconciliation: Reconciliation) -> Endpoints:
        """The state of the endpoints beyond the inventory."""
        memory = self.memory(reconciliation.uid)
        stuck = " ".join(self._stuck(reconciliation, endpoint) for endpoint in memory.stuck)
        recreated = {key: each.message for key, each in memory.history.recreations.items()}
        return Endpoints(memory.given_up, memory.history.attempts, stuck, recreated)

    def failing(self, reconciliation: Reconciliation) -> ObservedResource | None:
        """The first endpoint that failed, was given up, or takes too long."""
        memory = self.memory(reconciliation.uid)
        concerned = memory.given_up | {each.key for each in memory.stuck}
        own = reconciliation.own
        endpoints = (own[key] for key in sorted(own) if key.kind is ENDPOINT)
        return next((each for each in endpoints if each.phase in FAILURES or each.key in concerned), None)

    def failed_since(self, reconciliation: Reconciliation, endpoint: ObservedResource) -> datetime | None:
        """When the endpoint's attempt that failed began, or no later than that; None if it is not known."""
        rollout = self.memory(reconciliation.uid).history.rollouts.get(endpoint.key, Rollout())
        if rollout.failed and rollout.begun_at:
            return rollout.begun_at - CLOCK_SKEW
        config = rollout.failed or (endpoint.spec.config if isinstance(endpoint.spec, EndpointSpec) else "")
        # A configuration is made for the first attempt with it.
        made = reconciliation.own.get(Key(ENDPOINT_CONFIG, config))
        return made.since if made else None

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        next_at = self.memory(reconciliation.uid).next_at
        return None if next_at is None else max(0.0, (next_at - self._now()) / timedelta(seconds=1))

    def _stuck(self, reconciliation: Reconciliation, endpoint: ObservedResource) -> str:
        timeout = reconciliation.subject.endpoint_class.spec.endpoints.creation_timeout
        return stuck_message(endpoint, timeout, self._describe_cost(reconciliation, [endpoint]))
