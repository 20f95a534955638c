"""The plan of a sweep without a cluster: what expired according to its tags, and what is left of such objects.

Whether an object exists is not known there, so that only its end of life counts. Nothing is planned by its name alone.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final, Self

from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.engine.holders import Holder, holder, latest
from ephemeral_endpoints.engine.ownership import is_made_by_a_service, is_ours
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.engine.shares import most_at_once
from ephemeral_endpoints.engine.tags import is_retained, timestamp

DIGEST_LENGTH: Final = 24


@dataclass(frozen=True, slots=True)
class Sight:
    """A resource with our prefix, and its tags: None where AWS cannot tag it, or where they could not be read."""

    observed: ObservedResource
    tags: Mapping[str, str] | None = None
    unread: str = ""
    """Why the tags could not be read."""


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """A resource that a plan deletes, as it was seen: one that changed meanwhile is another."""

    kind: str
    name: str
    id: str
    arn: str
    owner: str
    namespace: str
    object: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What a sweep deletes in an account, and what it leaves and why; ``total`` is how many objects there are."""

    account: str
    region: str
    cluster_id: str
    items: tuple[Item, ...]
    left: tuple[tuple[str, str, str], ...] = ()
    total: int = 0

    @property
    def digest(self) -> str:
        """Identifies what is deleted where: the same for a plan that is made again while nothing has changed."""
        content = [self.account, self.region, self.cluster_id, *(asdict(each) for each in self.items)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]

    @property
    def owners(self) -> frozenset[str]:
        """The objects and classes of which something is deleted."""
        return frozenset(each.owner for each in self.items)

    def refusal(self, most: int, most_percent: float) -> str | None:
        """Why the breaker refuses the plan; None if it does not. Whichever limit is lower counts."""
        share = most_at_once(self.total, most_percent / 100)
        count = len(self.owners)
        if count <= min(most, share):
            return None
        option = f"--most {count}" if count > most else f"--most-percent {ceil(count * 100 / max(1, self.total))}"
        return f"the plan is about {count} of {self.total} objects at once: if all of them are to go, add {option}"

    def narrowed(self, to: Iterable[Item]) -> tuple["SweepPlan", list[Item]]:
        """The plan with those of its items that are in ``to`` too, and those of ``to`` that do not match any more."""
        wanted = frozenset(to)
        kept = tuple(each for each in self.items if each in wanted)
        narrowed = SweepPlan(self.account, self.region, self.cluster_id, kept, self.left, self.total)
        return narrowed, sorted(wanted - frozenset(kept))

    def document(self) -> dict[str, Any]:
        """The plan as JSON, which ``parsed`` reads."""
        return {
            "digest": self.digest,
            "account": self.account,
            "region": self.region,
            "cluster": self.cluster_id,
            "objects": self.total,
            "delete": [asdict(each) for each in self.items],
            "left": [{"kind": kind, "name": name, "why": why} for kind, name, why in self.left],
        }

    @classmethod
    def parsed(cls, document: Mapping[str, Any]) -> Self:
        """The plan of a document. Raises ValueError for one that is not a plan, or was edited."""
        try:
            items = tuple(Item(**each) for each in document["delete"])
            plan = cls(document["account"], document["region"], document["cluster"], items)
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is not a plan of a sweep: {error}") from error
        if plan.digest != document.get("digest"):
            raise ValueError("the plan does not match its digest: it was edited, make another one")
        return plan


def planned(  # noqa: PLR0913 - all that a plan depends on
    scope: Scope,
    sights: Mapping[Key, Sight],
    *,
    now: datetime,
    grace: timedelta,
    classes: Collection[str] = (),
    is_complete: bool = True,
) -> SweepPlan:
    """The plan for what was seen. ``classes`` are those that do not exist any more, by somebody's word.

    Unless it ``is_complete``, a list failed: what is somebody's only by the absence of something else stays then.
    """
    of_owner: defaultdict[str | None, list[Sight]] = defaultdict(list)
    for each in sights.values():
        of_owner[each.observed.owner].append(each)
    ends = {owner: _end(found, scope.cluster_id) for owner, found in of_owner.items() if owner}
    due = {owner for owner, end in ends.items() if end and _is_due(end, now - grace, classes)}
    of_nobody = {owner for owner, found in of_owner.items() if owner and is_complete and _is_rest(found)}
    items: list[Item] = []
    left: list[tuple[str, str, str]] = []
    for each in sights.values():
        observed = each.observed
        if observed.phase is Phase.DELETING:
            continue
        is_wanted = observed.owner in due or observed.owner in of_nobody
        is_wanted |= is_complete and observed.is_dangling and _is_in_ours(each, sights, scope.cluster_id)
        if not is_wanted:
            continue
        if why := _doubt(each, scope.cluster_id):
            left.append((observed.key.kind.name, observed.key.name, why))
        else:
            items.append(_item(observed, ends.get(observed.owner or "")))
    left += [
        (each.observed.key.kind.name, each.observed.key.name, each.unread)
        for each in sights.values()
        if each.unread and each.observed.owner not in due
    ]
    objects = {owner for owner, end in ends.items() if end and end.namespace}
    total = len(objects)
    return SweepPlan(scope.account_id, scope.region, scope.cluster_id, tuple(sorted(items)), tuple(sorted(left)), total)


def _end(found: Iterable[Sight], cluster_id: str) -> Holder | None:
    """The object that proven tags name, with its latest end; None without proof, and if anything is to stay."""
    last: Holder | None = None
    for each in found:
        if each.tags is None or not is_ours(each.observed, each.tags, cluster_id):
            continue
        if is_retained(each.tags):
            return None
        if named := holder(each.tags):
            last = latest(last, named)
    return last


def _is_due(end: Holder, cutoff: datetime, classes: Collection[str]) -> bool:
    return end.is_expired(cutoff) if end.namespace else end.name in classes


def _is_rest(found: Iterable[Sight]) -> bool:
    """Whether nothing is left of an owner but log groups that services made again, and what AWS cannot tag."""
    return all(
        not each.unread and (each.tags is None or is_made_by_a_service(each.observed, each.tags)) for each in found
    )


def _is_in_ours(sight: Sight, sights: Mapping[Key, Sight], cluster_id: str) -> bool:
    whole = sights.get(sight.observed.part_of) if sight.observed.part_of else None
    return whole is not None and whole.tags is not None and is_ours(whole.observed, whole.tags, cluster_id)


def _doubt(sight: Sight, cluster_id: str) -> str:
    """Why a resource of an object that has expired stays; empty if it goes."""
    if sight.unread:
        return sight.unread
    if sight.tags is not None and not is_ours(sight.observed, sight.tags, cluster_id):
        return "it has our name without our tags"
    return ""


def _item(observed: ObservedResource, end: Holder | None) -> Item:
    expires_at = timestamp(end.expires_at) if end and end.expires_at else ""
    return Item(
        observed.key.kind.name,
        observed.key.name,
        observed.id,
        observed.arn,
        observed.owner or "",
        end.namespace if end else "",
        end.name if end else "",
        expires_at,
    )
