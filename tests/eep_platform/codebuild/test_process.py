import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from tests.eep_platform.codebuild.conftest import QUICK, ROLE, CodeBuild, eventually, spec
from tests.fixtures.platform import Aws

import ephemeral_endpoints
from eep_platform.aws import services
from eep_platform.aws.client import ControlClient
from eep_platform.aws.ministack import answers
from eep_platform.processes import ManagedProcess, free_port, is_alive, spawn, stop, wait_until


@contextmanager
def served(aws: Aws, state: Path) -> Iterator[tuple[ManagedProcess, CodeBuild]]:
    """A service of a test's own, that it may end as it likes."""
    port = free_port()
    argv = ["--port", str(port), "--aws-endpoint", aws.endpoint, "--state", str(state)]
    argv += ["--registry", aws.endpoint.removeprefix("http://")]
    environment = {**os.environ, "PYTHONPATH": str(Path(ephemeral_endpoints.__file__).parents[1])}
    program = [sys.executable, "-m", "eep_platform.codebuild"]
    process = spawn("builder", [*program, *argv], state=state, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/_codebuild/settings"), seconds=120, what="CodeBuild", process=process)
        make: Any = services.session().client
        service = CodeBuild(
            Aws(aws.endpoint, ControlClient(url)), make("codebuild", endpoint_url=url), f"project-{uuid4().hex[:8]}"
        )
        service.settings(**QUICK)
        service.client.create_project(
            name=service.project,
            source={"type": "NO_SOURCE", "buildspec": spec(build=["true"])},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
            serviceRole=ROLE,
        )
        yield process, service
    finally:
        stop(process)


@pytest.mark.parametrize("grace_seconds", [10.0, 0.0])
def test_builds_end_with_the_service_whether_stopped_or_killed(aws: Aws, tmp_path: Path, grace_seconds: float) -> None:
    with served(aws, tmp_path) as (process, service):
        build_id = service.start(spec(build=["setsid sleep 600 & sleep 600"]))
        service.wait_phase(build_id, "BUILD")
        eventually(lambda: len(service.processes(build_id)) >= 3, "its processes")
        if grace_seconds:
            psutil.Process(process.pid).terminate()
            eventually(lambda: not is_alive(process), "the end of the service")
        else:
            stop(process, grace_seconds=0)
        assert service.processes(build_id) == []
