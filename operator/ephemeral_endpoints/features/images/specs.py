"""The spec of a repository of images."""

from dataclasses import dataclass, field
from typing import Final

from ephemeral_endpoints.engine.resources import ResourceKind, Spec
from ephemeral_endpoints.engine.tags import Tags

REPOSITORY: Final = ResourceKind("Repository", None)


@dataclass(frozen=True, slots=True)
class RepositorySpec(Spec):
    """A repository of images. ``lifecycle_policy`` is canonical JSON, empty where there is none.

    Tags are ``immutable`` but for those that begin with ``mutable_prefix``. ``kms_key_arn`` None means S3's own
    encryption; it cannot change.
    """

    immutable: bool
    mutable_prefix: str
    scan_on_push: bool
    lifecycle_policy: str
    kms_key_arn: str | None = field(compare=False, default=None)
    tags: Tags = field(compare=False, default=())
