"""What a Job and its Pod tell of the build that they are."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from ephemeral_endpoints.core.buildjob import BUILD, CREDENTIALS, DISK, IMAGE_ANNOTATION
from ephemeral_endpoints.core.builds import Build, Result, Step

Raw = Mapping[str, Any]

_MESSAGE_LENGTH: Final = 1000

# What BuildKit says, in source/git/source.go, exporter/containerimage/export.go and solver/llbsolver/ops/exec.go of
# its repository; a failed process is quoted (%q), so that its text begins no line of its own.
_SOLVE: Final = re.compile(r"^error: failed to solve: ", re.MULTILINE)
_RPC: Final = re.compile(r"(rpc error: code = \w+ desc = |failed to solve: )*")
_PUSHING: Final = re.compile(r"failed to push |failed commit on ref ")
_FETCHING: Final = re.compile(
    r"failed to (fetch|checkout) remote |failed to init repo|couldn't find remote ref|does not contain ref"
    r"|error fetching default branch|git stderr:|invalid commit sha"
)
_PROCESS: Final = re.compile(r'process "')
_KILLED: Final = re.compile(r"exit code: 137$")
_NO_DAEMON: Final = re.compile(r"could not connect to unix:|rpc error: code = Unavailable")
_STARTS_FAIL: Final = frozenset({"StartError", "ContainerCannotRun", "ContainerStatusUnknown"})
_ON_ITS_WAY: Final = frozenset({"PodInitializing", "ContainerCreating"})


class _Outcome(NamedTuple):
    result: Result
    step: Step
    message: str = ""
    ended_at: str | None = None


def build_id(found: Raw) -> str:
    """A Job's ``<name>/<uid>``: a later one of the same name is another build."""
    return f"{found['metadata']['name']}/{found['metadata']['uid']}"


def build_of(found: Raw, pod: Raw | None) -> Build:
    """What a Job of ours, and its newest Pod if there is one, tell of their build."""
    metadata = found["metadata"]
    outcome = _outcome(found, pod or {})
    return Build(
        id=build_id(found),
        image=metadata.get("annotations", {}).get(IMAGE_ANNOTATION, ""),
        result=outcome.result,
        step=outcome.step,
        started_at=datetime.fromisoformat(metadata["creationTimestamp"]),
        ended_at=datetime.fromisoformat(outcome.ended_at) if outcome.ended_at else None,
        message=_shorten(outcome.message),
    )


def told_lines(pod: Raw) -> tuple[str, ...]:
    """The last lines of the container that failed, as the Pod's status keeps them; empty if it keeps none."""
    for terminated in (_terminated(pod, CREDENTIALS), _terminated(pod, BUILD)):
        if terminated and terminated["exitCode"]:
            return tuple(terminated.get("message", "").splitlines())
    return ()


def speaking_container(pod: Raw) -> str:
    """The container whose log is to be read."""
    return BUILD if _step(pod) is Step.BUILDING else CREDENTIALS


def _outcome(found: Raw, pod: Raw) -> _Outcome:
    deleted_at = found["metadata"].get("deletionTimestamp")
    if complete := _condition(found, "Complete"):
        return _Outcome(Result.SUCCEEDED, Step.PUSHING, "", complete["lastTransitionTime"])
    failed = _condition(found, "Failed")
    # Pods that end since their Job is being deleted make it fail.
    if deleted_at and not (failed and failed["lastTransitionTime"] < deleted_at):
        return _Outcome(Result.STOPPED, _step(pod), "its Job was deleted", deleted_at)
    if failed:
        return _failure(found, pod, failed)._replace(ended_at=failed["lastTransitionTime"])
    step = _step(pod)
    return _Outcome(Result.RUNNING, step, _delay(pod) if step is Step.WAITING else "")


def _failure(found: Raw, pod: Raw, failed: Raw) -> _Outcome:
    if failed.get("reason") == "DeadlineExceeded":
        # Kubernetes deletes the Pod then, so how far it got is mostly unknown.
        seconds = found["spec"]["activeDeadlineSeconds"]
        return _Outcome(Result.TIMED_OUT, _step(pod) if pod else Step.BUILDING, f"it took longer than {seconds} s")
    disturbed = _disturbance(pod) if pod else _Outcome(Result.FAULT, Step.WAITING, "its Pod is gone")
    if disturbed:
        return disturbed
    if (ended := _terminated(pod, CREDENTIALS)) and ended["exitCode"]:
        return _without_credentials(found, ended)
    if ended := _terminated(pod, BUILD):
        return _of_exit(found, ended)
    said = pod.get("status", {}).get("message") or failed.get("message", "")
    return _Outcome(Result.FAULT, _step(pod), f"its Pod failed: {said}")


