"""The steps of a Dockerfile that make files, and what is wrong with one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from eep_platform.containers.errors import BuildError

# At the beginning of a command of the shell.
_PACKAGES: Final = re.compile(
    r"(?:^|&&|\|\||[;|(\n])\s*(?:sudo\s+)?(apt-get|apt|aptitude|apk|dnf|yum|microdnf|conda|mamba)\s"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a line of a Dockerfile, and what to do."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


def refuse(faults: Sequence[Fault]) -> None:
    """Raise BuildError with all faults in the order of their lines, in one line of text; return if there are none."""
    if faults:
        ordered = sorted(set(faults), key=lambda fault: (fault.line, fault.message))
        raise BuildError(f"Dockerfile: {'; '.join(map(str, ordered))}")


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY from the context, or from the stage `stage`, to the absolute path `target` (with a final / for a folder)."""

    sources: tuple[str, ...]
    target: str
    stage: str | None
    owner: str = ""
    mode: int | None = None
    line: int = field(default=0, compare=False)

    @property
    def is_special(self) -> bool:
        """Whether it sets owners or permissions."""
        return bool(self.owner) or self.mode is not None


@dataclass(frozen=True, slots=True)
class SecretMount:
    """A secret that a command reads from a file."""

    id: str
    path: str
    required: bool


@dataclass(frozen=True, slots=True)
class Run:
    """RUN: a command of `user`, executed in `working_dir` with `environment`, which includes the build arguments.

    `text` is the command as it is written. `caches` are folders whose contents no image gets.
    """

    argv: tuple[str, ...]
    text: str
    environment: Mapping[str, str]
    working_dir: str
    user: str = ""
    secrets: tuple[SecretMount, ...] = ()
    caches: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)

    @property
    def package_manager(self) -> str | None:
        """The program that the command installs packages with, other than those of Python."""
        found = _PACKAGES.search(self.text)
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """WORKDIR: creates the folder unless it exists."""

    path: str
    line: int = field(default=0, compare=False)


Step = Copy | Run | MakeFolder
