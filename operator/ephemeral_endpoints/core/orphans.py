"""Orphans: what carries our names in AWS although no object or class stands behind it.

A UID is never used again, so that what was without an object once stays so. What is left to be sure of is that it is
really ours, that it is not just being told of too early, and whose it was.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ephemeral_endpoints.core.names import owner_hash
from ephemeral_endpoints.core.resources import COMING_BACK, Have, Haves, Key, Kind, Phase, RouteSpec
from ephemeral_endpoints.core.tags import CLUSTER, NAME, NAMESPACE, UID

UNTAGGABLE: Final = frozenset({Kind.INTEGRATION, Kind.ROUTE})
"""Kinds that AWS does not tag: whose they are is known by what they lead to."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What makes a resource the same one as before: one that was made anew under its name is another."""

    key: Key
    id: str
    owner: str | None

    @classmethod
    def of(cls, have: Have) -> "Sighting":
        """The sighting of a resource."""
        return cls(have.key, have.id, have.owner)


Sightings = Mapping[Sighting, float]
"""Since when a resource is known to be an orphan, in monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who had it, by its tags; empty where those do not tell, as classes have no namespace."""

    namespace: str = ""
    name: str = ""


def orphans(there: Haves, live: Collection[str]) -> tuple[Have, ...]:
    """What belongs to an owner that is not live, and routes that lead to nothing."""
    return tuple(have for have in there.values() if (have.owner or leads_to_nothing(have)) and have.owner not in live)


def likely_users(own: Haves, there: Haves) -> Haves:
    """The models that stay, as users of the repositories that go: lists do not tell which images models are of."""
    repositories = frozenset(key for key in own if key.kind is Kind.REPOSITORY)
    models = {key: have for key, have in there.items() if key.kind is Kind.MODEL and key not in own}
    return {key: replace(have, uses=have.uses | repositories) for key, have in models.items()} if repositories else {}


def leads_to_nothing(have: Have) -> bool:
    """Whether it is a route of an API of ours whose integration is gone, which blocks the path for everybody."""
    return isinstance(have.spec, RouteSpec) and have.spec.integration is None


def sightings(before: Sightings, found: Iterable[Have], now: float) -> Sightings:
    """The sightings of what is found: known ones keep their age, and what was not found this time loses it."""
    return {sighting: before.get(sighting, now) for sighting in map(Sighting.of, found)}


def standing(found: Iterable[Have]) -> list[Have]:
    """What is not going already; those come first whose tags tell whose the others are, and whether they stay."""
    left = (have for have in found if have.phase is not Phase.DELETING)
    return sorted(left, key=lambda have: (have.key.kind in UNTAGGABLE, have.key.kind is Kind.LOG_GROUP, have.key))


def is_mature(have: Have, seen: Sightings, listed_at: Callable[[Kind], float | None], min_age: float) -> bool:
    """Whether a list still showed it that began ``min_age`` seconds after it had been seen first."""
    listed = listed_at(have.key.kind)
    return listed is not None and listed >= seen[Sighting.of(have)] + min_age


def is_made_by_a_service(have: Have, tags: Mapping[str, str]) -> bool:
    """Whether it is a log group that Lambda or SageMaker made for lines that came late, which they do without tags.

    Tags with ``aws:`` in front are not given by people (https://docs.aws.amazon.com/tag-editor/latest/userguide/).
    """
    return have.key.kind in COMING_BACK and all(key.startswith("aws:") for key in tags)


def is_ours(have: Have, tags: Mapping[str, str] | None, cluster_id: str) -> bool:
    """Whether a resource in AWS is of this operator, by its name together with its tags (None: it cannot have any).

    A log group that a service made again is: only we give the name that it made it under.
    """
    if tags is None:
        return have.owner is not None or leads_to_nothing(have)
    if is_made_by_a_service(have, tags):
        return have.owner is not None
    return tags.get(CLUSTER) == cluster_id and owner_hash(tags.get(UID, "")) == have.owner


def is_kept_by(have: Have, tags: Mapping[str, str] | None, retained: Collection[str | None]) -> bool:
    """Whether it stays because its owner's things were retained, without saying so itself.

    That is what AWS cannot tag, and log groups that a service made again.
    """
    return have.owner in retained and (tags is None or CLUSTER not in tags)


def holder(tags: Mapping[str, str]) -> Holder | None:
    """Who had what carries these tags; None if they do not tell."""
    return Holder(tags.get(NAMESPACE, ""), tags[NAME]) if NAME in tags else None


def is_within(holder: Holder | None, namespaces: Collection[str]) -> bool:
    """Whether its object would have been seen by an operator that watches these namespaces (empty: all)."""
    return not namespaces or (holder is not None and holder.namespace in namespaces)