def _disturbance(pod: Raw) -> _Outcome | None:
    """What befell the Pod from outside its containers, such as the loss of its node; None if nothing did."""
    status = pod.get("status", {})
    target = _condition(pod, "DisruptionTarget")
    reason = status.get("reason") or (target or {}).get("reason", "")
    if not reason:
        return None
    message = status.get("message") or (target or {}).get("message", "")
    if reason == "Evicted" and "exceeds" in message:
        return _Outcome(Result.FAILED, Step.BUILDING, f"the build needs more than its {DISK} of disk: {message}")
    return _Outcome(Result.FAULT, _step(pod), f"its Pod was ended ({reason}): {message}")


def _without_credentials(found: Raw, ended: Raw) -> _Outcome:
    said = _memory_advice(found) if ended.get("reason") == "OOMKilled" else ended.get("message", "")
    return _Outcome(
        Result.FAILED, Step.WAITING, f"no password for the registry (exit code {ended['exitCode']}): {said}"
    )


def _of_exit(found: Raw, ended: Raw) -> _Outcome:
    if ended.get("reason") == "OOMKilled":
        return _Outcome(Result.FAILED, Step.BUILDING, _memory_advice(found))
    said = ended.get("message", "")
    if ended.get("reason") in _STARTS_FAIL:
        return _Outcome(Result.FAULT, Step.WAITING, f"BuildKit did not start ({ended['reason']}): {said}")
    solve = list(_SOLVE.finditer(said))
    if solve:
        step, message = _of_solve(said[solve[-1].end() :].strip())
        advice = f" (killed; if for want of memory: {_memory_advice(found)})" if _KILLED.search(message) else ""
        return _Outcome(Result.FAILED, step, _shorten(message, _MESSAGE_LENGTH - len(advice)) + advice)
    if not said or _NO_DAEMON.search(said):
        return _Outcome(Result.FAULT, Step.BUILDING, f"BuildKit failed (exit code {ended['exitCode']}): {said}")
    # The beginning of a long message is cut off in the status.
    return _Outcome(Result.FAILED, Step.BUILDING, said)


def _of_solve(message: str) -> tuple[Step, str]:
    """How far a build was that BuildKit could not solve.

    A commit must not be able to make its failure look like one of pushing, which is tried again: what a failed process
    was, and all that it printed, is not searched, and a push that failed is told by how the message begins.
    """
    message = message[match.end() :] if (match := _RPC.match(message)) else message
    if _PROCESS.match(message):
        return Step.BUILDING, message
    if _PUSHING.match(message):
        return Step.PUSHING, message
    return (Step.FETCHING if _FETCHING.search(message) else Step.BUILDING), message


def _memory_advice(found: Raw) -> str:
    containers = found["spec"]["template"]["spec"]["containers"]
    memory = containers[0].get("resources", {}).get("limits", {}).get("memory", "")
    return f"it needs more than its {memory} of memory, which spec.builds.job.memory of the class gives"


def _delay(pod: Raw) -> str:
    """Why a Pod does not get on; empty if nothing is known to be in its way."""
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", ""))
    for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason", "PodInitializing") not in _ON_ITS_WAY:
            image, reason = container.get("image", ""), waiting["reason"]
            return f"its container {container['name']} ({image}) waits: {reason} {waiting.get('message', '')}"
    return ""


def _step(pod: Raw) -> Step:
    state = _state(pod, BUILD)
    return Step.BUILDING if "running" in state or "terminated" in state else Step.WAITING


def _terminated(pod: Raw, name: str) -> Raw | None:
    terminated: Raw | None = _state(pod, name).get("terminated")
    return terminated


def _state(pod: Raw, name: str) -> Raw:
    status = pod.get("status", {})
    for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        if container["name"] == name:
            state: Raw = container.get("state", {})
            return state
    return {}


def _condition(raw: Raw, kind: str) -> Raw | None:
    conditions: list[Raw] = raw.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind and each["status"] == "True"), None)


def _shorten(text: str, most: int = _MESSAGE_LENGTH) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
