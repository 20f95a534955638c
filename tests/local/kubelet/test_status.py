from typing import Any

import pytest

from ephemeral_endpoints.local.kubelet.status import Container, Running, State, Terminated, Waiting, phase, pod_status

T0, T1 = "2026-11-21T12:00:00Z", "2026-11-21T12:00:01Z"
RAN = Terminated(1, T0, T1)


def container(state: State, *, is_ready: bool = False, last: Terminated | None = None) -> Container:
    return Container("main", "image", state, last=last, is_started=is_ready, is_ready=is_ready)


def ended(code: int) -> Container:
    return container(Terminated(code, T0, T1))


@pytest.mark.parametrize(
    ("containers", "policy", "is_ending", "expected", "reason"),
    [
        ([container(Waiting())], "Always", False, "Pending", "nothing has run yet"),
        ([container(Running(T0))], "Always", False, "Running", ""),
        ([container(Waiting("CrashLoopBackOff"), last=RAN)], "Always", False, "Running", "it will run again"),
        ([ended(0)], "Never", False, "Succeeded", ""),
        ([ended(0), ended(3)], "Never", False, "Failed", "one of them is enough"),
        ([ended(0), container(Running(T0))], "Never", False, "Running", "one still runs"),
        ([ended(0)], "OnFailure", False, "Succeeded", "it need not run again"),
        ([ended(0)], "Always", True, "Succeeded", "it is deleted: nothing runs again"),
        ([ended(143)], "Always", True, "Failed", "ended by the signal"),
    ],
)
def test_the_phase_is_that_of_all_containers(
    containers: list[Container],
    policy: str,
    is_ending: bool,  # noqa: FBT001 - a column of the table
    expected: str,
    reason: str,
) -> None:
    assert phase(containers, policy=policy, is_ending=is_ending) == expected, reason


def conditions(status: Any) -> dict[str, tuple[str, str]]:  # noqa: ANN401 - as the API server has it
    return {each["type"]: (each["status"], each["lastTransitionTime"]) for each in status["conditions"]}


def test_a_pod_is_ready_when_all_its_containers_are_and_what_stays_keeps_its_time() -> None:
    ready, other = container(Running(T0), is_ready=True), container(Running(T0))
    first = pod_status([ready, other], {}, policy="Always", now=T0, is_ending=False)
    assert conditions(first) == {
        "PodScheduled": ("True", T0),
        "Initialized": ("True", T0),
        "ContainersReady": ("False", T0),
        "Ready": ("False", T0),
    }
    second = pod_status([ready, ready], first, policy="Always", now=T1, is_ending=False)
    assert conditions(second)["Ready"] == ("True", T1)
    assert conditions(second)["PodScheduled"] == ("True", T0)
    assert second["startTime"] == T0


def test_an_end_is_told_with_its_code_and_its_message() -> None:
    told = container(Terminated(2, T0, T1, "no such option")).to_wire()
    assert told["state"] == {
        "terminated": {
            "exitCode": 2,
            "reason": "Error",
            "startedAt": T0,
            "finishedAt": T1,
            "message": "no such option",
        }
    }
