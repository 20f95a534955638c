"""Every annotation, label, finalizer and tag that the operator and its chart read or write: the tables of a page.

The commands among the annotations are in a table of their own (``api.commands``).
"""

from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api import (
    FINALIZER,
    FORMER_APPROVAL,
    HEAD_ANNOTATION,
    MANAGED_BY_LABEL,
    MANAGER,
    OVER_BUDGET_ANNOTATION,
    PULL_REQUEST_CLOSED_ANNOTATION,
    PULL_REQUEST_MERGED_ANNOTATION,
    ROTATE_TOKEN_ANNOTATION,
)
from ephemeral_endpoints.api.commands import COMMANDS
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS
from ephemeral_endpoints.engine import tags
from ephemeral_endpoints.features.checks.load.job_specs import LOAD_LABEL, RUN_ANNOTATION
from ephemeral_endpoints.features.expiry.policy import BY_HAND, TOOL_DOMAINS
from ephemeral_endpoints.features.images.builds.job_specs import CLASS_LABEL, CLUSTER_LABEL, IMAGE_ANNOTATION
from ephemeral_endpoints.kube.tokens import FORMER_UNTIL_ANNOTATION

SHARD_LABEL: Final = "ephemeral-endpoints.io/shard"
SHARDS_ANNOTATION: Final = "ephemeral-endpoints.io/shards"


@dataclass(frozen=True, slots=True)
class Mark:
    """An annotation, a label or a finalizer of Kubernetes, with its effect on the operator, if it has one."""

    key: str
    kind: str
    on: str
    set_by: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of a resource in AWS."""

    key: str
    value: str
    meaning: str


_BOTH: Final = f"{ENDPOINT.name}, {ENDPOINT_CLASS.name}"
_OPERATOR, _CHART, _AUTHORS = "the operator", "the chart", "authors and tools"

MARKS: Final = (
    Mark(FINALIZER, "finalizer", _BOTH, _OPERATOR, "keeps the object until nothing of it is left in AWS"),
    Mark(
        ROTATE_TOKEN_ANNOTATION,
        "annotation",
        "Secret",
        _OPERATOR,
        "the value of the object's annotation upon which the token was rotated last",
    ),
    Mark(
        FORMER_UNTIL_ANNOTATION,
        "annotation",
        "Secret",
        _OPERATOR,
        "RFC 3339, in UTC: until when the token before the last rotation is accepted, whose hash the Secret holds",
    ),
    Mark(
        PULL_REQUEST_CLOSED_ANNOTATION,
        "annotation",
        ENDPOINT.name,
        _OPERATOR,
        "RFC 3339, in UTC: since when the object ends because its pull request was closed; removed if it is reopened "
        "while the object is a tombstone",
    ),
    Mark(
        PULL_REQUEST_MERGED_ANNOTATION,
        "annotation",
        ENDPOINT.name,
        _OPERATOR,
        "likewise, because it was merged",
    ),
    Mark(
        OVER_BUDGET_ANNOTATION,
        "annotation",
        ENDPOINT.name,
        _OPERATOR,
        "`<time>=<commit>/<extend-until>`: since when the object ends because a budget is spent; void as soon as it "
        "has another commit, or its life is extended",
    ),
    Mark(
        HEAD_ANNOTATION,
        "annotation",
        ENDPOINT.name,
        _OPERATOR,
        "`<spec.source.revision>=<head>`: the newest commit of the pull request, which is served in place of that one "
        "with `spec.source.follow`; void as soon as the spec names another revision",
    ),
    Mark(
        FORMER_APPROVAL,
        "annotation",
        ENDPOINT.name,
        _AUTHORS,
        "once approved a commit; it approves nothing any more, and the message of `ImageReady` says so",
    ),
    Mark(
        "<tool>/…",
        "label, annotation",
        ENDPOINT.name,
        _AUTHORS,
        "shows that a tool keeps the object, which therefore stays as a tombstone when it expires "
        "(`spec.lifecycle.onExpiry: Auto`); so do an owner and a field manager of such a tool. `<tool>` is one of "
        f"{', '.join(TOOL_DOMAINS)}, or below it",
    ),
    Mark(
        MANAGED_BY_LABEL,
        "label",
        ENDPOINT.name,
        _AUTHORS,
        f"likewise, unless its value is one of {', '.join(sorted(filter(None, BY_HAND)))}",
    ),
    Mark(MANAGED_BY_LABEL, "label", "Secret, Job, Pod", _OPERATOR, f"`{MANAGER}` on what the operator makes"),
    Mark(CLUSTER_LABEL, "label", "Job, Pod", _OPERATOR, "the operator whose build it is"),
    Mark(CLASS_LABEL, "label", "Job, Pod", _OPERATOR, "the class whose build it is, for people and NetworkPolicies"),
    Mark(IMAGE_ANNOTATION, "annotation", "Job", _OPERATOR, "the image that the Job builds, by which it is found again"),
    Mark(
        LOAD_LABEL,
        "label",
        "Job, Pod",
        _OPERATOR,
        "the object whose endpoint the load check is for, as in the names in AWS",
    ),
    Mark(RUN_ANNOTATION, "annotation", "Job", _OPERATOR, "the run of checks that the load check belongs to"),
    Mark(SHARD_LABEL, "label", "Deployment, Pod, PodDisruptionBudget", _CHART, "the shard that the operator handles"),
    Mark(
        SHARDS_ANNOTATION,
        "annotation",
        "Deployment",
        _CHART,
        "the number of shards, by which the chart refuses to change it while replicas run",
    ),
)

TAGS: Final = (
    Tag(tags.CLUSTER, "the cluster id", "whose the resource is: with the next one, the proof of ownership"),
    Tag(tags.UID, "the object's or class's UID", "for which object it is"),
    Tag(
        tags.NAMESPACE,
        "the object's namespace",
        "for people and cost reports; not on what the objects of a class share",
    ),
    Tag(tags.NAME, "the object's or class's name", "for people and cost reports"),
    Tag(
        tags.CLASS,
        "the name of the object's class",
        "which reaper deletes it; not on what the objects of a class share",
    ),
    Tag(
        tags.EXPIRES_AT,
        "RFC 3339, in UTC",
        "when it goes away: the sweep deletes it then even if it knows nothing of the object",
    ),
    Tag(tags.RETAIN, "`true` or `false`", "`true`: it stays after its object is gone, and the sweep leaves it"),
    Tag("CreatedAt", "RFC 3339, in UTC", "when the object was made"),
    Tag("Environment", "`Ephemeral`", "for policies and cost reports of the account"),
    Tag("ManagedBy", f"`{MANAGER}`", "likewise"),
    Tag("PR_Number", "a number", "the pull request, of objects that name one"),
)


def keys() -> frozenset[str]:
    """All keys that the page explains."""
    return frozenset((*(each.annotation for each in COMMANDS), *(each.key for each in (*MARKS, *TAGS))))


def marks() -> str:
    """The table of what is in Kubernetes, without the commands."""
    rows = (f"| `{each.key}` | {each.kind} | {each.on} | {each.set_by} | {each.meaning} |" for each in MARKS)
    return "\n".join(["| key | is | on | set by | meaning |", "|---|---|---|---|---|", *rows])


def tag_table() -> str:
    """The table of tags in AWS."""
    rows = (f"| `{each.key}` | {each.value} | {each.meaning} |" for each in TAGS)
    return "\n".join(["| tag | value | meaning |", "|---|---|---|", *rows])
