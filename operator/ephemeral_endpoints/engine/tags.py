"""Owner tags: the owner of a resource, for people, for cost reports and as the proof that the resource is ours."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

PREFIX: Final = "ephemeral-endpoints.io/"
CLUSTER: Final = f"{PREFIX}cluster"
UID: Final = f"{PREFIX}uid"
NAMESPACE: Final = f"{PREFIX}namespace"
NAME: Final = f"{PREFIX}name"
CLASS: Final = f"{PREFIX}class"
EXPIRES_AT: Final = f"{PREFIX}expires-at"
RETAIN: Final = f"{PREFIX}retain"
"""``true`` on a resource that stays after its object is gone."""

Tags = tuple[tuple[str, str], ...]

VALUE_LENGTH = 256
_REFUSED = re.compile(r"[^\w .:/=+\-@]")
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


def tag_value(text: str) -> str:
    """``text`` as every AWS service accepts it in a tag.

    Letters, digits, spaces and ``_.:/=+-@``, at most 256 characters.

    Rule: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
    """
    return _REFUSED.sub("_", text)[:VALUE_LENGTH]


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with seconds, as Kubernetes writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> datetime | None:
    """The moment that ``timestamp`` wrote; None for any other text."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def owner_tags(  # noqa: PLR0913 - the tags are this many facts
    *,
    cluster_id: str,
    namespace: str,
    name: str,
    uid: str,
    class_name: str,
    created_at: datetime,
    expires_at: datetime,
    pull_request: int | None,
) -> Tags:
    """The tags of all taggable resources of one object, sorted by key."""
    tags = {
        CLUSTER: cluster_id,
        NAMESPACE: namespace,
        NAME: name,
        UID: uid,
        CLASS: class_name,
        EXPIRES_AT: timestamp(expires_at),
        "CreatedAt": timestamp(created_at),
        "Environment": "Ephemeral",
        "ManagedBy": "ephemeral-endpoints",
    }
    if pull_request is not None:
        tags["PR_Number"] = str(pull_request)
    return tuple(sorted((key, tag_value(value)) for key, value in tags.items()))


def joined(owner: Tags, *users: Mapping[str, str]) -> Tags:
    """Owner tags, and those of users, of whom later ones take precedence over earlier ones and owner tags over all."""
    tags: dict[str, str] = {}
    for each in (*users, dict(owner)):
        tags |= each
    return tuple(sorted((key, tag_value(value)) for key, value in tags.items()))


def rendered(templates: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """The templates' tags, with each ``{name}`` of ``values`` replaced. Those that refer to other names are omitted."""
    return {
        key: _PLACEHOLDER.sub(lambda match: values[match[1]], template)
        for key, template in templates.items()
        if values.keys() >= set(_PLACEHOLDER.findall(template))
    }


def repairable(tags: Tags) -> Tags:
    """Those that may be added to a resource later: all but the proof of ownership, without which it is not ours."""
    return tuple((key, value) for key, value in tags if key not in {CLUSTER, UID})


def class_tags(*, cluster_id: str, name: str, uid: str) -> Tags:
    """The tags of resources that the objects of a class share."""
    tags = {CLUSTER: cluster_id, NAME: name, UID: uid, "Environment": "Ephemeral", "ManagedBy": "ephemeral-endpoints"}
    return tuple(sorted((key, tag_value(value)) for key, value in tags.items()))


ACTIVE_TAGS: Final[Tags] = ((RETAIN, "false"),)
"""The tags of an active object's resources that were retained before it was revived."""

RETAINED_TAGS: Final[Tags] = ((RETAIN, "true"),)
"""The tags that keep a resource when its object is deleted."""


def is_retained(found: Mapping[str, str]) -> bool:
    """Whether tags found in AWS say that the resource stays after its object is gone."""
    return found.get(RETAIN) == "true"


def is_owned(found: Mapping[str, str], *, cluster_id: str, uid: str) -> bool:
    """Whether tags found in AWS say that the resource belongs to that cluster and object."""
    return found.get(CLUSTER) == cluster_id and found.get(UID) == uid
