"""Who has a path, when several objects of a class ask for the same one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ephemeral_endpoints.api.endpoint import EphemeralEndpoint


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """An object's claim to a path. Claims sort by age; the UID settles what the second of the creation cannot."""

    created_at: datetime
    uid: str
    path: str
    holder: str
    """The object as people write it: namespace/name."""


def path_of(endpoint: EphemeralEndpoint) -> str:
    """The path of the object's URL."""
    return endpoint.spec.api.path or f"/{endpoint.metadata.namespace}/{endpoint.metadata.name}"


def holder_of(path: str, claims: Iterable[Claim]) -> Claim | None:
    """The oldest claim to the path."""
    return min((claim for claim in claims if claim.path == path), default=None)
