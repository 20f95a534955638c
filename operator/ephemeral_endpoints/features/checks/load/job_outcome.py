"""How far a load check is, as its Job and Pod show it. Pure."""

from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.features.checks.load.job_specs import CONTAINER, MEMORY
from ephemeral_endpoints.kube.manifests import Raw, condition, delay, disturbance, terminated

_QUOTED: Final = 300
_STARTS_FAIL: Final = frozenset({"StartError", "ContainerCannotRun", "ContainerStatusUnknown"})


@dataclass(frozen=True, slots=True)
class Running:
    """It has not ended. ``delay`` is what is in its way, empty if nothing is known to be."""

    delay: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """It has ended: with what the generator wrote, or with ``trouble`` that kept it from that.

    ``is_late`` if it is what was in its way before that says why.
    """

    written: str = ""
    trouble: str = ""
    is_late: bool = False


def outcome(found: Raw, pod: Raw | None) -> Running | Ended:
    """What a Job of ours, and its newest Pod if there is one, show."""
    name = found["metadata"]["name"]
    if condition(found, "Complete"):
        return _complete(name, terminated(pod or {}, CONTAINER))
    if "deletionTimestamp" in found["metadata"]:
        return Ended(trouble=f"the Job {name} was deleted")
    if failed := condition(found, "Failed"):
        return _failed(found, failed, pod or {})
    if pod is None and not condition(found, "FailureTarget"):
        return Running(f"it has no Pod yet: `kubectl describe job {name}` shows why, such as a quota")
    return Running(_quoted(delay(pod or {})))


def _complete(name: str, ended: Raw | None) -> Ended:
    if ended and ended.get("message"):
        return Ended(written=str(ended["message"]))
    gone = "its Pod wrote no result" if ended else "its Pod, which had the result, is gone"
    return Ended(trouble=f"the Job {name} is complete, but {gone}")


def _failed(found: Raw, failed: Raw, pod: Raw) -> Ended:
    if failed.get("reason") == "DeadlineExceeded":
        name, seconds = found["metadata"]["name"], found["spec"]["activeDeadlineSeconds"]
        return Ended(trouble=f"the Job {name} was not done after {seconds} s", is_late=True)
    return Ended(trouble=_failure(failed, pod))


def _failure(failed: Raw, pod: Raw) -> str:
    if disturbed := disturbance(pod):
        return f"Kubernetes ended its Pod ({_quoted(disturbed[0])}): {_quoted(disturbed[1])}"
    ended = terminated(pod, CONTAINER)
    if not ended:
        return f"its Pod is gone, or failed: {_quoted(str(failed.get('message', '')))}"
    reason, said = ended.get("reason", ""), _quoted(str(ended.get("message", "")).strip().rpartition("\n")[2])
    if reason == "OOMKilled":
        return (
            f"the generator needs more than {MEMORY} of memory: lower rate, or choose a request with a smaller answer"
        )
    if reason in _STARTS_FAIL:
        return f"the operator's image did not start: {said}"
    return f"the generator failed (exit code {ended.get('exitCode')}): {said or 'its log may say why'}"


def _quoted(text: str) -> str:
    """Text of a Pod, which anybody may have written, on one line and short."""
    flat = "".join(each if each.isprintable() else " " for each in " ".join(text.split()))
    return flat if len(flat) <= _QUOTED else f"{flat[: _QUOTED - 1]}…"
