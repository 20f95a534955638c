"""The status of a Pod from what is known of its containers. Pure; times are text as the API server has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ephemeral_endpoints.local.kubelet.pods import LOOPBACK

Raw = Mapping[str, Any]

_CONDITIONS: Final = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
_OF_CONTAINERS: Final = frozenset({"ContainersReady", "Ready"})


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not started, or not again yet."""

    reason: str = "ContainerCreating"
    message: str = ""

    def to_wire(self) -> dict[str, Any]:
        """As ContainerState."""
        return {"waiting": {"reason": self.reason, **({"message": self.message} if self.message else {})}}


@dataclass(frozen=True, slots=True)
class Running:
    """Running since."""

    since: str

    def to_wire(self) -> dict[str, Any]:
        """As ContainerState."""
        return {"running": {"startedAt": self.since}}


@dataclass(frozen=True, slots=True)
class Terminated:
    """Ended with an exit code; a message is what it said of it."""

    code: int
    since: str
    until: str
    message: str = ""

    def to_wire(self) -> dict[str, Any]:
        """As ContainerState."""
        told = {"message": self.message} if self.message else {}
        reason = "Error" if self.code else "Completed"
        times = {"startedAt": self.since, "finishedAt": self.until}
        return {"terminated": {"exitCode": self.code, "reason": reason, **times, **told}}


State = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True)
class Container:
    """What is known of one container."""

    name: str
    image: str
    state: State
    last: Terminated | None = None
    is_started: bool = False
    is_ready: bool = False
    restarts: int = 0

    def to_wire(self) -> dict[str, Any]:
        """As ContainerStatus."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "state": self.state.to_wire(),
            "lastState": self.last.to_wire() if self.last else {},
            "started": self.is_started,
            "ready": self.is_ready,
            "restartCount": self.restarts,
        }


def is_restarted(policy: str, code: int) -> bool:
    """Whether a container that ended with a code is started again by its Pod's restartPolicy."""
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def phase(containers: Sequence[Container], *, policy: str, is_ending: bool) -> str:
    """The phase of a Pod; one that is being ended restarts nothing."""
    states = [each.state for each in containers]
    ended = [state for state in states if isinstance(state, Terminated)]
    is_over = len(ended) == len(states) and (is_ending or not any(is_restarted(policy, each.code) for each in ended))
    if is_over:
        return "Failed" if any(each.code for each in ended) else "Succeeded"
    has_run = any(isinstance(state, Running | Terminated) for state in states) or any(
        each.last is not None for each in containers
    )
    return "Running" if has_run else "Pending"


def pod_status(containers: Sequence[Container], before: Raw, *, policy: str, now: str, is_ending: bool) -> Raw:
    """The status of a Pod; what did not change since the status ``before`` keeps its time."""
    verdict = phase(containers, policy=policy, is_ending=is_ending)
    is_ready = verdict == "Running" and all(each.is_ready for each in containers)
    known = {each["type"]: each for each in before.get("conditions", [])}
    return {
        "phase": verdict,
        "hostIP": LOOPBACK,
        "podIP": LOOPBACK,
        "podIPs": [{"ip": LOOPBACK}],
        "startTime": before.get("startTime", now),
        "conditions": [
            _condition(known, name, value=is_ready or name not in _OF_CONTAINERS, now=now) for name in _CONDITIONS
        ],
        "containerStatuses": [each.to_wire() for each in containers],
    }


def _condition(known: Mapping[str, Raw], name: str, *, value: bool, now: str) -> Raw:
    status, before = str(value), known.get(name, {})
    since = before["lastTransitionTime"] if before.get("status") == status else now
    return {"type": name, "status": status, "lastTransitionTime": since}
