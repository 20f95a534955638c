"""Detects what this machine offers for a control plane."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eep_platform.controlplane import gobuild

KUBECONFIG_VARIABLE = "EEP_KUBECONFIG"
ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"

_DOCKER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the choice of a provider depends on; None means that nothing was found or named."""

    kubeconfig: Path | None = None
    docker: bool = False
    kind: Path | None = None
    machine: str = "x86_64"
    assets: Path | None = None
    go: Path | None = None
    built: bool = False
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def observe(cls, environ: Mapping[str, str] = os.environ) -> "Facts":
        """Inspect `environ` and this machine; blocks for seconds if a Docker engine hangs."""
        return cls(
            kubeconfig=_path(environ, KUBECONFIG_VARIABLE),
            docker=_docker_answers(environ),
            kind=_which("kind", environ),
            machine=os.uname().machine,
            assets=_path(environ, ASSETS_VARIABLE),
            go=gobuild.find_go(environ),
            built=gobuild.cached(environ) is not None,
            environ=environ,
        )


def _path(environ: Mapping[str, str], variable: str) -> Path | None:
    value = environ.get(variable)
    return Path(value).expanduser().absolute() if value else None


def _which(program: str, environ: Mapping[str, str]) -> Path | None:
    found = shutil.which(program, path=environ.get("PATH"))
    return Path(found).absolute() if found else None


def _docker_answers(environ: Mapping[str, str]) -> bool:
    docker = _which("docker", environ)
    if docker is None:
        return False
    try:
        answer = subprocess.run(  # noqa: S603 - the user's own docker client
            [docker, "info"], env=dict(environ), capture_output=True, timeout=_DOCKER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0
