"""The status of a Pod from the states of its containers. Pure; times are text in the API server's format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eep_platform.kubelet.pods import LOOPBACK, Raw

_CONDITIONS: Final = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
_OF_CONTAINERS: Final = frozenset({"ContainersReady", "Ready"})


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not started yet, or waiting for a restart."""

    reason: str = "ContainerCreating"
    message: str = ""

    def to_wire(self) -> dict[str, Any]:
        """As ContainerState."""
        return {"waiting": {"reason": self.reason, **({"message": self.message} if self.message else {})}}


@dataclass(frozen=True, slots=True)
class Running:
    """Running."""

    since: str

    def to_wire(self) -> dict[str, Any]:
        """As ContainerState."""
        return {"running": {"startedAt": self.since}}


@dataclass(frozen=True, slots=True)
class Terminated:
    """Ended with an exit code and perhaps a termination message."""

    code: int
    since: str
    until: str
    message: str = ""

    def to_wire(self) -> dict[str, Any]:
        """As ContainerState."""
        message = {"message": self.message} if self.message else {}
        reason = "Error" if self.code else "Completed"
        times = {"startedAt": self.since, "finishedAt": self.until}
        return {"terminated": {"exitCode": self.code, "reason": reason, **times, **message}}


State = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """The status of one container."""

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
    """Whether a restartPolicy restarts a container that ended with an exit code."""
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def phase(containers: Sequence[ContainerStatus], *, policy: str, is_ending: bool) -> str:
    """The phase of a Pod; a terminating Pod restarts no container."""
    states = [each.state for each in containers]
    ended = [state for state in states if isinstance(state, Terminated)]
    is_over = len(ended) == len(states) and (is_ending or not any(is_restarted(policy, each.code) for each in ended))
    if is_over:
        return "Failed" if any(each.code for each in ended) else "Succeeded"
    has_run = any(isinstance(state, Running | Terminated) for state in states) or any(
        each.last is not None for each in containers
    )
    return "Running" if has_run else "Pending"


def pod_status(containers: Sequence[ContainerStatus], before: Raw, *, policy: str, now: str, is_ending: bool) -> Raw:
    """The status of a Pod; conditions that are the same as in the status ``before`` keep their time."""
    pod_phase = phase(containers, policy=policy, is_ending=is_ending)
    is_ready = pod_phase == "Running" and all(each.is_ready for each in containers)
    known = {each["type"]: each for each in before.get("conditions", [])}
    return {
        "phase": pod_phase,
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
