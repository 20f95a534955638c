"""Which paths an object may have, and which object has a path that several of a class ask for."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.routing import RoutingPolicy
from ephemeral_endpoints.engine.errors import NotAllowed


@dataclass(frozen=True, slots=True)
class Claim:
    """An object that asks for a path; ``name`` is the object as people write it: namespace/name.

    ``holds`` says whether the path leads to it already.
    """

    holds: bool
    created_at: datetime
    uid: str
    name: str


@dataclass(frozen=True, slots=True)
class PathState:
    """Whether an object has the path that it asks for.

    ``holder`` is the other object that has it, ``waiting`` are those that wait for the path of this one, ``refused`` is
    why the object may not ask for it.
    """

    holder: str | None = None
    waiting: tuple[str, ...] = ()
    refused: NotAllowed | None = None

    @property
    def is_owned(self) -> bool:
        """Whether the path is the object's own."""
        return self.holder is None and self.refused is None


def path_of(uid: str, claims: Iterable[Claim]) -> PathState:
    """The state of the path for the object with that UID, which is one of those that ask for it.

    An object to which the path leads keeps it, however old the others are: its callers send their tokens there. A free
    path goes to the oldest object that asks for it; the UID decides between those created in the same second.
    """
    line = sorted(claims, key=lambda claim: (not claim.holds, claim.created_at, claim.uid))
    own = next((claim for claim in line if claim.uid == uid), None)
    if own is None or not (own.holds or line[0] is own):
        return PathState(holder=next((claim.name for claim in line if claim is not own), None))
    return PathState(waiting=tuple(claim.name for claim in line if claim is not own and not claim.holds))


def refused_path(endpoint: EphemeralEndpoint, policy: RoutingPolicy) -> NotAllowed | None:
    """Why the object may not ask for its path; None if it may.

    A path of two segments is the default one of the object with that namespace and name, whether it exists or not:
    nobody can have taken it before the object is created.
    """
    path, metadata = endpoint.path, endpoint.metadata
    own = f"/{metadata.namespace}/"
    if path == endpoint.default_path:
        return None
    segments = path.split("/")[1:]
    if len(segments) == len(("namespace", "name")):
        return NotAllowed(
            f"the path {path} belongs to the object {segments[1]} of the namespace {segments[0]}, whether it exists or "
            f"not: remove spec.api.path, which makes the path {endpoint.default_path}, or choose a path of three or "
            f"more segments, such as {own}{segments[1]}/v1"
        )
    if path.startswith(own) or any(fnmatchcase(path, pattern) for pattern in policy.allowed_paths):
        return None
    others = f", or {', '.join(policy.allowed_paths)}" if policy.allowed_paths else ""
    return NotAllowed(
        f"the class does not allow the path {path}: choose one of three or more segments that begins with {own}{others}"
    )
