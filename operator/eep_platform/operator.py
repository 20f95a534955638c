"""The operator as a process of the embedded platform: the same program as in a cluster."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import ephemeral_endpoints
from eep_platform import bootstrap
from eep_platform.aws.ministack import answers, without_aws
from eep_platform.paths import write_atomically
from eep_platform.platform import Platform
from eep_platform.processes import ManagedProcess, find, free_port, spawn, stop, wait_until

NAME = "operator"

_READY_SECONDS = 120
_GRACE_SECONDS = 30.0


def start(platform: Platform, settings: Mapping[str, str] | None = None, *, name: str = NAME) -> str:
    """Start the operator unless it runs; blocks until it is ready, and returns the URL of its health and metrics.

    ``settings`` are environment variables, which override the platform's. Replicas need different names. Raises
    PlatformError if the operator does not become ready.
    """
    process = find(name, platform.state)
    if process is None:
        port = free_port()
        write_atomically(_port_file(platform, name), str(port))
        process = _spawn(platform, name, {"EEP_HTTP_PORT": str(port), **(settings or {})})
    at = _url(platform, name)
    wait_until(lambda: answers(f"{at}/readyz"), seconds=_READY_SECONDS, what=f"the {name}", process=process)
    return at


def url(platform: Platform, *, name: str = NAME) -> str | None:
    """The URL of the health and metrics of the operator; None if it does not run."""
    return _url(platform, name) if find(name, platform.state) else None


def end(platform: Platform, *, name: str = NAME, grace_seconds: float = _GRACE_SECONDS) -> None:
    """Stop the operator if it runs; with ``grace_seconds`` 0 it is killed immediately."""
    if process := find(name, platform.state):
        stop(process, grace_seconds=grace_seconds)


def log(platform: Platform, *, name: str = NAME) -> Path:
    """The file that the operator logs to."""
    return platform.state / "log" / f"{name}.log"


def take_events(platform: Platform) -> dict[str, str]:
    """Have the platform's GitHub send its events to the operator; returns the settings that the operator needs."""
    port = free_port()
    hook = f"http://127.0.0.1:{port}/webhooks/github/{bootstrap.DEFAULT_CLASS}"
    platform.github.send_events(hook, bootstrap.WEBHOOK_SECRET)
    return {"EEP_WEBHOOK_PORT": str(port)}


def _port_file(platform: Platform, name: str) -> Path:
    return platform.state / f"{name}.port"


def _url(platform: Platform, name: str) -> str:
    return f"http://127.0.0.1:{_port_file(platform, name).read_text()}"


def _spawn(platform: Platform, name: str, settings: Mapping[str, str]) -> ManagedProcess:
    environment = {
        **without_aws(os.environ),
        "PYTHONPATH": str(Path(ephemeral_endpoints.__file__).parents[1]),
        **platform.environment,
        **settings,
    }
    return spawn(name, [sys.executable, "-m", "ephemeral_endpoints"], state=platform.state, env=environment)
