"""The state of a build, as its Job and Pod show it."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

from ephemeral_endpoints.features.images.builds.job_specs import (
    BUILD,
    CREDENTIALS,
    DISK,
    IMAGE_ANNOTATION,
    PUSH,
    RESTORE,
    SOURCE,
)
from ephemeral_endpoints.features.images.builds.policy import Build, Result, Step
from ephemeral_endpoints.features.images.builds.source_check import REFUSED
from ephemeral_endpoints.features.images.references import is_digest
from ephemeral_endpoints.kube.manifests import condition, delay, disturbance, state, terminated

Raw = Mapping[str, Any]

_MESSAGE_LENGTH: Final = 1000

# BuildKit's messages, from source/git/source.go, exporter/containerimage/export.go and solver/llbsolver/ops/exec.go of
# its repository; a failed process is quoted (%q), so that its text begins no line of its own.
_SOLVE: Final = re.compile(r"^error: failed to solve: ", re.MULTILINE)
_RPC: Final = re.compile(r"(rpc error: code = \w+ desc = |failed to solve: )*")
_FETCHING: Final = re.compile(
    r"failed to (fetch|checkout) remote |failed to init repo|couldn't find remote ref|does not contain ref"
    r"|error fetching default branch|git stderr:|invalid commit sha"
)
_PROCESS: Final = re.compile(r'process "')
_KILLED: Final = re.compile(r"exit code: 137$")
_NO_DAEMON: Final = re.compile(r"could not connect to unix:|rpc error: code = Unavailable")
_COPY_FAILED: Final = re.compile(r'level=fatal msg="(.*)"$')
_STARTS_FAIL: Final = frozenset({"StartError", "ContainerCannotRun", "ContainerStatusUnknown"})


class _Outcome(NamedTuple):
    result: Result
    step: Step
    message: str = ""
    ended_at: str | None = None


def build_id(found: Raw) -> str:
    """A Job's ``<name>/<uid>``: a later one of the same name is another build."""
    return f"{found['metadata']['name']}/{found['metadata']['uid']}"


def build_of(found: Raw, pod: Raw | None) -> Build:
    """The build that a Job of ours, and its newest Pod if there is one, describe."""
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
        digest=_pushed(pod or {}) if outcome.result is Result.SUCCEEDED else None,
    )


def told_lines(pod: Raw) -> tuple[str, ...]:
    """The last lines of the container that failed, as the Pod's status keeps them; empty if it keeps none."""
    for ended in (terminated(pod, each) for each in (SOURCE, CREDENTIALS, RESTORE, BUILD, PUSH)):
        if ended and ended["exitCode"]:
            return tuple(ended.get("message", "").splitlines())
    return ()


def speaking_container(pod: Raw) -> str:
    """The container whose log is to be read."""
    started = (name for name in (PUSH, BUILD, CREDENTIALS, SOURCE) if _has_started(pod, name))
    return next(started, CREDENTIALS)


def _pushed(pod: Raw) -> str | None:
    message = (terminated(pod, PUSH) or {}).get("message", "").strip()
    return message if is_digest(message) else None


def _outcome(found: Raw, pod: Raw) -> _Outcome:
    deleted_at = found["metadata"].get("deletionTimestamp")
    if complete := condition(found, "Complete"):
        return _Outcome(Result.SUCCEEDED, Step.PUSHING, "", complete["lastTransitionTime"])
    failed = condition(found, "Failed")
    # Pods that end since their Job is being deleted make it fail.
    if deleted_at and not (failed and failed["lastTransitionTime"] < deleted_at):
        return _Outcome(Result.STOPPED, _step(pod), "the Job was deleted", deleted_at)
    if failed:
        return _failure(found, pod, failed)._replace(ended_at=failed["lastTransitionTime"])
    step = _step(pod)
    return _Outcome(Result.RUNNING, step, delay(pod) if step is Step.WAITING else "")


def _failure(found: Raw, pod: Raw, failed: Raw) -> _Outcome:
    if failed.get("reason") == "DeadlineExceeded":
        # Kubernetes deletes the Pod then, so how far it got is mostly unknown.
        seconds = found["spec"]["activeDeadlineSeconds"]
        return _Outcome(
            Result.TIMED_OUT, _step(pod) if pod else Step.BUILDING, f"the build took longer than {seconds} s"
        )
    disturbed = _disturbance(pod) if pod else _Outcome(Result.FAULT, Step.WAITING, "the Pod is gone")
    if disturbed:
        return disturbed
    for name, judged in _JUDGES.items():
        if (ended := terminated(pod, name)) and ended["exitCode"]:
            return judged(found, ended)
    said = pod.get("status", {}).get("message") or failed.get("message", "")
    return _Outcome(Result.FAULT, _step(pod), f"the Pod failed: {said}")


