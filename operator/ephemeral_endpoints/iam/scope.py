"""What the operator's things are recognised by in policies: names, and the tag of its cluster."""

from typing import Final

from ephemeral_endpoints.core.names import prefix
from ephemeral_endpoints.core.tags import CLUSTER, EXPIRES_AT, RETAIN
from ephemeral_endpoints.iam.statement import Conditions

OURS: Final = f"{prefix('${ClusterId}')}*"
"""The names of all things of one operator."""

HERE: Final = "${Region}:${AccountId}"

IS_NEW: Final[Conditions] = {
    "StringEquals": {f"aws:RequestTag/{CLUSTER}": "${ClusterId}"},
    "StringEqualsIfExists": {f"aws:ResourceTag/{CLUSTER}": "${ClusterId}"},
}
"""Creating is allowed with the tag of the cluster only, so that everything can be held to it later.

Few services tell the tagging of something new from that of what exists: what has another cluster's tag keeps it.
"""

IS_OURS: Final[Conditions] = {"StringEquals": {f"aws:ResourceTag/{CLUSTER}": "${ClusterId}"}}
"""What has the tag of the cluster."""

IS_OF_NO_OTHER: Final[Conditions] = {"StringEqualsIfExists": {f"aws:ResourceTag/{CLUSTER}": "${ClusterId}"}}
"""What has the tag of no other cluster: services make log groups again, without tags."""

_MARKS_ONLY: Final[Conditions] = {
    # With no keys at all ForAllValues is true.
    "ForAllValues:StringEquals": {"aws:TagKeys": (EXPIRES_AT, RETAIN)},
    "Null": {"aws:TagKeys": "false"},
}
MARKS_OURS: Final[Conditions] = {**IS_OURS, **_MARKS_ONLY}
"""Only the tags that follow a lifetime may change."""

MARKS_NO_OTHERS: Final[Conditions] = {**IS_OF_NO_OTHER, **_MARKS_ONLY}


def arn(service: str, resource: str, *, at: str = HERE) -> str:
    """The ARN of a resource in the account and region, or ``at`` another place."""
    return f"arn:${{Partition}}:{service}:{at}:{resource}"


def role(name: str) -> str:
    """The ARN of the role whose name, path included, is a parameter."""
    return arn("iam", f"role/${{{name}}}", at=":${AccountId}")


def passed_to(service: str) -> Conditions:
    """A role may be handed to one service only."""
    return {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}
