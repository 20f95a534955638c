"""Recovery of failed endpoints: which rollouts are given up, which attempts are repeated, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources
from ephemeral_endpoints.features.serving.attempts import AttemptState, AttemptTarget, stuck_at
from ephemeral_endpoints.features.serving.failure_classes import RetryPolicy
from ephemeral_endpoints.features.serving.recreation import Recreation, recreating, recreations
from ephemeral_endpoints.features.serving.rollout import Rollout
from ephemeral_endpoints.features.serving.specs import ENDPOINT_CONFIG, SERVING_KINDS, EndpointSpec


@dataclass(frozen=True, slots=True)
class EndpointHistory:
    """The remembered rollouts, attempts and recreations of one object's endpoints."""

    rollouts: Mapping[Key, Rollout] = field(default_factory=dict)
    attempts: Mapping[Key, AttemptState] = field(default_factory=dict)
    recreations: Mapping[Key, Recreation] = field(default_factory=dict)

    def of(self, own: ObservedResources) -> Self:
        """The part that concerns these existing endpoints, whether they are desired or not."""
        return type(self)(
            {key: each for key, each in self.rollouts.items() if key in own},
            {key: each for key, each in self.attempts.items() if key in own},
            self.recreations,
        )

    def joined(self, rollouts: Mapping[Key, Rollout], attempts: Mapping[Key, AttemptState]) -> Self:
        """The history updated with a newer one."""
        return replace(self, rollouts={**self.rollouts, **rollouts}, attempts={**self.attempts, **attempts})

    def recreating(self, endpoint: Key, recreation: Recreation) -> Self:
        """Record that the endpoint is to be recreated."""
        return replace(self, recreations={**self.recreations, endpoint: recreation})

    def updating(self, endpoint: ObservedResource, config: str, now: datetime) -> Self:
        """Record that AWS accepted an update of the endpoint."""
        begun = self.rollouts.get(endpoint.key, Rollout()).begun(config, endpoint.version, now)
        return replace(self, rollouts={**self.rollouts, endpoint.key: begun})


@dataclass(frozen=True, slots=True)
class RecoveryInput:
    """The time of the evaluation, and the retry policy of the class.

    ``asked_at`` is the object's ``reconcile-at`` annotation.
    """

    now: datetime
    generation: int
    asked_at: str | None = None
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Recovery:
    """The result: the desired state, the history to remember, and when to evaluate again, if by itself.

    ``given_up`` are endpoints whose rollout SageMaker rolled back and that are not to be updated now, ``stuck`` those
    whose change takes too long.
    """

    desired: DesiredState
    history: EndpointHistory
    given_up: frozenset[Key] = frozenset()
    stuck: tuple[ObservedResource, ...] = ()
    next_at: datetime | None = None


def recover(wanted: DesiredState, own: ObservedResources, history: EndpointHistory, moment: RecoveryInput) -> Recovery:
    """Decide from the observed endpoints."""
    resources = {
        resource.key: resource.spec for resource in wanted.resources if isinstance(resource.spec, EndpointSpec)
    }
    rollouts = {key: _rollout(key, resources, own, history, moment) for key in resources}
    rolled_back = frozenset(key for key, spec in resources.items() if rollouts[key].failed == spec.config)
    attempts = {
        key: _attempts(key, spec, own, history, moment, is_rolled_back=key in rolled_back)
        for key, spec in resources.items()
    }
    due = frozenset(key for key, each in attempts.items() if each.is_due(moment.now))
    given_up = frozenset(key for key in rolled_back if not (attempts[key].is_rollback and key in due))
    limits = {observed: stuck_at(observed, moment.timeout) for key in resources if (observed := own.get(key))}
    moments = [*(each.next_at for each in attempts.values()), *limits.values()]
    decided = recreations(wanted, own, history.recreations, moment.now) if resources else history.recreations
    return Recovery(
        desired=_without(recreating(wanted, own, decided), given_up, due),
        history=replace(history.of(own).joined(rollouts, attempts), recreations=decided),
        given_up=given_up,
        stuck=tuple(observed for observed, limit in limits.items() if limit and limit <= moment.now),
        next_at=min((each for each in moments if each and each > moment.now), default=None),
    )


def _rollout(
    key: Key,
    resources: Mapping[Key, EndpointSpec],
    own: ObservedResources,
    history: EndpointHistory,
    moment: RecoveryInput,
) -> Rollout:
    endpoint, config = own.get(key), own.get(Key(ENDPOINT_CONFIG, resources[key].config))
    others = {spec.config for other, spec in resources.items() if other != key}
    others |= {
        observed.spec.config
        for other, observed in own.items()
        if other != key and isinstance(observed.spec, EndpointSpec)
    }
    candidates = {each.name for each in own if each.kind is ENDPOINT_CONFIG} - others
    known = history.rollouts.get(key) or Rollout(asked_at=moment.asked_at)
    return known.asked(moment.asked_at).seen(endpoint).recalled(endpoint, config, candidates)


def _attempts(  # noqa: PLR0913 - all that an attempt is judged by
    key: Key,
    spec: EndpointSpec,
    own: ObservedResources,
    history: EndpointHistory,
    moment: RecoveryInput,
    *,
    is_rolled_back: bool,
) -> AttemptState:
    target = AttemptTarget(spec.config, moment.generation, moment.asked_at)
    known = history.attempts.get(key, AttemptState())
    return known.seen(own.get(key), target, moment.now, moment.retry_policy, is_rolled_back=is_rolled_back)


def _without(wanted: DesiredState, given_up: frozenset[Key], due: frozenset[Key]) -> DesiredState:
    """Omit rolled back changes until the spec changes, and delete nothing that serves instead."""
    if not given_up:
        return replace(wanted, retry=due)
    kept = tuple(resource for resource in wanted.resources if not _depends(resource, given_up))
    return DesiredState(kept, wanted.keep_kinds | SERVING_KINDS, due)


def _depends(resource: DesiredResource, given_up: frozenset[Key]) -> bool:
    return resource.key in given_up or (resource.key.kind in SERVING_KINDS and not given_up.isdisjoint(resource.needs))
