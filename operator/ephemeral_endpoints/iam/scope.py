"""How policies identify the operator's resources: by name, and by the tag of its cluster."""

from typing import Final

from ephemeral_endpoints.engine.names import prefix
from ephemeral_endpoints.engine.tags import CLUSTER, NAME, UID
from ephemeral_endpoints.iam.statement import Conditions, Statement

OURS: Final = f"{prefix('${ClusterId}')}*"
"""Matches the names of all resources of one operator."""

HERE: Final = "${Region}:${AccountId}"

IS_NEW: Final[Conditions] = {
    "StringEquals": {f"aws:RequestTag/{CLUSTER}": "${ClusterId}"},
    "StringEqualsIfExists": {f"aws:ResourceTag/{CLUSTER}": "${ClusterId}"},
}
"""A resource can be created only with the tag of the cluster, so that later calls can be restricted to it.

Few services distinguish tagging at creation from tagging an existing resource: another cluster's tag cannot change.
"""

IS_OURS: Final[Conditions] = {"StringEquals": {f"aws:ResourceTag/{CLUSTER}": "${ClusterId}"}}
"""The resource has the tag of the cluster."""

IS_OF_CLASS: Final[Conditions] = {
    "StringEquals": {f"aws:ResourceTag/{CLUSTER}": "${ClusterId}", f"aws:ResourceTag/{NAME}": "${ClassName}"}
}
"""The resource has the tags of one class. The operator alone creates such resources, and cannot give them others."""

IS_OF_NO_OTHER: Final[Conditions] = {"StringEqualsIfExists": {f"aws:ResourceTag/{CLUSTER}": "${ClusterId}"}}
"""The resource does not have the tag of another cluster: services recreate log groups without tags."""

_ALL_BUT_OWNERSHIP: Final[Conditions] = {
    # ForAllValues is true for a request without keys. IAM compares the keys of tags without regard to case.
    "ForAllValues:StringNotEqualsIgnoreCase": {"aws:TagKeys": (CLUSTER, UID)},
    "Null": {"aws:TagKeys": "false"},
}
RETAGS_OURS: Final[Conditions] = {**IS_OURS, **_ALL_BUT_OWNERSHIP}
"""All tags may change but those that prove whose the resource is."""

RETAGS_NO_OTHERS: Final[Conditions] = {**IS_OF_NO_OTHER, **_ALL_BUT_OWNERSHIP}


def arn(service: str, resource: str, *, at: str = HERE) -> str:
    """The ARN of a resource in the account and region, or ``at`` another location."""
    return f"arn:${{Partition}}:{service}:{at}:{resource}"


def role(name: str) -> str:
    """The ARN of the role whose name, including its path, is a parameter."""
    return arn("iam", f"role/${{{name}}}", at=":${AccountId}")


def passed_to(service: str) -> Conditions:
    """A role may be passed to one service only."""
    return {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}


def pass_role(sid: str, name: str, service: str, why: str) -> Statement:
    """The role whose name is a parameter may be handed to a service."""
    return Statement(sid, ("iam:PassRole",), (role(name),), why, passed_to(service))


def retag(
    sid: str, action: str, resources: tuple[str, ...], conditions: Conditions = RETAGS_OURS, beside: str = ""
) -> Statement:
    """Allows to change the tags that follow the object and its class."""
    return Statement(
        sid,
        (action,),
        resources,
        f"Updates tags: the end of life, retention, and those of the class and the object{beside}.",
        conditions,
    )
