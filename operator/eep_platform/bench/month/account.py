"""An AWS account in memory: it holds resources, refuses what AWS refuses, takes its time, and fails when told to.

It knows the kinds of an object on instances. The tests hold it to the embedded AWS by a table of operations and
outcomes that runs against both.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeVar

from ephemeral_endpoints.engine.errors import AlreadyExists, InProgress, Invalid, NotFound, Throttled, Transient
from ephemeral_endpoints.engine.names import models_of_config, owner_of
from ephemeral_endpoints.engine.resources import (
    CREATING,
    DesiredResource,
    Key,
    ObservedResource,
    ObservedResources,
    Phase,
    ResourceKind,
    Spec,
)
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP
from ephemeral_endpoints.features.routing.specs import IntegrationSpec, RouteSpec
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    EndpointSpec,
    ScalableTargetSpec,
)

T = TypeVar("T")

_OVERWRITTEN: Final = frozenset({ALARM})
"""Kinds of which a second creation succeeds."""


class Fault(StrEnum):
    """How a call fails."""

    THROTTLED = "Throttled"
    REFUSED = "Refused"
    """By an error of the service, before anything was done."""

    LOST = "Lost"
    """All is done, and the answer is lost."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long endpoints take on instances, in seconds."""

    create: float = 240.0
    update: float = 300.0
    delete: float = 60.0


@dataclass(frozen=True, slots=True)
class Span:
    """A resource's life in seconds; ``gone_at`` is None while it exists."""

    key: Key
    owner: str | None
    made_at: float
    gone_at: float | None = None


@dataclass(slots=True)
class _Resource:
    observed: ObservedResource
    tags: dict[str, str]
    made_at: float
    settles_at: float | None = None
    then: ObservedResource | None = None


def uses_of(key: Key, spec: Spec | None, needs: Iterable[Key]) -> frozenset[Key]:
    """What AWS shows that a resource refers to."""
    logs = [need for need in needs if need.kind is LOG_GROUP]
    match spec:
        case EndpointSpec():
            return frozenset({Key(ENDPOINT_CONFIG, spec.config), *logs})
        case IntegrationSpec():
            return frozenset({spec.api, spec.function})
        case RouteSpec():
            return frozenset({spec.api, *([spec.integration] if spec.integration else [])})
        case ScalableTargetSpec():
            return frozenset({spec.endpoint})
        case _ if key.kind is ENDPOINT_CONFIG:
            models = (need.name for need in needs if need.kind is MODEL)
            return frozenset(Key(MODEL, model) for model in models_of_config(key.name, models))
        case _:
            return frozenset(logs)


def _no_fault(_: Key) -> Fault | None:
    return None


def _no_failure(_: Key) -> bool:
    return False


