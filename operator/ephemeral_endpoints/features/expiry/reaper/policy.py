"""What the reaper may delete, and how much of it at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.engine.holders import Holder, holder, latest
from ephemeral_endpoints.engine.names import owner_hash, owner_of
from ephemeral_endpoints.engine.shares import most_at_once
from ephemeral_endpoints.engine.tags import CLASS, CLUSTER, NAME, NAMESPACE, UID, is_retained, moment_of

LEAST_GRACE: Final = timedelta(hours=1)
"""An operator that restarts, or waits for AWS, is not gone: what expired is its own for as long."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Whose reaper it is, and its limits.

    ``grace`` is how long after its end an object is left to the operator, ``most`` how many go in a run. If more than
    ``share`` of all objects are due at once, those wait for another ``grace``. ``repository_age`` is how long after its
    last push the repository of a class without objects stays.
    """

    cluster_id: str
    class_name: str
    grace: timedelta = timedelta(hours=24)
    most: int = 100
    share: float = 0.2
    repository_age: timedelta = timedelta(days=30)

    def __post_init__(self) -> None:
        if self.grace < LEAST_GRACE:
            raise ValueError(f"the grace is at least {LEAST_GRACE}, not {self.grace}")


@dataclass(frozen=True, slots=True)
class Expired:
    """An object whose end is long past, and what it has in AWS, both by the index of tags."""

    uid: str
    holder: Holder
    arns: tuple[str, ...]

    @property
    def owner(self) -> str:
        """The object in the names of its resources."""
        return owner_hash(self.uid)


def past(values: Iterable[str], cutoff: datetime) -> list[str]:
    """The ends of life before ``cutoff``, the earliest first. What is no time is nobody's end."""
    return sorted(value for value in set(values) if (end := moment_of(value)) and end <= cutoff)


def expired(found: Mapping[str, Mapping[str, str]], cutoff: datetime) -> list[Expired]:
    """The objects that ended before ``cutoff``, the earliest first, from the tags of all their resources by ARN.

    An object that keeps something, or of which one resource names a later end, is none of them.
    """
    by_uid: dict[str, list[str]] = {}
    for arn, tags in sorted(found.items()):
        by_uid.setdefault(tags.get(UID, ""), []).append(arn)
    ended = [
        Expired(uid, last, tuple(arns))
        for uid, arns in by_uid.items()
        if uid and (last := end_of(found[arn] for arn in arns)) and last.is_expired(cutoff)
    ]
    return sorted(ended, key=lambda each: (str(each.holder.expires_at), each.uid))


def end_of(tags: Iterable[Mapping[str, str]]) -> Holder | None:
    """The object, with the latest end that its resources name; None if one of them is to stay, or names no object."""
    last: Holder | None = None
    for each in tags:
        named = holder(each)
        if named is None or is_retained(each):
            return None
        last = latest(last, named)
    return last


@dataclass(frozen=True, slots=True)
class Choice:
    """The objects that may go now, the earliest first, and how many more are due and ``held`` by the breaker."""

    free: tuple[Expired, ...]
    held: int


def choose(due: Iterable[Expired], total: int, rules: Rules, now: datetime) -> Choice:
    """Which of those that are due may go now, where the cluster has ``total`` objects as far as that is known.

    The breaker gives people another grace to say that so many should not end; then they go, the earliest first.
    """
    listed = list(due)
    free = listed
    if len(listed) > most_at_once(max(total, len(listed)), rules.share):
        free = [each for each in listed if each.holder.is_expired(now - 2 * rules.grace)]
    return Choice(tuple(free), len(listed) - len(free))


def is_of_object(name: str, tags: Mapping[str, str], rules: Rules, uid: str) -> bool:
    """Whether a resource is the object's, by its name together with its tags. A name alone proves nothing."""
    return (
        (tags.get(CLUSTER), tags.get(CLASS), tags.get(UID)) == (rules.cluster_id, rules.class_name, uid)
        and NAME in tags
        and owner_of(rules.cluster_id, name) == owner_hash(uid)
    )


def is_of_class(name: str, tags: Mapping[str, str], rules: Rules) -> bool:
    """Whether a resource is what the objects of the class share, by its name together with its tags."""
    return (
        (tags.get(CLUSTER), tags.get(NAME)) == (rules.cluster_id, rules.class_name)
        and NAMESPACE not in tags
        and not is_retained(tags)
        and owner_of(rules.cluster_id, name) == owner_hash(tags.get(UID, ""))
    )