def _disturbance(pod: Raw) -> _Outcome | None:
    """The disruption of a Pod from outside its containers, such as the loss of its node; None if there is none."""
    ended = disturbance(pod)
    if ended is None:
        return None
    reason, message = ended
    if reason == "Evicted" and "exceeds" in message:
        return _Outcome(
            Result.FAILED, Step.BUILDING, f"the build needs more than the {DISK} of disk that it has: {message}"
        )
    return _Outcome(Result.FAULT, _step(pod), f"Kubernetes ended the Pod ({reason}): {message}")


def _without_source(found: Raw, ended: Raw) -> _Outcome:
    if ended.get("reason") in _STARTS_FAIL:
        return _Outcome(Result.FAULT, Step.WAITING, f"BuildKit's image did not start: {ended.get('message', '')}")
    said = _memory_advice(found) if ended.get("reason") == "OOMKilled" else ended.get("message", "")
    return _Outcome(Result.FAILED, Step.CHECKING if ended["exitCode"] == REFUSED else Step.FETCHING, said)


def _without_credentials(found: Raw, ended: Raw) -> _Outcome:
    said = _memory_advice(found) if ended.get("reason") == "OOMKilled" else ended.get("message", "")
    return _Outcome(
        Result.FAILED, Step.WAITING, f"the builder got no password for ECR (exit code {ended['exitCode']}): {said}"
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
        advice = (
            f" (the process was killed; if it ran out of memory: {_memory_advice(found)})"
            if _KILLED.search(message)
            else ""
        )
        return _Outcome(Result.FAILED, step, _shorten(message, _MESSAGE_LENGTH - len(advice)) + advice)
    if not said or _NO_DAEMON.search(said):
        return _Outcome(Result.FAULT, Step.BUILDING, f"BuildKit failed (exit code {ended['exitCode']}): {said}")
    # The beginning of a long message is cut off in the status.
    return _Outcome(Result.FAILED, Step.BUILDING, said)


def _of_skopeo(found: Raw, ended: Raw, step: Step) -> _Outcome:
    """A failure of skopeo, which runs nothing of the commit or image, so that another attempt may help."""
    if ended.get("reason") == "OOMKilled":
        return _Outcome(Result.FAILED, step, _memory_advice(found))
    said = ended.get("message", "").strip()
    if ended.get("reason") in _STARTS_FAIL:
        return _Outcome(Result.FAULT, Step.WAITING, f"skopeo did not start ({ended['reason']}): {said}")
    fatal = _COPY_FAILED.search(said)
    message = fatal[1].replace('\\"', '"') if fatal else said
    return _Outcome(Result.FAILED, step, message or f"skopeo failed (exit code {ended['exitCode']})")


_JUDGES: Final[Mapping[str, Callable[[Raw, Raw], _Outcome]]] = {
    SOURCE: _without_source,
    CREDENTIALS: _without_credentials,
    RESTORE: partial(_of_skopeo, step=Step.WAITING),
    BUILD: _of_exit,
    PUSH: partial(_of_skopeo, step=Step.PUSHING),
}
"""What the failure of each container means."""


def _of_solve(message: str) -> tuple[Step, str]:
    """How far a build was that BuildKit could not solve.

    A commit must not be able to make its failure look like one of fetching, which is tried again: the command line and
    output of a failed process are not searched.
    """
    message = message[match.end() :] if (match := _RPC.match(message)) else message
    if _PROCESS.match(message):
        return Step.BUILDING, message
    return (Step.FETCHING if _FETCHING.search(message) else Step.BUILDING), message


def _memory_advice(found: Raw) -> str:
    containers = found["spec"]["template"]["spec"]["containers"]
    memory = containers[0].get("resources", {}).get("limits", {}).get("memory", "")
    return f"the build needs more than {memory} of memory: raise spec.builds.job.memory of the class"


def _step(pod: Raw) -> Step:
    for name, step in ((PUSH, Step.PUSHING), (BUILD, Step.BUILDING)):
        if _has_started(pod, name):
            return step
    return Step.FETCHING if "running" in state(pod, SOURCE) else Step.WAITING


def _has_started(pod: Raw, name: str) -> bool:
    return not state(pod, name).keys().isdisjoint({"running", "terminated"})


def _shorten(text: str, most: int = _MESSAGE_LENGTH) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
