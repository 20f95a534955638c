"""The planner: the next steps from the desired to the observed state.

Creation follows the graph of needs, deletion the graph of uses in reverse, and independent steps are taken at once.
There is no script for updates or deletion: both are this function with another desired state.
"""

from collections import ChainMap
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from ephemeral_endpoints.engine.resources import (
    DesiredResource,
    Key,
    ObservedResource,
    ObservedResources,
    Phase,
    ResourceKind,
)


@dataclass(frozen=True, slots=True)
class Create:
    """Create a resource."""

    resource: DesiredResource

    @property
    def key(self) -> Key:
        """The resource that the step acts on."""
        return self.resource.key


@dataclass(frozen=True, slots=True)
class Update:
    """Change an existing resource."""

    resource: DesiredResource
    observed: ObservedResource

    @property
    def key(self) -> Key:
        """The resource that the step acts on."""
        return self.resource.key


@dataclass(frozen=True, slots=True)
class Delete:
    """Trigger the deletion of an existing resource."""

    observed: ObservedResource

    @property
    def key(self) -> Key:
        """The resource that the step acts on."""
        return self.observed.key


Step = Create | Update | Delete

_CHANGEABLE: Final = frozenset({Phase.READY, Phase.IMPAIRED})


@dataclass(frozen=True, slots=True)
class DesiredState:
    """The resources that should exist.

    Resources of ``keep_kinds``, with ``keeps_all`` of all kinds, are not deleted although they are not desired, because
    the desired state of these kinds is not known yet. Resources in ``retry`` are created or updated again although they
    failed in their desired form.
    """

    resources: tuple[DesiredResource, ...] = ()
    keep_kinds: frozenset[ResourceKind] = frozenset()
    retry: frozenset[Key] = frozenset()
    keeps_all: bool = False

    def joined(self, other: Self) -> Self:
        """The union of both: a kind that either keeps is kept."""
        return type(self)(
            (*self.resources, *other.resources),
            self.keep_kinds | other.keep_kinds,
            self.retry | other.retry,
            self.keeps_all or other.keeps_all,
        )

    @classmethod
    def absent(cls) -> Self:
        """Nothing should exist, as for an object that is deleted or expired."""
        return cls()

    @classmethod
    def unchanged(cls) -> Self:
        """Everything should stay as it is, as for an object that is suspended."""
        return cls(keeps_all=True)

    @property
    def is_complete(self) -> bool:
        """Whether it contains the desired resources of every kind."""
        return not self.keeps_all and not self.keep_kinds

    def keeps(self, kind: ResourceKind) -> bool:
        """Whether existing resources of the kind stay, desired or not."""
        return self.keeps_all or kind in self.keep_kinds

    def keeps_some_of(self, stage: str) -> bool:
        """Whether any kind of the stage is kept."""
        return self.keeps_all or any(kind.stage == stage for kind in self.keep_kinds)


@dataclass(frozen=True, slots=True)
class View:
    """The planner's input for one object: its desired state, its own resources, and those that it shares."""

    desired: DesiredState
    own: ObservedResources
    others: ObservedResources

    @property
    def observed(self) -> ObservedResources:
        """All observed resources; the object's own take precedence."""
        return {**self.others, **self.own}


def plan(
    desired: DesiredState, own: ObservedResources, others: ObservedResources = MappingProxyType({})
) -> tuple[Step, ...]:
    """All steps that can be taken now, independent of each other.

    Empty once converged, or while only waiting is left.

    ``own`` are the subject's resources. ``others`` count as needed or as users, but are never changed.
    """
    there = ChainMap(dict(own), dict(others))
    in_use = frozenset(key for observed in there.values() for key in observed.uses)
    unsettled = frozenset(resource.key for resource in desired.resources if not is_ready(resource, there))
    touchable = [resource for resource in desired.resources if resource.key in own or resource.key not in others]
    unfit = _unfit(desired, touchable, own)
    going = [*surplus(desired, own), *unfit]
    # A resource that must be deleted is deleted before a resource that it uses is updated.
    in_the_way = frozenset(key for observed in going for key in observed.uses)
    steps = [
        step
        for resource in touchable
        if not resource.after & unsettled
        and (step := _towards(resource, there, in_use, desired.retry))
        and not (
            isinstance(step, Update)
            and (resource.key in in_the_way or step.observed in unfit or resource.update_after & unsettled)
        )
    ]
    replaced = frozenset(
        kind for resource in desired.resources if resource.key in unsettled for kind in resource.replaces
    )
    steps += [
        Delete(observed)
        for observed in going
        if _is_at_rest(observed)
        and observed.key not in in_use
        and (observed in unfit or observed.key.kind not in replaced)
    ]
    return tuple(steps)


def _unfit(
    desired: DesiredState, touchable: Collection[DesiredResource], own: ObservedResources
) -> list[ObservedResource]:
    """Desired resources that must be deleted first: they cannot be updated, or use one that must be deleted."""
    resources = {resource.key: resource for resource in touchable if resource.key in own}
    unfit = {key for key, resource in resources.items() if not own[key].can_become(resource)}
    lost = {key for key, resource in resources.items() if _is_lost(own[key], resource, desired.retry)}
    return [own[key] for key in resources if key in unfit or own[key].uses & (unfit | lost)]


def _is_lost(observed: ObservedResource, resource: DesiredResource, retry: frozenset[Key]) -> bool:
    """Whether it failed, so that only deletion is left, and should not stay."""
    return observed.phase is Phase.FAILED and (not observed.matches(resource) or observed.key in retry)


def surplus(desired: DesiredState, own: ObservedResources) -> tuple[ObservedResource, ...]:
    """Resources that exist and should not, apart from kinds that are kept."""
    wanted = {resource.key for resource in desired.resources}
    return tuple(
        observed for observed in own.values() if observed.key not in wanted and not desired.keeps(observed.key.kind)
    )


def is_ready(resource: DesiredResource, observed_resources: ObservedResources) -> bool:
    """Whether the resource exists, is ready, and has its desired state."""
    observed = observed_resources.get(resource.key)
    return observed is not None and observed.phase is Phase.READY and observed.matches(resource)


def is_in_place(view: View, failed: Collection[Key]) -> bool:
    """Whether all desired resources that serving needs are ready; those that are no longer desired may still exist."""
    observed = view.observed
    resources = [resource for resource in view.desired.resources if resource.key.kind.stage]
    return view.desired.is_complete and all(
        resource.key not in failed and is_ready(resource, observed) for resource in resources
    )


def _towards(
    resource: DesiredResource, there: ObservedResources, in_use: frozenset[Key], retry: frozenset[Key]
) -> Step | None:
    observed = there.get(resource.key)
    if observed is None:
        return Create(resource) if _all_ready(resource.needs, there) else None
    if observed.matches(resource) and (observed.phase is Phase.READY or resource.key not in retry):
        return None
    if observed.phase is Phase.FAILED:
        return None if observed.key in in_use else Delete(observed)
    if observed.phase in _CHANGEABLE and _all_ready(resource.needs, there):
        if not all(key in there and there[key].serves for key in resource.update_needs):
            return None
        return Update(resource, observed)
    return None


def _all_ready(keys: Iterable[Key], there: ObservedResources) -> bool:
    return all(key in there and there[key].phase is Phase.READY for key in keys)


def _is_at_rest(observed: ObservedResource) -> bool:
    return observed.phase is Phase.FAILED or observed.phase in _CHANGEABLE
