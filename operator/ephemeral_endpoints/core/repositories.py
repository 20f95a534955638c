"""The repository of a class: where the images go that are made for its objects."""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.core.builds import CACHE_PREFIX
from ephemeral_endpoints.core.names import owner_hash, prefix, slug
from ephemeral_endpoints.core.resources import Key, Kind, RepositorySpec, Want
from ephemeral_endpoints.core.tags import class_tags

UNTAGGED_DAYS: Final = 1
"""What no tag leads to any more is of nobody, such as a cache that a newer one has replaced."""

CACHE_DAYS: Final = 14
"""A cache that no commit has renewed for so long saves less than it costs."""

_DAY: Final = timedelta(days=1)


def repository_name(cluster_id: str, klass: EphemeralEndpointClass) -> str:
    """The name of the repository that the class makes its images in, its own or one that is there already."""
    policy, metadata = klass.spec.images.repository, klass.metadata
    if policy.name is not None:
        return policy.name
    return f"{policy.prefix or ''}{prefix(cluster_id)}{slug(metadata.name)}-{owner_hash(metadata.uid)}"


def repository_uri(cluster_id: str, klass: EphemeralEndpointClass) -> str:
    """``<registry>/<name>`` of the repository, to which images add a tag or a digest."""
    region = klass.spec.region
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{klass.spec.account}.dkr.ecr.{region}.{domain}/{repository_name(cluster_id, klass)}"


def repository_want(cluster_id: str, klass: EphemeralEndpointClass) -> Want | None:
    """The repository that is to be made for the class.

    None where it uses one that is there already, or makes no images.
    """
    policy, metadata = klass.spec.images.repository, klass.metadata
    if policy.name is not None or klass.spec.builds is None:
        return None
    spec = RepositorySpec(
        immutable=True,
        mutable_prefix=CACHE_PREFIX,
        scan_on_push=True,
        lifecycle_policy=lifecycle_policy(klass.spec.lifecycle.max_ttl),
        kms_key_arn=policy.kms_key_arn,
        tags=class_tags(cluster_id=cluster_id, name=metadata.name, uid=metadata.uid),
    )
    return Want(Key(Kind.REPOSITORY, repository_name(cluster_id, klass)), spec)


def lifecycle_policy(max_ttl: timedelta) -> str:
    """What expires by itself, by days since it was pushed: more than any object that lives ``max_ttl`` can need.

    An image of which a rule with a lower number tells stays out of all others, and the rule for ``any`` must be the
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
    """A policy as it is compared, whatever its layout; empty for what is none."""
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
