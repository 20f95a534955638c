from collections.abc import Mapping
from typing import Any

import pytest

from ephemeral_endpoints.features.checks.load.job_outcome import Ended, Running, outcome

JOB: dict[str, Any] = {"metadata": {"name": "load-1"}, "spec": {"activeDeadlineSeconds": 600}}


def job(kind: str = "", reason: str = "", message: str = "", **metadata: str) -> dict[str, Any]:
    condition = {"type": kind, "status": "True", "reason": reason, "message": message}
    return {**JOB, "metadata": {**JOB["metadata"], **metadata}, "status": {"conditions": [condition]} if kind else {}}


def pod(state: Mapping[str, Any] | None = None, **status: object) -> dict[str, Any]:
    containers = [{"name": "load", "image": "operator:1", "state": state}] if state else []
    return {"status": {"containerStatuses": containers, **status}}


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return pod({"terminated": {"exitCode": code, "reason": reason, **({"message": message} if message else {})}})


PULLING = pod({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}})
UNSCHEDULABLE = pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}])
EVICTED = pod(reason="Evicted", message="The node was low on resource: memory.")
PREEMPTED = pod(conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}])


@pytest.mark.parametrize(
    ("found", "seen", "expected"),
    [
        (job(), None, Running("it has no Pod yet: `kubectl describe job load-1` shows why, such as a quota")),
        (job("FailureTarget"), None, Running()),
        (job(), pod(), Running()),
        (job(), pod({"waiting": {"reason": "ContainerCreating"}}), Running()),
        (job(), pod({"running": {}}), Running()),
        (job(), UNSCHEDULABLE, Running("0/3 nodes are available")),
        (job(), PULLING, Running("container load (operator:1) is waiting: ImagePullBackOff not found")),
        (job("Complete"), ended(0, "Completed", "{}"), Ended(written="{}")),
        (job("Complete", deletionTimestamp="2026"), ended(0, "Completed", "{}"), Ended(written="{}")),
    ],
)
def test_how_far_a_load_check_is(found: dict[str, Any], seen: dict[str, Any] | None, expected: Running | Ended) -> None:
    assert outcome(found, seen) == expected


@pytest.mark.parametrize(
    ("found", "seen", "said"),
    [
        (job("Complete"), None, "the Job load-1 is complete, but its Pod, which had the result, is gone"),
        (job("Complete"), ended(0, "Completed"), "the Job load-1 is complete, but its Pod wrote no result"),
        (job(deletionTimestamp="2026"), pod({"running": {}}), "the Job load-1 was deleted"),
        (job("Failed", "DeadlineExceeded"), None, "the Job load-1 was not done after 600 s"),
        (job("Failed", "BackoffLimitExceeded", "gone"), None, "its Pod is gone, or failed: gone"),
        (job("Failed"), EVICTED, "Kubernetes ended its Pod (Evicted): The node was low on resource: memory."),
        (job("Failed"), PREEMPTED, "Kubernetes ended its Pod (PreemptionByScheduler): "),
        (job("Failed"), ended(137, "OOMKilled"), "the generator needs more than 256Mi of memory"),
        (job("Failed"), ended(128, "StartError", "no such file"), "the operator's image did not start: no such file"),
        (
            job("Failed"),
            ended(1, message="Traceback\n  File\nPermissionError: denied\n"),
            "the generator failed (exit code 1): PermissionError: denied",
        ),
        (job("Failed"), ended(143), "the generator failed (exit code 143): its log may say why"),
        (job("Failed"), ended(1, message="\x1b[2J\u202e" + "x" * 5000), "the generator failed (exit code 1):  [2J x"),
    ],
)
def test_what_kept_a_load_check_from_a_result_is_told(
    found: dict[str, Any], seen: dict[str, Any] | None, said: str
) -> None:
    told = outcome(found, seen)
    assert isinstance(told, Ended)
    assert told.written == ""
    assert told.trouble.startswith(said)
    assert len(told.trouble) < 400
    assert told.trouble.isprintable()
