"""Which paths an object may have, and which object has a path that several of a class ask for.

A URL takes the requests below its path, too: who has a path has all paths above and below it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.public_api import Api, ApiMode
from ephemeral_endpoints.api.v1alpha1.routing import RoutingPolicy
from ephemeral_endpoints.engine.errors import NotAllowed
from ephemeral_endpoints.features.routing.specs import ThrottleSpec


@dataclass(frozen=True, slots=True)
class Claim:
    """An object that asks for a path, or for one above or below it; ``name`` is the object: namespace/name.

    ``holds`` says whether its path leads to it already.
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

    A path of two segments is the default one of the object with that namespace and name, whether it exists or not.
    Before that object is created only its own namespace can have taken a path below, and thereby the path, unless the
    class allows others.
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
            f"more segments, such as {endpoint.default_path}/v1"
        )
    if path.startswith(own) or any(fnmatchcase(path, pattern) for pattern in policy.allowed_paths):
        return None
    others = f", or {', '.join(policy.allowed_paths)}" if policy.allowed_paths else ""
    return NotAllowed(
        f"the class does not allow the path {path}: choose one of three or more segments that begins with {own}{others}"
    )


def refused_cors(api: Api, policy: RoutingPolicy) -> NotAllowed | None:
    """Why the pages of the origins that the object lists may not call it; None if they may."""
    is_open = api.auth.type is AuthType.NONE and api.cors is not None and "*" in api.cors.allow_origins
    if not is_open or policy.allow_any_origin:
        return None
    return NotAllowed(
        "the class does not allow the pages of any origin to call a URL that needs no token: list the origins in "
        "spec.api.cors.allowOrigins, or set spec.api.auth.type to Token"
    )


def refused_postprocess(api: Api, policy: RoutingPolicy) -> NotAllowed | None:
    """Why the answers may not be passed to the SageMaker endpoint that the object names; None if they may."""
    name = api.postprocess.sage_maker_endpoint if api.postprocess else None
    if name is None or name in policy.postprocessors:
        return None
    listed = ", ".join(policy.postprocessors) or "none"
    return NotAllowed(
        f"the class does not list the SageMaker endpoint {name} in routing.postprocessors: choose another one in "
        f"spec.api.postprocess.sageMakerEndpoint (listed: {listed}), or ask the platform team to list yours"
    )


def refused_throttle(api: Api, policy: RoutingPolicy) -> NotAllowed | None:
    """Why the URL does not take as many requests as the object asks for; None if it does."""
    asked, most = api.throttle, policy.max_throttle or policy.throttle
    if asked is None or (asked.rate_limit <= most.rate_limit and asked.burst_limit <= most.burst_limit):
        return None
    return NotAllowed(
        f"the class allows at most {most.rate_limit} requests per second and a burst of {most.burst_limit}, which is "
        "what the URL takes now: lower spec.api.throttle, or ask the platform team to raise spec.routing.maxThrottle "
        "of the class"
    )


def throttle_of(api: Api, policy: RoutingPolicy) -> ThrottleSpec:
    """How many requests a URL takes: as many as its object asks for and the class allows, or as the class says."""
    asked, most = api.throttle, policy.max_throttle or policy.throttle
    if asked is None:
        return ThrottleSpec(policy.throttle.rate_limit, policy.throttle.burst_limit)
    return ThrottleSpec(min(asked.rate_limit, most.rate_limit), min(asked.burst_limit, most.burst_limit))


def refused_mode(api: Api, policy: RoutingPolicy) -> NotAllowed | None:
    """Why the object has no API of its own although it asks for one; None if it has, or asks for none."""
    if api.mode is ApiMode.SHARED or policy.allow_dedicated:
        return None
    return NotAllowed(
        "the class allows no HTTP API of an object's own, and the URL is in one of the class: set spec.api.mode to "
        "Shared, or ask the platform team for spec.routing.allowDedicated in the class"
    )


def is_dedicated(api: Api, policy: RoutingPolicy) -> bool:
    """Whether the object has an API of its own."""
    return api.mode is ApiMode.DEDICATED and policy.allow_dedicated
