"""The three programs of a control plane."""

import os
from dataclasses import dataclass
from pathlib import Path

ETCD = "etcd"
APISERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
PROGRAMS = (ETCD, APISERVER, CONTROLLER_MANAGER)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with the programs under their usual names."""

    folder: Path

    def __getitem__(self, program: str) -> Path:
        return self.folder / program


def missing(folder: Path) -> tuple[str, ...]:
    """Return the programs that `folder` lacks as executable files."""
    return tuple(program for program in PROGRAMS if not _executable(folder / program))


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
