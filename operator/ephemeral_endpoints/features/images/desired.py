"""The repository of a class: where the images go that are made for its objects."""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.ecr import Registry
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.names import owner_hash, owner_of, prefix, slug
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.engine.tags import class_tags
from ephemeral_endpoints.features.images.builds.policy import CACHE_PREFIX
from ephemeral_endpoints.features.images.specs import REPOSITORY, RepositorySpec

UNTAGGED_DAYS: Final = 1
"""How long images without a tag stay, such as a cache that a newer one has replaced."""

CACHE_DAYS: Final = 14
"""A cache that no commit has renewed for so long saves less than it costs."""

_DAY: Final = timedelta(days=1)


def repository_name(cluster_id: str, endpoint_class: EphemeralEndpointClass) -> str:
    """The name of the repository that the class makes its images in, its own or an existing one."""
    policy, metadata = endpoint_class.spec.images.repository, endpoint_class.metadata
    if policy.name is not None:
        return policy.name
    return f"{policy.prefix or ''}{prefix(cluster_id)}{slug(metadata.name)}-{owner_hash(metadata.uid)}"


def is_of_other_class(cluster_id: str, endpoint_class: EphemeralEndpointClass, repository: str) -> bool:
    """Whether the operator made the repository for another class."""
    return owner_of(cluster_id, repository) not in {None, owner_hash(endpoint_class.metadata.uid)}


def repository_uri(cluster_id: str, endpoint_class: EphemeralEndpointClass) -> str:
    """``<registry>/<name>`` of the repository, to which images add a tag or a digest."""
    registry = Registry(endpoint_class.spec.account, endpoint_class.spec.region)
    return f"{registry.host}/{repository_name(cluster_id, endpoint_class)}"


def desired_repository(cluster_id: str, endpoint_class: EphemeralEndpointClass) -> DesiredResource | None:
    """The repository that is to be made for the class.

    None where it uses one that is there already, or makes no images.
    """
    policy, metadata = endpoint_class.spec.images.repository, endpoint_class.metadata
    if policy.name is not None or endpoint_class.spec.builds is None:
        return None
    spec = RepositorySpec(
        immutable=True,
        mutable_prefix=CACHE_PREFIX,
        scan_on_push=True,
        lifecycle_policy=lifecycle_policy(endpoint_class.spec.lifecycle.max_ttl),
        kms_key_arn=policy.kms_key_arn,
        tags=class_tags(cluster_id=cluster_id, name=metadata.name, uid=metadata.uid),
    )
    return DesiredResource(Key(REPOSITORY, repository_name(cluster_id, endpoint_class)), spec)


def lifecycle_policy(max_ttl: timedelta) -> str:
    """Expiry of images by days since they were pushed: more than an object with a lifetime of ``max_ttl`` can need.

    An image that a rule with a lower number matches is not matched by others, and the rule for ``any`` must be the
    last (https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html). Images that an index names
    stay as long as that.
    """
    image_days = 2 * -(-max_ttl // _DAY) + 1
    rules = (
        _expiry({"tagStatus": "untagged"}, UNTAGGED_DAYS),
        _expiry({"tagStatus": "tagged", "tagPrefixList": [CACHE_PREFIX]}, CACHE_DAYS),
        _expiry({"tagStatus": "any"}, image_days),
    )
    return _canonical({"rules": list(_numbered(rules))})


def canonical_policy(text: str) -> str:
    """A policy as it is compared, regardless of its layout; empty for an invalid one."""
    try:
        return _canonical(json.loads(text))
    except (ValueError, RecursionError):
        return ""


def _expiry(selected: Mapping[str, Any], days: int) -> dict[str, Any]:
    count = {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    return {"selection": {**selected, **count}, "action": {"type": "expire"}}


def _numbered(rules: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    return ({"rulePriority": number, **rule} for number, rule in enumerate(rules, 1))


def _canonical(document: object) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
