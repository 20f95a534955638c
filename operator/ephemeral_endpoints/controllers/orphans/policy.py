"""Orphans: resources that carry our names in AWS although no object or class owns them.

A UID is never used again, so an orphan stays an orphan. It remains to be verified that it is really ours, that it is
not merely seen before its object, and which object owned it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from ephemeral_endpoints.engine.holders import Holder
from ephemeral_endpoints.engine.resources import Key, ObservedResource, ObservedResources, Phase, ResourceKind
from ephemeral_endpoints.engine.shares import most_at_once
from ephemeral_endpoints.engine.tags import CLUSTER
from ephemeral_endpoints.features.images.specs import REPOSITORY
from ephemeral_endpoints.features.routing.specs import HTTP_API, INTEGRATION
from ephemeral_endpoints.features.serving.specs import MODEL


@dataclass(frozen=True, slots=True)
class Sighting:
    """The identity of a resource: one that was recreated under its name is another."""

    key: Key
    id: str
    owner: str | None

    @classmethod
    def of(cls, observed: ObservedResource) -> "Sighting":
        """The sighting of a resource."""
        return cls(observed.key, observed.id, observed.owner)


Sightings = Mapping[Sighting, float]
"""Since when a resource is known to be an orphan, in monotonic seconds."""


class Breaker:
    """Tells losses by mistake from single ones: it counts the objects that are gone before their time, by namespace.

    Every namespace is held for itself, so that none can stop the sweep for others. Losses in more namespaces than
    ``most`` hold all, and so do more than ``share`` of all objects, of which so many are ``alive``, where no namespace
    of its own has lost too many. What is past its end of life is never held, so a hold ends with the time to live.
    """

    def __init__(self, most: int, *, share: float, alive: int) -> None:
        self._most = most
        self._share = share
        self._alive = alive
        self._lost: defaultdict[str, set[str | None]] = defaultdict(set)

    def count(self, owner: str | None, holder: Holder) -> None:
        """Count an object or class that is gone before its end of life."""
        self._lost[holder.namespace].add(owner)

    def is_held(self, holder: Holder) -> bool:
        """Whether what is left of an object in that namespace has to stay."""
        return self._holds_all or len(self._lost.get(holder.namespace, ())) > self._most

    @property
    def _holds_all(self) -> bool:
        lost = [len(owners) for owners in self._lost.values()]
        free = sum(count for count in lost if count <= self._most)
        return len(lost) > self._most or free > most_at_once(self._alive + sum(lost), self._share)

    @property
    def held(self) -> dict[str, int]:
        """The namespaces whose orphans stay, with at least how many objects are gone in each; "" stands for classes."""
        return {
            namespace: len(owners)
            for namespace, owners in sorted(self._lost.items())
            if self.is_held(Holder(namespace))
        }


def orphans(there: ObservedResources, owners: Collection[str]) -> tuple[ObservedResource, ...]:
    """Resources of an owner that does not exist, and routes that lead to nothing."""
    return tuple(
        observed
        for observed in there.values()
        if (observed.owner or observed.is_dangling) and observed.owner not in owners
    )


def likely_users(own: ObservedResources, there: ObservedResources) -> ObservedResources:
    """The users of ``own`` that lists do not show.

    The images of retained models are in repositories. What a class shares serves the objects that have an integration
    in its APIs, also what leads to those, checks their callers or takes their records.
    """
    repositories = frozenset(key for key in own if key.kind is REPOSITORY)
    shared: defaultdict[str | None, set[Key]] = defaultdict(set)
    for key, observed in own.items():
        shared[observed.owner].add(key)
    owners = {key: each.owner for key, each in there.items() if key.kind is HTTP_API and each.owner in shared}
    found = dict[Key, ObservedResource]()
    for key, observed in there.items():
        if key in own:
            continue
        if key.kind is MODEL and repositories:
            found[key] = replace(observed, uses=observed.uses | repositories)
        elif key.kind is INTEGRATION and owners.keys() & observed.uses:
            served = frozenset().union(*(shared[owners[api]] for api in owners.keys() & observed.uses))
            found[key] = replace(observed, uses=observed.uses | served)
    return found


def sightings(before: Sightings, found: Iterable[ObservedResource], now: float) -> Sightings:
    """The sightings of found resources: known ones keep their age, those not found this time are dropped."""
    return {sighting: before.get(sighting, now) for sighting in map(Sighting.of, found)}


def remaining(found: Iterable[ObservedResource]) -> list[ObservedResource]:
    """Those not being deleted yet; first those whose tags name the owner of the others, and whether they stay."""
    left = (observed for observed in found if observed.phase is not Phase.DELETING)
    return sorted(left, key=lambda each: (not each.key.kind.taggable, each.key.kind.remade_by_services, each.key))


def is_mature(
    observed: ObservedResource, seen: Sightings, listed_at: Callable[[ResourceKind], float | None], min_age: float
) -> bool:
    """Whether a list still showed it that began ``min_age`` seconds after it had been seen first."""
    listed = listed_at(observed.key.kind)
    return listed is not None and listed >= seen[Sighting.of(observed)] + min_age


def are_users_listed(
    kind: ResourceKind, kinds: Iterable[ResourceKind], listed_at: Callable[[ResourceKind], float | None]
) -> bool:
    """Whether what refers to a resource of the kind was listed since the kind itself: else a user may be overlooked."""
    listed = listed_at(kind) or 0.0
    return all((listed_at(each) or 0.0) >= listed for each in kinds if kind in each.lineage)


def is_kept_by(observed: ObservedResource, tags: Mapping[str, str] | None, retained: Collection[str | None]) -> bool:
    """Whether it stays because its owner's resources were retained, without a tag of its own.

    Those are resources that AWS cannot tag, and log groups that a service recreated.
    """
    return observed.owner in retained and (tags is None or CLUSTER not in tags)


def is_within(holder: Holder | None, namespaces: Collection[str]) -> bool:
    """Whether its object would have been seen by an operator that watches these namespaces (empty: all)."""
    return not namespaces or (holder is not None and holder.namespace in namespaces)
