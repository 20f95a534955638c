"""The operator as a process of the embedded platform: the same program as in a cluster."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import requests

import ephemeral_endpoints
from eep_platform.aws.ministack import without_aws
from eep_platform.paths import write_atomically
from eep_platform.platform import Platform
from eep_platform.processes import ManagedProcess, find, free_port, spawn, stop, wait_until

NAME = "operator"

_READY_SECONDS = 120
_PROBE_SECONDS = 2
_GRACE_SECONDS = 30.0


def start(platform: Platform, settings: Mapping[str, str] | None = None, *, name: str = NAME) -> str:
    """Start the operator unless it runs; blocks until it is ready, and returns the URL of its health and metrics.

    ``settings`` are environment variables, which override the platform's. Replicas need different names. Raises
    PlatformError if the operator does not become ready.
    """
    port_file = platform.state / f"{name}.port"
    process = find(name, platform.state)
    if process is None:
        port = free_port()
        write_atomically(port_file, str(port))
        process = _spawn(platform, name, {"EEP_HTTP_PORT": str(port), **(settings or {})})
    url = f"http://127.0.0.1:{port_file.read_text()}"
    wait_until(lambda: _is_ready(url), seconds=_READY_SECONDS, what=f"the {name}", process=process)
    return url


def end(platform: Platform, *, name: str = NAME, grace_seconds: float = _GRACE_SECONDS) -> None:
    """Stop the operator if it runs; with ``grace_seconds`` 0 it is killed immediately."""
    if process := find(name, platform.state):
        stop(process, grace_seconds=grace_seconds)


def log(platform: Platform, *, name: str = NAME) -> Path:
    """The file that the operator logs to."""
    return platform.state / "log" / f"{name}.log"


def _spawn(platform: Platform, name: str, settings: Mapping[str, str]) -> ManagedProcess:
    environment = {
        **without_aws(os.environ),
        "PYTHONPATH": str(Path(ephemeral_endpoints.__file__).parents[1]),
        **platform.environment,
        **settings,
    }
    return spawn(name, [sys.executable, "-m", "ephemeral_endpoints"], state=platform.state, env=environment)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=_PROBE_SECONDS).ok
    except requests.RequestException:
        return False
