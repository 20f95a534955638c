"""The object that a reconciliation is about, with its class, and the values resolved for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.names import Names
from ephemeral_endpoints.engine.resources import Key
from ephemeral_endpoints.engine.tags import Tags, joined, owner_tags, rendered
from ephemeral_endpoints.features.expiry.policy import Lifetime, lifetime


@dataclass(frozen=True, slots=True)
class Subject:
    """An object with the class that it resolved to."""

    cluster_id: str
    endpoint: EphemeralEndpoint
    endpoint_class: EphemeralEndpointClass

    @property
    def names(self) -> Names:
        """The names of the object's resources."""
        return Names(self.cluster_id, self.endpoint.metadata.name, self.endpoint.metadata.uid)

    @property
    def path(self) -> str:
        """The path of the object's URL."""
        return self.endpoint.path

    @property
    def lifetime(self) -> Lifetime:
        """When the object ends."""
        policy = self.endpoint_class.spec.lifecycle
        ttl = self.endpoint.spec.lifecycle.ttl
        return lifetime(self.created_at, ttl, default=policy.default_ttl, longest=policy.max_ttl)

    @property
    def created_at(self) -> datetime:
        """When the object was created. Raises ValueError for one that never was in an API server."""
        created_at = self.endpoint.metadata.creation_timestamp
        if created_at is None:
            raise ValueError("the API server sets creationTimestamp on every object")
        return created_at

    @property
    def tags(self) -> Tags:
        """The tags of the object's resources: the owner tags, and those that its class and the object itself set."""
        metadata, spec, policy = self.endpoint.metadata, self.endpoint.spec, self.endpoint_class.spec.tags
        owner = owner_tags(
            cluster_id=self.cluster_id,
            namespace=metadata.namespace or "",
            name=metadata.name,
            uid=metadata.uid,
            created_at=self.created_at,
            expires_at=self.lifetime.expires_at,
            pull_request=spec.source.pull_request,
        )
        return joined(owner, rendered(policy.values, self._placeholders), spec.tags)

    @property
    def _placeholders(self) -> dict[str, str]:
        """What the class's tags may refer to, see ``api.v1alpha1.tags.PLACEHOLDERS``."""
        metadata, source = self.endpoint.metadata, self.endpoint.spec.source
        return {
            "namespace": metadata.namespace or "",
            "name": metadata.name,
            "repository": source.repository,
            "pullRequest": str(source.pull_request or ""),
            "branch": source.branch or "",
        }

    def is_terminating(self, now: datetime) -> bool:
        """Whether the object is deleted or expired. ``now`` is the time of day in UTC."""
        return self.endpoint.metadata.deletion_timestamp is not None or self.lifetime.is_over(now)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The values resolved for an object: images' digests, the token's hash, its API, whether the path is its own.

    ``environment`` are the variables that ConfigMaps hold. An image without a digest, and a token or an environment of
    None, are not known (yet): resources that depend on them are neither created nor deleted.
    """

    digests: Mapping[str, str]
    token_sha256: str | None
    api: Key
    owns_path: bool
    environment: Mapping[str, str] | None = field(default_factory=dict)
