"""The three programs that a control plane consists of."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ETCD = "etcd"
APISERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
PROGRAMS = (ETCD, APISERVER, CONTROLLER_MANAGER)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder that holds the programs under their usual names."""

    folder: Path

    @classmethod
    def complete_in(cls, folder: Path) -> Self | None:
        """Return the binaries of `folder`, or None when one is missing there."""
        return None if missing(folder) else cls(folder)

    def __getitem__(self, program: str) -> Path:
        return self.folder / program


def missing(folder: Path) -> tuple[str, ...]:
    """Name the programs that `folder` does not hold as executable files."""
    return tuple(program for program in PROGRAMS if not _executable(folder / program))


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
