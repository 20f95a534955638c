"""Owner tags: who a thing in AWS belongs to, for people, for cost reports and for the proof that it is ours."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

PREFIX: Final = "ephemeral-endpoints.io/"
CLUSTER: Final = f"{PREFIX}cluster"
UID: Final = f"{PREFIX}uid"
NAMESPACE: Final = f"{PREFIX}namespace"
NAME: Final = f"{PREFIX}name"
EXPIRES_AT: Final = f"{PREFIX}expires-at"
RETAIN: Final = f"{PREFIX}retain"
"""``true`` on what stays although its object is gone."""

Tags = tuple[tuple[str, str], ...]

VALUE_LENGTH = 256
_REFUSED = re.compile(r"[^\w .:/=+\-@]")


def tag_value(text: str) -> str:
    """``text`` as every AWS service takes it for a tag.

    Letters, digits, spaces and ``_.:/=+-@``, at most 256 characters.

    Rule: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
    """
    return _REFUSED.sub("_", text)[:VALUE_LENGTH]


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with seconds, as Kubernetes writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def owner_tags(  # noqa: PLR0913 - the tags are this many facts
    *,
    cluster_id: str,
    namespace: str,
    name: str,
    uid: str,
    created_at: datetime,
    expires_at: datetime,
    pull_request: int | None,
) -> Tags:
    """The tags of everything taggable that one object owns, sorted by key."""
    tags = {
        CLUSTER: cluster_id,
        NAMESPACE: namespace,
        NAME: name,
        UID: uid,
        EXPIRES_AT: timestamp(expires_at),
        "CreatedAt": timestamp(created_at),
        "Environment": "Ephemeral",
        "ManagedBy": "ephemeral-endpoints",
    }
    if pull_request is not None:
        tags["PR_Number"] = str(pull_request)
    return tuple(sorted((key, tag_value(value)) for key, value in tags.items()))


def class_tags(*, cluster_id: str, name: str, uid: str) -> Tags:
    """The tags of what the objects of a class share."""
    tags = {CLUSTER: cluster_id, NAME: name, UID: uid, "Environment": "Ephemeral", "ManagedBy": "ephemeral-endpoints"}
    return tuple(sorted((key, tag_value(value)) for key, value in tags.items()))


def living_marks(expires_at: datetime) -> Tags:
    """The tags that follow a living object, which may have been retained and revived."""
    return ((EXPIRES_AT, timestamp(expires_at)), (RETAIN, "false"))


RETAINED_MARKS: Final[Tags] = ((RETAIN, "true"),)
"""The tags that keep a thing when its object goes."""


def is_retained(found: Mapping[str, str]) -> bool:
    """Whether tags found in AWS say that the thing stays although its object is gone."""
    return found.get(RETAIN) == "true"


def is_owned(found: Mapping[str, str], *, cluster_id: str, uid: str) -> bool:
    """Whether tags found in AWS say that the thing belongs to that cluster and object."""
    return found.get(CLUSTER) == cluster_id and found.get(UID) == uid
