"""Parts of the manifests of Jobs that we make, and what the status of their Pods says. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Raw = Mapping[str, Any]
"""An object as the API server has it."""

RESTRICTED: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""The security context of a container that needs nothing."""

READABLE: Final = 0o400
"""The kubelet lets the fsGroup read too: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/."""

_ON_ITS_WAY: Final = frozenset({"PodInitializing", "ContainerCreating"})


def literal(text: str) -> str:
    """A text that Kubernetes leaves as it is: elsewhere it replaces ``$(NAME)``, and ``$$`` by ``$``.

    https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
    """
    return text.replace("$", "$$")


def environment(values: Mapping[str, str]) -> list[dict[str, str]]:
    """The variables of a container, as they are."""
    return [{"name": name, "value": literal(value)} for name, value in values.items()]


def mount(volume: str, path: str, *, read_only: bool = False) -> dict[str, Any]:
    """A volume in a container."""
    return {"name": volume, "mountPath": path, **({"readOnly": True} if read_only else {})}


def condition(raw: Raw, kind: str) -> Raw | None:
    """The condition of that type, if it is True."""
    found: list[Raw] = raw.get("status", {}).get("conditions", [])
    return next((each for each in found if each["type"] == kind and each["status"] == "True"), None)


def state(pod: Raw, container: str) -> Raw:
    """The state of a container; empty while it has none."""
    for each in _container_statuses(pod):
        if each["name"] == container:
            found: Raw = each.get("state", {})
            return found
    return {}


def terminated(pod: Raw, container: str) -> Raw | None:
    """How a container has ended, if it has."""
    found: Raw | None = state(pod, container).get("terminated")
    return found


def delay(pod: Raw) -> str:
    """Why a Pod does not get on; empty if nothing is known to be in its way."""
    for each in pod.get("status", {}).get("conditions", []):
        if each["type"] == "PodScheduled" and each["status"] == "False":
            return str(each.get("message", ""))
    for each in _container_statuses(pod):
        waiting = each.get("state", {}).get("waiting", {})
        if waiting.get("reason", "PodInitializing") not in _ON_ITS_WAY:
            image, reason = each.get("image", ""), waiting["reason"]
            return f"container {each['name']} ({image}) is waiting: {reason} {waiting.get('message', '')}"
    return ""


def disturbance(pod: Raw) -> tuple[str, str] | None:
    """The reason and message of what ended a Pod from outside its containers, such as the loss of its node."""
    status, target = pod.get("status", {}), condition(pod, "DisruptionTarget") or {}
    reason = status.get("reason") or target.get("reason", "")
    return (reason, status.get("message") or target.get("message", "")) if reason else None


def _container_statuses(pod: Raw) -> Iterator[Raw]:
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses", [])
    yield from status.get("containerStatuses", [])
