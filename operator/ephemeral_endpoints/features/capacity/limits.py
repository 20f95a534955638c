"""The limits of a class on its objects: which of a namespace may have something in AWS, and which wait. Pure.

An object that has something there keeps its place, whatever happens. The others get the free places in the order of
creation, which the API server notes and nobody can write. One that waits for its repository keeps no place of the
namespace from others: the object that it waits for gives it both.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import LimitPolicy
from ephemeral_endpoints.api.v1alpha1.endpoint_class_status import LimitUse
from ephemeral_endpoints.engine.conditions import Cause, ConditionType
from ephemeral_endpoints.engine.reasons import READY, Finality, ReasonGroup
from ephemeral_endpoints.features.capacity.policy import ordinal

MOST_NAMED: Final = 10
"""So many objects ahead are named. Those further behind learn nothing of each other, so that no end writes them all."""

MOST_SHOWN: Final = 10

REASONS: Final = ReasonGroup(READY)

LIMIT_REACHED: Final = REASONS.for_author(
    "LimitReached",
    finality=Finality.RECOVERABLE,
    meaning="The object waits: its class limits how many objects of a namespace or repository may have something in "
    "AWS, and there are as many. The message says at which position it waits. It goes on by itself when one of them "
    "ends.",
    remedy="delete objects that are not needed, or have a platform engineer raise the limit in the class",
)
NONE_ALLOWED: Final = REASONS.for_author(
    "NoneAllowed",
    meaning="The class allows no objects: a limit in its `spec.limits` is 0.",
    remedy="use another class, or have a platform engineer raise the limit",
)


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """An object of the namespace that has a place, or asks for one. Candidates sort by age; the UID breaks ties."""

    created_at: datetime
    uid: str
    name: str = field(compare=False)
    repository: str = field(compare=False)
    has_place: bool = field(compare=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """What an object waits for: a place of the namespace, or of a repository in it, of ``limit``.

    ``ahead`` are the names of those that wait there before it, the first first, at most ``MOST_NAMED``; ``is_far``:
    there are more than those.
    """

    limit: int
    repository: str | None = None
    ahead: tuple[str, ...] = ()
    is_far: bool = False

    @property
    def is_final(self) -> bool:
        """Whether no end of another object helps."""
        return self.limit == 0


def waits(candidates: Iterable[Candidate], policy: LimitPolicy) -> dict[str, Wait | None]:
    """What each object of a namespace waits for, by UID; None: it has a place, or gets one now."""
    used: Counter[str | None] = Counter()
    queues: defaultdict[str | None, list[str]] = defaultdict(list)
    found: dict[str, Wait | None] = {}
    for each in sorted(candidates, key=lambda each: (not each.has_place, each)):
        scopes = (None, each.repository)
        full = None if each.has_place else _full(policy, each.repository, used)
        if full is None:
            used.update(scopes)
            found[each.uid] = None
            continue
        limit, scope = full
        queue = queues[scope]
        found[each.uid] = Wait(limit, scope, tuple(queue[:MOST_NAMED]), len(queue) > MOST_NAMED)
        for one in scopes:
            queues[one].append(each.name)
    return found


def _full(policy: LimitPolicy, repository: str, used: Counter[str | None]) -> tuple[int, str | None] | None:
    """The limit that leaves no place, with the repository if it is its; that of the namespace comes first."""
    limits = ((policy.objects_per_namespace, None), (policy.objects_per_repository, repository))
    return next(((most, scope) for most, scope in limits if most is not None and used[scope] >= most), None)


def cause(wait: Wait, namespace: str, class_name: str) -> Cause:
    """Why the object waits, for people of its namespace."""
    name = "objectsPerNamespace" if wait.repository is None else "objectsPerRepository"
    of = "" if wait.repository is None else f" of repository {wait.repository}"
    if wait.is_final:
        message = (
            f"class {class_name} allows no objects{of} in a namespace: spec.limits.{name} of the class is 0. Name "
            "another class, or have a platform engineer raise it"
        )
        return Cause(NONE_ALLOWED, message, awaited="a change of the class")
    message = (
        f"class {class_name} allows {wait.limit} objects{of} in a namespace, and namespace {namespace} has as many; "
        f"{_position(wait)}. It goes on by itself when an object ends: delete objects that are not needed, or have a "
        f"platform engineer raise spec.limits.{name} of the class"
    )
    return Cause(LIMIT_REACHED, message)


def _position(wait: Wait) -> str:
    if wait.is_far:
        return f"more than {MOST_NAMED} others wait before this object"
    if not wait.ahead:
        return "this object is the first that waits"
    return f"this object is {ordinal(len(wait.ahead) + 1)} of those that wait, after {', '.join(wait.ahead)}"


def uses(endpoints: Iterable[EphemeralEndpoint], policy: LimitPolicy) -> tuple[LimitUse, ...]:
    """What is shown of the limits of a class with these objects, as their statuses tell."""
    if policy == LimitPolicy():
        return ()
    used, waiting = Counter[str](), Counter[str]()
    for each in endpoints:
        ready = next((one.reason for one in each.status.conditions if one.type == ConditionType.READY), None)
        if ready == LIMIT_REACHED.name:
            waiting[each.metadata.namespace or ""] += 1
        elif each.status.resources:
            used[each.metadata.namespace or ""] += 1
    ordered = sorted(used.keys() | waiting.keys(), key=lambda name: (-waiting[name], -used[name], name))
    limit = policy.objects_per_namespace
    return tuple(
        LimitUse(namespace=name, used=used[name], limit=limit, waiting=waiting[name]) for name in ordered[:MOST_SHOWN]
    )


def in_words(use: LimitUse) -> str:
    """The use of a limit for a column."""
    of = "" if use.limit is None else f"/{use.limit}"
    return f"{use.namespace} {use.used}{of}" + (f", {use.waiting} waiting" if use.waiting else "")
