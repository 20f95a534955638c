"""What is to be done about endpoints that fail: which rollouts are given up, and what is tried again, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from ephemeral_endpoints.core.creation import Goal, Patience, Tries, stuck_at
from ephemeral_endpoints.core.plan import Desired
from ephemeral_endpoints.core.resources import EndpointSpec, Have, Haves, Key, Kind, Want
from ephemeral_endpoints.core.rollout import Rollout
from ephemeral_endpoints.core.serving import SERVING_KINDS


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of one object's endpoints."""

    rollouts: Mapping[Key, Rollout] = field(default_factory=dict)
    tries: Mapping[Key, Tries] = field(default_factory=dict)

    def of(self, own: Haves) -> Self:
        """What concerns endpoints that are there, be they wanted now or not."""
        return type(self)(
            {key: each for key, each in self.rollouts.items() if key in own},
            {key: each for key, each in self.tries.items() if key in own},
        )

    def joined(self, rollouts: Mapping[Key, Rollout], tries: Mapping[Key, Tries]) -> Self:
        """With what is newer."""
        return type(self)({**self.rollouts, **rollouts}, {**self.tries, **tries})

    def updating(self, endpoint: Have, config: str) -> Self:
        """An update of the endpoint was accepted."""
        begun = self.rollouts.get(endpoint.key, Rollout()).begun(config, endpoint.version)
        return replace(self, rollouts={**self.rollouts, endpoint.key: begun})


@dataclass(frozen=True, slots=True)
class Moment:
    """As of when an object is looked at, and what its class has patience for.

    ``asked_at`` is the request for a fresh look that the object carries.
    """

    now: datetime
    generation: int
    asked_at: str | None = None
    patience: Patience = field(default_factory=Patience)
    timeout: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Steered:
    """What follows: what is wanted now, what is to be remembered, and when to look again, if by itself.

    ``given_up`` are endpoints whose rollout SageMaker gave up, ``stuck`` those whose change takes too long.
    """

    desired: Desired
    record: Record
    given_up: frozenset[Key] = frozenset()
    stuck: tuple[Have, ...] = ()
    next_at: datetime | None = None


def steer(wanted: Desired, own: Haves, record: Record, moment: Moment) -> Steered:
    """Conclude from the endpoints as they are."""
    wants = {want.key: want.spec for want in wanted.wants if isinstance(want.spec, EndpointSpec)}
    rollouts = {key: _rollout(key, wants, own, record, moment) for key in wants}
    tries = {key: _tries(key, spec, own, record, moment) for key, spec in wants.items()}
    given_up = frozenset(key for key, spec in wants.items() if rollouts[key].failed == spec.config)
    due = frozenset(key for key, each in tries.items() if each.is_due(moment.now))
    limits = {have: stuck_at(have, moment.timeout) for key in wants if (have := own.get(key))}
    moments = [*(each.next_at for each in tries.values()), *limits.values()]
    return Steered(
        desired=_without(wanted, given_up, due),
        record=record.of(own).joined(rollouts, tries),
        given_up=given_up,
        stuck=tuple(have for have, limit in limits.items() if limit and limit <= moment.now),
        next_at=min((each for each in moments if each and each > moment.now), default=None),
    )


def _rollout(key: Key, wants: Mapping[Key, EndpointSpec], own: Haves, record: Record, moment: Moment) -> Rollout:
    endpoint, config = own.get(key), own.get(Key(Kind.ENDPOINT_CONFIG, wants[key].config))
    others = {spec.config for other, spec in wants.items() if other != key}
    others |= {have.spec.config for other, have in own.items() if other != key and isinstance(have.spec, EndpointSpec)}
    candidates = {each.name for each in own if each.kind is Kind.ENDPOINT_CONFIG} - others
    known = record.rollouts.get(key) or Rollout(asked_at=moment.asked_at)
    return known.asked(moment.asked_at).seen(endpoint).recalled(endpoint, config, candidates)


def _tries(key: Key, spec: EndpointSpec, own: Haves, record: Record, moment: Moment) -> Tries:
    goal = Goal(spec.config, moment.generation, moment.asked_at)
    return record.tries.get(key, Tries()).seen(own.get(key), goal, moment.now, moment.patience)


def _without(wanted: Desired, given_up: frozenset[Key], due: frozenset[Key]) -> Desired:
    """What SageMaker gave up is not tried again before the spec changes, and nothing that serves meanwhile goes."""
    if not given_up:
        return replace(wanted, renew=due)
    kept = tuple(want for want in wanted.wants if not _depends(want, given_up))
    return Desired(kept, wanted.hold | SERVING_KINDS, due)


def _depends(want: Want, given_up: frozenset[Key]) -> bool:
    return want.key in given_up or (want.key.kind in SERVING_KINDS and not given_up.isdisjoint(want.needs))
