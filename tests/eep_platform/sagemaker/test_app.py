import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
from botocore.exceptions import ClientError

from eep_platform.processes import free_port

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service

OPERATOR = Path(__file__).parents[3] / "operator"


def is_model_server(process: psutil.Process) -> bool:
    try:
        return "model_server" in str(process.cmdline())
    except psutil.Error:
        return False


def model_servers() -> set[psutil.Process]:
    """All that the tests have running, those of other services too."""
    return {each for each in psutil.Process().children(recursive=True) if is_model_server(each)}


def test_its_end_ends_the_model_servers(
    short_lived_service: Callable[[], AbstractContextManager["Service"]], tmp_path: Path
) -> None:
    others = model_servers()
    with short_lived_service() as service:
        serving = psutil.Process(service.invoke(service.endpoint())["pid"])
        service.endpoint(service.config(service.model(MODE="never-healthy")), status="Creating")
        service.eventually(lambda: len(service.state()["containers"]) == 2, "both servers run")
        children = model_servers() - others
    # Until init has reaped them, the dead are still there as zombies.
    _, alive = psutil.wait_procs([serving, *children], timeout=60)
    assert alive == []
    assert list((tmp_path / "model-data").glob("*")) == []


def test_a_reset_leaves_nothing(short_lived_service: Callable[[], AbstractContextManager["Service"]]) -> None:
    with short_lived_service() as service:
        name = service.endpoint()
        process = psutil.Process(service.invoke(name)["pid"])
        service.settings(behaviour={"stuck": True})
        service.endpoint(status="Creating")
        assert requests.post(f"{service.url}/_sagemaker/reset", timeout=60).status_code == 204
        state = service.state()
        assert not any(state[kind] for kind in ("models", "endpointConfigs", "endpoints", "containers", "violations"))
        assert not process.is_running()
        with pytest.raises(ClientError, match="not found"):
            service.invoke(name)
        service.endpoint()


def test_nothing_is_told_after_a_reset_of_what_was_before_it(
    short_lived_service: Callable[[], AbstractContextManager["Service"]],
) -> None:
    with short_lived_service() as service:
        logs, name = service.aws("logs"), service.endpoint()

        def told() -> list[str]:
            try:
                found = logs.filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{name}")["events"]
            except logs.exceptions.ResourceNotFoundException:
                return []
            return [each["message"] for each in found]

        service.settings(side_channel_seconds=3600)
        service.invoke(name)
        assert requests.post(f"{service.url}/_sagemaker/reset", timeout=60).status_code == 204
        before = told()
        service.flush()
        assert told() == before


def test_the_program_serves_and_ends_on_a_signal(ministack: str, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "eep_platform.sagemaker", "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
        [*command, "--aws-endpoint", ministack, "--state", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(OPERATOR)},
        stderr=subprocess.PIPE,
    )
    try:
        settings = _eventually_settings(port)
        assert settings["containers"] == "on"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, b"Traceback" in errors) == (0, False)
    finally:
        process.kill()
        process.wait()


def _eventually_settings(port: int) -> dict[str, str]:
    session = requests.Session()
    retries = requests.adapters.Retry(total=240, connect=240, backoff_factor=0.05, backoff_max=0.5)
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
    with session:
        settings: dict[str, str] = session.get(f"http://127.0.0.1:{port}/_sagemaker/settings", timeout=60).json()
        return settings
