"""Orphans: resources that carry our names in AWS although no object or class owns them.

A UID is never used again, so an orphan stays an orphan. It remains to be verified that it is really ours, that it is
not merely seen before its object, and which object owned it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ephemeral_endpoints.engine.resources import Key, ObservedResource, ObservedResources, Phase, ResourceKind
from ephemeral_endpoints.engine.tags import CLUSTER, EXPIRES_AT, NAME, NAMESPACE, moment_of
from ephemeral_endpoints.features.images.specs import REPOSITORY
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


@dataclass(frozen=True, slots=True)
class Holder:
    """The object that owned it, by its tags; empty where those do not say, as classes have no namespace."""

    namespace: str = ""
    name: str = ""
    expires_at: datetime | None = None
    """The latest end of life that its resources name; classes have none."""

    def is_expired(self, now: datetime) -> bool:
        """Whether its resources would be gone by now if it still existed: no mistake is worth protecting then."""
        return self.expires_at is not None and self.expires_at <= now


class Breaker:
    """Tells losses by mistake from single ones: it counts the objects that are gone before their time, by namespace.

    Every namespace is held for itself, so that none can stop the sweep for others; losses in more namespaces than
    ``most`` hold all. What is past its end of life is never held, so a hold ends with the time to live.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lost: defaultdict[str, set[str | None]] = defaultdict(set)

    def count(self, owner: str | None, holder: Holder) -> None:
        """Count an object or class that is gone before its end of life."""
        self._lost[holder.namespace].add(owner)

    def is_held(self, holder: Holder) -> bool:
        """Whether what is left of an object in that namespace has to stay."""
        return len(self._lost) > self._most or len(self._lost.get(holder.namespace, ())) > self._most

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
    """The retained models, as users of repositories to be deleted: lists do not contain the images of models."""
    repositories = frozenset(key for key in own if key.kind is REPOSITORY)
    models = {key: observed for key, observed in there.items() if key.kind is MODEL and key not in own}
    return (
        {key: replace(observed, uses=observed.uses | repositories) for key, observed in models.items()}
        if repositories
        else {}
    )


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


def is_kept_by(observed: ObservedResource, tags: Mapping[str, str] | None, retained: Collection[str | None]) -> bool:
    """Whether it stays because its owner's resources were retained, without a tag of its own.

    Those are resources that AWS cannot tag, and log groups that a service recreated.
    """
    return observed.owner in retained and (tags is None or CLUSTER not in tags)


def holder(tags: Mapping[str, str]) -> Holder | None:
    """The object that the tags name; None if they name none."""
    if NAME not in tags:
        return None
    return Holder(tags.get(NAMESPACE, ""), tags[NAME], moment_of(tags.get(EXPIRES_AT, "")))


def latest(known: Holder | None, seen: Holder) -> Holder:
    """What two resources of an object say of it: the later end of life counts, of which none is the latest."""
    if known is None:
        return seen
    ends = [each.expires_at for each in (known, seen) if each.expires_at]
    return replace(seen, expires_at=max(ends) if len(ends) == 2 else None)  # noqa: PLR2004 - both


def is_within(holder: Holder | None, namespaces: Collection[str]) -> bool:
    """Whether its object would have been seen by an operator that watches these namespaces (empty: all)."""
    return not namespaces or (holder is not None and holder.namespace in namespaces)
