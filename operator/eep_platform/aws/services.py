"""The processes of the embedded AWS, and of the Git hosts beside it. They start in any order."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Self

import boto3
import botocore.session
from botocore.loaders import Loader

import eep_platform
from eep_platform import git, git_server
from eep_platform.aws import ministack
from eep_platform.processes import ManagedProcess, find, free_ports, spawn, stop, stop_all, wait_until

FRONT = "front"
SAGEMAKER = "sagemaker"
CODEBUILD = "codebuild"
GIT = "git"
GITHUB = "github"

_READY_SECONDS = 120
_LOOPBACK = "http://127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback ports of one embedded AWS."""

    front: int
    ministack: int
    sagemaker: int
    codebuild: int
    git: int
    github: int

    @classmethod
    def free(cls) -> Self:
        """Ports that are free at this moment."""
        return cls(*free_ports(len(fields(cls))))

    @property
    def endpoint(self) -> str:
        """The URL that clients use for all services."""
        return f"{_LOOPBACK}:{self.front}"

    @property
    def git_url(self) -> str:
        """The URL that Git clients push to."""
        return f"{_LOOPBACK}:{self.git}"

    @property
    def github_url(self) -> str:
        """The URL of the GitHub: of its pages, and below it of its APIs."""
        return f"{_LOOPBACK}:{self.github}"


@dataclass(frozen=True, slots=True)
class _Service:
    name: str
    port: int
    health: str
    start: Callable[[], ManagedProcess]

    def is_ready(self) -> bool:
        return ministack.answers(f"{_LOOPBACK}:{self.port}{self.health}")


def start(state: Path, ports: Ports) -> None:
    """Start the services that do not run and block until all services answer.

    Idempotent: running services that answer stay, those that do not answer are restarted.

    Raises:
        PlatformError: a service could not be started or did not answer in time.
    """
    services = _services(state, ports)
    started = [(service, _running(service, state) or service.start()) for service in services]
    for service, process in started:
        wait_until(service.is_ready, seconds=_READY_SECONDS, what=f"{service.name} at {service.port}", process=process)


def status(state: Path, ports: Ports) -> dict[str, bool]:
    """Whether each service runs and answers; changes nothing."""
    return {
        service.name: find(service.name, state) is not None and service.is_ready()
        for service in _services(state, ports)
    }


def stop_services(state: Path) -> None:
    """Stop all services of the platform; blocks until they have ended."""
    stop_all(state, (FRONT, CODEBUILD, SAGEMAKER, GIT, GITHUB, ministack.NAME))


def upstreams(ports: Ports) -> list[str]:
    """The command line arguments of a front with the URLs of the services."""
    return [
        *("--upstream", f"{_LOOPBACK}:{ports.ministack}"),
        *("--sagemaker", f"{_LOOPBACK}:{ports.sagemaker}"),
        *("--codebuild", f"{_LOOPBACK}:{ports.codebuild}"),
    ]


def client_environment(ports: Ports) -> dict[str, str]:
    """The environment with which boto3 reaches only the embedded AWS."""
    return {**ministack.credentials(), "AWS_REGION": ministack.REGION, "AWS_ENDPOINT_URL": ports.endpoint}


def session() -> boto3.Session:
    """A session with the embedded AWS's credentials that ignores the user's own configuration."""
    known = ministack.credentials()
    core = _core()
    core.register_component("data_loader", _service_models())
    return boto3.Session(
        aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
        region_name=ministack.REGION,
        botocore_session=core,
    )


def _core() -> botocore.session.Session:
    nowhere = (None, None, os.devnull, None)
    settings = {"profile": (None, None, None, None), "config_file": nowhere, "credentials_file": nowhere}
    return botocore.session.Session(session_vars=settings)


@cache
def _service_models() -> Loader:
    """What all sessions share: reading a service's model takes far longer than anything else of a client."""
    loader: Loader = _core().get_component("data_loader")
    return loader


def _running(service: _Service, state: Path) -> ManagedProcess | None:
    process = find(service.name, state)
    if process is None or service.is_ready():
        return process
    stop(process)
    return None


def _services(state: Path, ports: Ports) -> tuple[_Service, ...]:
    def module(name: str, *arguments: object, process: str = "") -> Callable[[], ManagedProcess]:
        argv = [sys.executable, "-m", f"{eep_platform.__name__}.{name}", *map(str, arguments)]
        return lambda: spawn(process or name, argv, state=state, env=module_environment())

    emulator = f"{_LOOPBACK}:{ports.ministack}"
    common = ("--aws-endpoint", emulator, "--state", state.resolve())
    place = ("--region", ministack.REGION, "--account", ministack.ACCOUNT)
    return (
        _Service(
            ministack.NAME,
            ports.ministack,
            ministack.HEALTH,
            lambda: ministack.start(state, ports.ministack, front=ports.endpoint),
        ),
        _Service(
            FRONT,
            ports.front,
            "/_meter/health",
            module("aws.front", "--port", ports.front, *upstreams(ports), process=FRONT),
        ),
        _Service(
            SAGEMAKER,
            ports.sagemaker,
            "/_sagemaker/settings",
            module(SAGEMAKER, "--port", ports.sagemaker, *common, *place),
        ),
        _Service(
            CODEBUILD,
            ports.codebuild,
            "/_codebuild/settings",
            module(CODEBUILD, "--port", ports.codebuild, *common, *place, "--registry", f"127.0.0.1:{ports.ministack}"),
        ),
        _Service(
            GIT,
            ports.git,
            git_server.HEALTH,
            module("git_server", "--port", ports.git, "--folder", state.resolve() / git.FOLDER, process=GIT),
        ),
        _Service(GITHUB, ports.github, "/_github/settings", module(GITHUB, "--port", ports.github)),
    )


def module_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for running a module of this package as a process, without the user's AWS configuration."""
    package_root = str(Path(eep_platform.__file__).parents[1])
    python_path = filter(None, (package_root, environ.get("PYTHONPATH")))
    return {
        **ministack.without_aws(environ),
        **ministack.credentials(),
        "PYTHONPATH": os.pathsep.join(python_path),
        "PYTHONUNBUFFERED": "1",
    }
