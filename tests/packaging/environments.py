"""Distributions as a release builds them, and environments with nothing but what is installed into them."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uv

ROOT: Final = Path(__file__).parents[2]
OPERATOR: Final = ROOT
PLATFORM: Final = ROOT / "operator" / "eep_platform"

_SECONDS: Final = 600


def build(project: Path, target: Path) -> Path:
    """The wheel of a project, made of its source distribution, so that both are seen to be complete."""
    sources = _hatchling(project, "sdist", target)
    _run("tar", "--extract", "--file", sources, "--directory", target)
    return _hatchling(target / sources.name.removesuffix(".tar.gz"), "wheel", target)


def _hatchling(project: Path, kind: str, target: Path) -> Path:
    before = {*target.iterdir()}
    _run(sys.executable, "-P", "-m", "hatchling", "build", "--target", kind, "--directory", target, cwd=project)
    [made] = {*target.iterdir()} - before
    return made


@dataclass(frozen=True)
class Environment:
    """A virtual environment that sees neither this checkout nor the packages that the tests run with."""

    folder: Path

    @classmethod
    def empty(cls, folder: Path) -> "Environment":
        """A new one."""
        _uv("venv", "--python", sys.executable, folder)
        return cls(folder)

    def install_locked(self, lock: Path) -> None:
        """Install exactly what a lock file names."""
        self._install("sync", "--require-hashes", lock)

    def install(self, *requirements: str, constraint: Path) -> None:
        """Install what is required and all that it depends on, in the versions of a lock file."""
        self._install("install", "--constraint", constraint, *requirements)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, in its own folder."""
        argv = [str(self.folder / "bin" / program), *arguments]
        unaffected = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
        return subprocess.run(  # noqa: S603 - no shell
            argv, cwd=self.folder, env=unaffected, check=False, capture_output=True, text=True, timeout=_SECONDS
        )

    def _install(self, command: str, *arguments: str | Path) -> None:
        argv = ("pip", command, "--python", self.folder, *arguments)
        try:
            _uv(*argv, "--offline")
        except subprocess.CalledProcessError:
            _uv(*argv)  # packages are cached that were installed before, but not always what they are chosen by


def _uv(*arguments: str | Path) -> None:
    _run(uv.find_uv_bin(), *arguments)


def _run(*argv: str | Path, cwd: Path | None = None) -> None:
    subprocess.run(argv, cwd=cwd, check=True, stdout=subprocess.DEVNULL, timeout=_SECONDS)  # noqa: S603 - no shell