@dataclass(slots=True)
class AccountModel:
    """The account. Methods raise what a ``Component`` raises.

    ``now`` is in seconds, ``fault`` says how the next call about a resource fails, and ``fails`` whether an endpoint
    that is created now will fail.
    """

    cluster_id: str
    now: Callable[[], float]
    times: Times = field(default_factory=Times)
    fault: Callable[[Key], Fault | None] = _no_fault
    fails: Callable[[Key], bool] = _no_failure
    ended: list[Span] = field(default_factory=list)
    """Of resources that are gone."""

    _resources: dict[Key, _Resource] = field(default_factory=dict)
    _of: defaultdict[str | None, dict[Key, _Resource]] = field(default_factory=lambda: defaultdict(dict))
    _moving: set[Key] = field(default_factory=set)

    @property
    def all(self) -> ObservedResources:
        """Everything there."""
        self._settle()
        return {key: each.observed for key, each in self._resources.items()}

    @property
    def spans(self) -> list[Span]:
        """The lives of all resources, also of those that exist."""
        self._settle()
        there = (Span(key, each.observed.owner, each.made_at) for key, each in self._resources.items())
        return [*self.ended, *there]

    def of(self, owner: str) -> dict[Key, ObservedResource]:
        """What an object has."""
        self._settle()
        return {key: each.observed for key, each in self._of[owner].items()}

    @property
    def owners(self) -> frozenset[str | None]:
        """Who has anything."""
        self._settle()
        return frozenset(owner for owner, found in self._of.items() if found)

    def settles_in(self, owner: str) -> float | None:
        """In how many seconds the next of the owner's resources comes to rest; None if all are."""
        ends = (each.settles_at for each in self._of[owner].values())
        return min((at - self.now() for at in ends if at is not None), default=None)

    def list_all(self, kind: ResourceKind) -> list[ObservedResource]:
        """All resources of a kind."""
        return [each for key, each in self.all.items() if key.kind is kind]

    def tagged(self) -> Iterator[tuple[ObservedResource, Mapping[str, str]]]:
        """All resources with their tags, as the index of tags has them."""
        self._settle()
        return ((each.observed, each.tags) for each in self._resources.values())

    def describe(self, key: Key) -> ObservedResource | None:
        """One resource; None if it does not exist."""
        return self.all.get(key)

    def tags(self, observed: ObservedResource) -> Mapping[str, str] | None:
        """The tags of a resource; None for kinds that cannot be tagged."""
        if not observed.key.kind.taggable:
            return None
        self._settle()
        return self._call(observed.key, lambda: dict(self._existing(observed.key).tags))

    def add_tags(self, observed: ObservedResource, tags: Tags) -> None:
        """Add tags, or change their values."""
        if observed.key.kind.taggable:
            self._settle()
            self._call(observed.key, lambda: self._existing(observed.key).tags.update(tags))

    def apply(self, resource: DesiredResource, observed: ObservedResource | None) -> ObservedResource:
        """Create the resource, or change it."""
        self._settle()
        return self._call(resource.key, lambda: self._change(resource) if observed else self._create(resource))

    def delete(self, observed: ObservedResource) -> ObservedResource | None:
        """Begin to delete a resource; None if it is gone."""
        self._settle()
        return self._call(observed.key, lambda: self._delete(observed.key))

    def _call(self, key: Key, work: Callable[[], T]) -> T:
        fault = self.fault(key)
        if fault is Fault.THROTTLED:
            raise Throttled("Rate exceeded", operation=str(key))
        if fault is Fault.REFUSED:
            raise Transient("the service is unavailable", operation=str(key))
        result = work()
        if fault is Fault.LOST:
            raise Transient("the connection was closed before the answer", operation=str(key))
        return result

    def _create(self, resource: DesiredResource) -> ObservedResource:
        key, spec = resource.key, resource.spec
        if key in self._resources and key.kind not in _OVERWRITTEN:
            raise AlreadyExists("it exists", operation=str(key))
        self._refuse_without_needs(resource)
        rests = ObservedResource(
            key, Phase.READY, spec, arn=str(key), uses=uses_of(key, spec, resource.needs), owner=self._owner(key, spec)
        )
        made = _Resource(rests, dict(getattr(spec, "tags", ())), self.now())
        if key.kind is ENDPOINT:
            phase = Phase.FAILED if self.fails(key) else Phase.READY
            made.observed = replace(rests, phase=Phase.BUSY, status=CREATING)
            made.settles_at, made.then = self.now() + self.times.create, replace(rests, phase=phase)
            self._moving.add(key)
        self._resources[key] = self._of[rests.owner][key] = made
        return made.observed

    def _change(self, resource: DesiredResource) -> ObservedResource:
        there = self._existing(resource.key)
        if there.observed.phase not in {Phase.READY, Phase.IMPAIRED}:
            raise InProgress("it is changing", operation=str(resource.key))
        self._refuse_without_needs(resource)
        uses = uses_of(resource.key, resource.spec, resource.needs)
        after = replace(there.observed, spec=resource.spec, uses=uses)
        if resource.key.kind is ENDPOINT:
            there.settles_at, there.then = self.now() + self.times.update, after
            self._moving.add(resource.key)
            after = replace(after, phase=Phase.BUSY, status="Updating", uses=uses | there.observed.uses)
        there.observed = after
        return after

    def _delete(self, key: Key) -> ObservedResource | None:
        there = self._resources.get(key)
        if there is None:
            return None
        if there.observed.phase is Phase.DELETING:
            return there.observed
        if there.observed.phase is Phase.BUSY:
            raise InProgress("it is changing", operation=str(key))
        of_owner = self._of[there.observed.owner].values()
        if any(key in each.observed.uses for each in of_owner if _is_guarded(each.observed)):
            raise AlreadyExists("it is in use", operation=str(key))
        if key.kind is not ENDPOINT:
            self._remove(key, self.now())
            return None
        there.observed = replace(there.observed, phase=Phase.DELETING, spec=None)
        there.settles_at, there.then = self.now() + self.times.delete, None
        self._moving.add(key)
        return there.observed

    def _refuse_without_needs(self, resource: DesiredResource) -> None:
        missing = [need for need in resource.needs if need not in self._resources and need.kind is not LOG_GROUP]
        if missing:
            raise Invalid(f"there is no {missing[0]}", operation=str(resource.key))

    def _existing(self, key: Key) -> _Resource:
        there = self._resources.get(key)
        if there is None:
            raise NotFound("it does not exist", operation=str(key))
        return there

    def _owner(self, key: Key, spec: Spec) -> str | None:
        named = spec.integration.name if isinstance(spec, RouteSpec) and spec.integration else key.name
        return owner_of(self.cluster_id, named)

    def _settle(self) -> None:
        if not self._moving:
            return
        for key in sorted(self._moving):
            there = self._resources[key]
            if there.settles_at is None or there.settles_at > self.now():
                continue
            self._moving.discard(key)
            if there.then is None:
                self._remove(key, there.settles_at)
            else:
                there.observed, there.settles_at, there.then = there.then, None, None

    def _remove(self, key: Key, at: float) -> None:
        there = self._resources.pop(key)
        self._moving.discard(key)
        del self._of[there.observed.owner][key]
        self.ended.append(Span(key, there.observed.owner, there.made_at, at))


def _is_guarded(observed: ObservedResource) -> bool:
    """Whether AWS refuses to delete what it uses: API Gateway does, SageMaker and Lambda do not."""
    return isinstance(observed.spec, RouteSpec)
