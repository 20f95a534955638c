from typing import Any

import pytest

from eep_platform.kubelet.status import ContainerStatus, Running, State, Terminated, Waiting, phase, pod_status

T0, T1 = "2026-11-21T12:00:00Z", "2026-11-21T12:00:01Z"
RAN = Terminated(1, T0, T1)


def container(state: State, *, is_ready: bool = False, last: Terminated | None = None) -> ContainerStatus:
    return ContainerStatus("main", "image", state, last=last, is_started=is_ready, is_ready=is_ready)


def ended(code: int) -> ContainerStatus:
    return container(Terminated(code, T0, T1))


@pytest.mark.parametrize(
    ("containers", "policy", "is_ending", "expected"),
    [
        pytest.param([container(Waiting())], "Always", False, "Pending", id="nothing has run yet"),
        pytest.param([container(Running(T0))], "Always", False, "Running", id="it runs"),
        pytest.param(
            [container(Waiting("CrashLoopBackOff"), last=RAN)], "Always", False, "Running", id="it will run again"
        ),
        pytest.param([ended(0)], "Never", False, "Succeeded", id="it ended well"),
        pytest.param([ended(0), ended(3)], "Never", False, "Failed", id="one of them is enough"),
        pytest.param([ended(0), container(Running(T0))], "Never", False, "Running", id="one still runs"),
        pytest.param([ended(0)], "OnFailure", False, "Succeeded", id="it need not run again"),
        pytest.param([ended(0)], "Always", True, "Succeeded", id="it is deleted: nothing runs again"),
        pytest.param([ended(143)], "Always", True, "Failed", id="ended by the signal"),
    ],
)
def test_the_phase_is_that_of_all_containers(
    containers: list[ContainerStatus],
    policy: str,
    is_ending: bool,  # noqa: FBT001 - a column of the table
    expected: str,
) -> None:
    assert phase(containers, policy=policy, is_ending=is_ending) == expected


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


def test_a_termination_is_reported_with_its_code_and_message() -> None:
    reported = container(Terminated(2, T0, T1, "no such option")).to_wire()
    assert reported["state"] == {
        "terminated": {
            "exitCode": 2,
            "reason": "Error",
            "startedAt": T0,
            "finishedAt": T1,
            "message": "no such option",
        }
    }
