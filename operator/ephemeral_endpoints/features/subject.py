"""The object that a reconciliation is about, with its class, and the values resolved for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ephemeral_endpoints.api import EXTEND_UNTIL_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.names import Names
from ephemeral_endpoints.engine.resources import Key
from ephemeral_endpoints.engine.tags import Tags, joined, owner_tags, rendered
from ephemeral_endpoints.features.expiry.activity import Activity, first_end, reported
from ephemeral_endpoints.features.expiry.policy import (
    NEVER,
    End,
    Lifetime,
    end,
    is_of_stage,
    is_pinned,
    is_retained,
    lifetime,
)
from ephemeral_endpoints.features.packages.specs import PackagedModel
from ephemeral_endpoints.kube.tokens import FormerToken


@dataclass(frozen=True, slots=True)
class Subject:
    """An object with the class that it resolved to.

    ``noticed`` is the object's activity as the operator has noticed it; None: as the status tells it. ``packaged`` is
    what the package brings that some spec of the object named.
    """

    cluster_id: str
    endpoint: EphemeralEndpoint
    endpoint_class: EphemeralEndpointClass
    noticed: Activity | None = None
    packaged: PackagedModel | None = None

    @property
    def names(self) -> Names:
        """The names of the object's resources."""
        return Names(self.cluster_id, self.endpoint.metadata.name, self.endpoint.metadata.uid)

    @property
    def package(self) -> PackagedModel | None:
        """What the package brings that the object names; None while it is not known, or may not be served."""
        asked = self.endpoint.spec.model.package
        return self.packaged if asked and self.packaged and self.packaged.asked == asked else None

    @property
    def path(self) -> str:
        """The path of the object's URL."""
        return self.endpoint.path

    @property
    def activity(self) -> Activity:
        """Since when the object has its revision, and when it was last used."""
        told, noticed = reported(self.endpoint), self.noticed
        is_it = noticed and (noticed.uid, noticed.revision) == (told.uid, told.revision)
        return noticed if noticed and is_it else told

    @property
    def lifetime(self) -> Lifetime:
        """When the object's time to live is over."""
        if is_of_stage(self.endpoint.metadata):
            return Lifetime(NEVER, capped=False)
        policy, asked = self.endpoint_class.spec.lifecycle, self.endpoint.spec.lifecycle
        ttl = policy.default_ttl if asked.ttl is None else asked.ttl
        counted = first_end(asked.ttl_from or policy.ttl_from, ttl, self.created_at, self.activity)
        first = None if is_pinned(self.endpoint) else counted
        extend_until = self.endpoint.metadata.annotations.get(EXTEND_UNTIL_ANNOTATION)
        return lifetime(self.created_at, first, longest=policy.max_ttl, extend_until=extend_until)

    @property
    def is_at_its_latest(self) -> bool:
        """Whether the class lets the object live no longer than it does."""
        return self.lifetime.expires_at >= self.created_at + self.endpoint_class.spec.lifecycle.max_ttl

    @property
    def end(self) -> End:
        """When the object ends by itself, and why: its time to live is over, its pull request closed, or a budget."""
        return end(self.lifetime, self.endpoint)

    @property
    def expires_at(self) -> datetime | None:
        """When the object ends by itself; None if it never does."""
        return None if (at := self.end.at) == NEVER else at

    @property
    def is_retained(self) -> bool:
        """Whether the object's resources stay in AWS when it ends."""
        return is_retained(self.endpoint, self.endpoint_class)

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
            class_name=self.endpoint_class.metadata.name,
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

    @property
    def served_revision(self) -> str:
        """The commit that the object serves, as far as its status tells: that of the spec comes later."""
        return self.endpoint.status.revision or self.endpoint.revision

    def is_terminating(self, now: datetime) -> bool:
        """Whether the object is deleted or has ended. ``now`` is the time of day in UTC."""
        return self.endpoint.metadata.deletion_timestamp is not None or self.end.is_over(now)


@dataclass(frozen=True, slots=True)
class ApiSchemas:
    """The JSON Schemas of requests and answers as text; None where there is none."""

    request: str | None = None
    response: str | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """The values resolved for an object: images' digests, the token's hash, its API, whether the path is its own.

    ``former_token`` is accepted beside the token, ``environment`` are the variables that ConfigMaps hold, ``schemas``
    those of the API, ``base`` is the object whose models answer for comparison, ``second`` the one whose models get the
    answers, ``url`` the public URL, ``former_api`` the API that the URL is about to leave, and still is in,
    ``has_room`` says whether the API of the class has room for all of the object's routes, and ``queue`` is the name of
    the SQS queue that the object's operator reads. What is ``asleep`` runs nothing that costs by the hour, and no
    request wakes it if it is ``kept_asleep``; no model that is trained runs while it is ``refused``. An image without a
    digest, and a token, an environment, schemas, a URL, or the ``trained`` data of a model that is trained of None, are
    not known (yet), or cannot be used: resources that depend on them are neither created nor deleted.
    """

    digests: Mapping[str, str]
    token_sha256: str | None
    api: Key
    owns_path: bool
    environment: Mapping[str, str] | None = field(default_factory=dict)
    former_token: FormerToken | None = None
    schemas: ApiSchemas | None = field(default_factory=ApiSchemas)
    base: Subject | None = None
    second: Subject | None = None
    url: str | None = None
    former_api: Key | None = None
    has_room: bool = True
    asleep: bool = False
    kept_asleep: bool = False
    queue: str | None = None
    trained: str | None = None
    refused: bool = False
