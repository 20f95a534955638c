import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest
from kubernetes import client, config

import ephemeral_endpoints
from eep_platform import platform as local_platform
from eep_platform.aws import ministack, services
from eep_platform.aws.services import Ports
from eep_platform.bootstrap import DEFAULT_CLASS, EXAMPLE_REPOSITORY
from eep_platform.controlplane.binaries import PROGRAMS
from eep_platform.errors import PlatformError
from eep_platform.platform import Platform, Status
from eep_platform.processes import MARKER, ManagedProcess, find, wait_until
from ephemeral_endpoints.api import DEFAULT_CLASS_ANNOTATION, GROUP, VERSION

UP = "import sys, pathlib; from eep_platform import platform; platform.up(pathlib.Path(sys.argv[1]))"


def quiet(_: str) -> None: ...


@pytest.fixture
def states(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Folders for platforms; what runs in them at the end is ended."""
    made: list[Path] = []

    def state(name: str) -> Path:
        made.append(tmp_path / name)
        return made[-1]

    yield state
    for path in made:
        local_platform.down(path, report=quiet)


def processes_of(state: Path) -> list[int]:
    """Pids of everything that any platform of this state folder ever started and that is still alive."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER, "").startswith(f"{state.resolve()}{os.sep}"):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def parts_of(state: Path) -> dict[str, ManagedProcess | None]:
    """The processes of the parts of a platform; what these start for other tests comes and goes."""
    services_ = (services.FRONT, services.CODEBUILD, services.SAGEMAKER, services.GIT, services.GITHUB, ministack.NAME)
    return {name: find(name, state) for name in (*services_, *PROGRAMS)}


def kubernetes_of(running: Platform) -> client.ApiClient:
    configuration = client.Configuration()
    config.load_kube_config(str(running.kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
    return client.ApiClient(configuration)


def test_a_platform_is_set_up_for_the_first_endpoint(platform: Platform) -> None:
    with kubernetes_of(platform) as api:
        class_: Any = client.CustomObjectsApi(api).get_cluster_custom_object(
            GROUP, VERSION, "ephemeralendpointclasses", DEFAULT_CLASS
        )
    assert class_["metadata"]["annotations"][DEFAULT_CLASS_ANNOTATION] == "true"
    iam: Any = services.session().client("iam", endpoint_url=platform.aws_endpoint)
    trusted = {
        role["Arn"]: role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
        for role in iam.list_roles()["Roles"]
    }
    assert {
        class_["spec"]["executionRoleArn"]: "sagemaker.amazonaws.com",
        class_["spec"]["forwarderRoleArn"]: "lambda.amazonaws.com",
        class_["spec"]["invokeRoleArn"]: "apigateway.amazonaws.com",
    }.items() <= trusted.items()
    ecr = services.session().client("ecr", endpoint_url=platform.aws_endpoint)
    assert EXAMPLE_REPOSITORY in [each["repositoryName"] for each in ecr.describe_repositories()["repositories"]]


def test_platforms_live_side_by_side_and_each_goes_alone(platform: Platform, states: Callable[[str], Path]) -> None:
    state = states("other")
    other = local_platform.up(state, report=quiet)
    assert other.aws_endpoint != platform.aws_endpoint
    assert local_platform.status(state).platform == other

    before = parts_of(platform.state)
    assert all(before[name] for name in (services.FRONT, ministack.NAME))
    assert local_platform.up(platform.state, report=quiet) == platform
    local_platform.down(state, report=quiet)

    assert (state.exists(), processes_of(state)) == (False, [])
    assert local_platform.status(state) == Status(parts={})
    assert local_platform.status(platform.state).platform == platform
    assert parts_of(platform.state) == before


@pytest.mark.parametrize("killed_when_there_is", ["platform.json", "run/front.json"])
def test_an_up_that_was_killed_is_finished_by_the_next_or_undone_by_down(
    states: Callable[[str], Path], killed_when_there_is: str
) -> None:
    state = states("killed")
    environment = {**os.environ, "PYTHONPATH": str(Path(ephemeral_endpoints.__file__).parents[1])}
    command = [sys.executable, "-c", UP, str(state)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as up:  # noqa: S603 - own code
        wait_until((state / killed_when_there_is).exists, seconds=120, what="the moment to kill")
        up.kill()
    if killed_when_there_is == "platform.json":
        assert local_platform.up(state, report=quiet) == local_platform.status(state).platform
    local_platform.down(state, report=quiet)
    assert (state.exists(), processes_of(state)) == (False, [])


def test_a_down_that_was_killed_can_be_repeated(tmp_path: Path) -> None:
    state = tmp_path / "half"
    state.mkdir()
    (state / "platform.json").write_text(
        json.dumps({"ports": {"front": 1, "ministack": 2, "sagemaker": 3, "codebuild": 4, "git": 5, "github": 6}})
    )
    (state / "log").mkdir()
    local_platform.down(state, report=quiet)
    assert not state.exists()
    local_platform.down(state, report=quiet)  # and once more


@pytest.mark.parametrize("command", [local_platform.up, local_platform.down])
def test_a_folder_of_somebody_else_is_not_touched(tmp_path: Path, command: Callable[..., object]) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(PlatformError, match="has files that are not a platform's"):
        command(tmp_path, report=quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_recorded_port_that_somebody_else_took_is_given_up(tmp_path: Path) -> None:
    ports = Ports.free()
    taken = ports.front
    (tmp_path / "platform.json").write_text(json.dumps({"ports": asdict(ports)}))
    assert local_platform.claim(tmp_path).front == taken
    with socket.create_server(("127.0.0.1", taken)):
        assert local_platform.claim(tmp_path).front != taken
