"""The sources of a control plane, in the order of preference."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ephemeral_endpoints.local.controlplane import gobuild, server
from ephemeral_endpoints.local.controlplane.access import connect
from ephemeral_endpoints.local.controlplane.binaries import Binaries, missing
from ephemeral_endpoints.local.controlplane.facts import ASSETS_VARIABLE, KUBECONFIG_VARIABLE, Facts
from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.processes import wait_until

AUTO = "auto"

_NAMED_CLUSTER_SECONDS = 30.0

Report = Callable[[str], None]


class Provider(ABC):
    """One source of a control plane, as far as this machine has it."""

    name: ClassVar[str]

    @abstractmethod
    def obstacle(self) -> str | None:
        """Say why it cannot serve here, and what would help; None: it can. Pure."""

    def prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Do what is slow and is done once for a machine."""

    @abstractmethod
    def start(self, state: Path) -> Path:
        """Bring up the control plane of `state`, or what of it does not run, until it serves; return a kubeconfig."""

    @abstractmethod
    def stop(self, state: Path) -> None:
        """Take away all that `start`, however far it came, brought up."""


@dataclass(frozen=True, slots=True)
class UserKubeconfig(Provider):
    """The cluster that the user names: it is there already, and it stays."""

    name: ClassVar[str] = "kubeconfig"
    path: Path | None

    def obstacle(self) -> str | None:
        """Only naming counts: a file that is missing must fail, not be passed over in silence."""
        return None if self.path else f"{KUBECONFIG_VARIABLE} names no kubeconfig file"

    def start(self, state: Path) -> Path:  # noqa: ARG002 - the cluster belongs to no platform
        """Make sure that the cluster answers."""
        if self.path is None or not self.path.is_file():
            raise PlatformError(f"{KUBECONFIG_VARIABLE}={self.path} is no file")
        with connect(self.path) as access:
            wait_until(access.ready, seconds=_NAMED_CLUSTER_SECONDS, what=f"waiting for the cluster of {self.path}")
        return self.path

    def stop(self, state: Path) -> None:
        """Leave the cluster alone: it was there before."""


@dataclass(frozen=True, slots=True)
class Kind(Provider):
    """A kind cluster of our own in the user's Docker engine."""

    name: ClassVar[str] = "kind"
    docker: bool
    program: Path | None
    machine: str

    def obstacle(self) -> str | None:
        """It needs an engine, and a kind that runs on this processor."""
        if not self.docker:
            return "no Docker engine answers (`docker info` fails)"
        if self.program is None and self.machine.lower() not in {"x86_64", "amd64"}:
            return f"pytest-kind fetches kind for x86_64 only: install kind for {self.machine} yourself"
        return None

    def start(self, state: Path) -> Path:
        """Create the cluster, unless it exists."""
        from ephemeral_endpoints.local.controlplane import kind  # noqa: PLC0415 - slow to import, seldom needed

        return kind.start(state, self.program)

    def stop(self, state: Path) -> None:
        """Delete the cluster."""
        from ephemeral_endpoints.local.controlplane import kind  # noqa: PLC0415 - slow to import, seldom needed

        kind.stop(state, self.program)


@dataclass(frozen=True, slots=True)
class Assets(Provider):
    """Programs that the user has, in the folder that controller-runtime's test environment looks in as well."""

    name: ClassVar[str] = "assets"
    folder: Path | None

    def obstacle(self) -> str | None:
        """All programs must be there: two thirds of a control plane do not serve."""
        if self.folder is None:
            return f"{ASSETS_VARIABLE} names no folder"
        if lacking := missing(self.folder):
            return f"{ASSETS_VARIABLE}={self.folder} has no {', '.join(lacking)} (envtest's archives hold only a part)"
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
    """Programs built from their Go modules once for this machine."""

    name: ClassVar[str] = "build"
    built: bool
    go: Path | None
    environ: Mapping[str, str] = field(repr=False)
    report: Report

    def obstacle(self) -> str | None:
        """It needs a compiler, unless the work is done already."""
        if self.built or self.go:
            return None
        return "no Go toolchain: install ephemeral-endpoints[local], which brings one, or put `go` on PATH"

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
    """Return all providers, the preferred first. Pure."""
    return (
        UserKubeconfig(facts.kubeconfig),
        Kind(facts.docker, facts.kind, facts.machine),
        Assets(facts.assets),
        Build(built=facts.built, go=facts.go, environ=facts.environ, report=report),
    )


def by_name(name: str, providers: Sequence[Provider]) -> Provider:
    """Return the provider that the user calls `name`.

    Raises:
        PlatformError: there is none; the message lists those that there are.
    """
    for provider in providers:
        if provider.name == name:
            return provider
    names = ", ".join([AUTO, *(provider.name for provider in providers)])
    raise PlatformError(f"no provider of control planes is called {name!r}: choose one of {names}")


def choose(requested: str, providers: Sequence[Provider]) -> Provider:
    """Return the provider named `requested`, for "auto" the first that can serve. Pure.

    Raises:
        PlatformError: there is none of this name, or it (for "auto": each) has an obstacle; the message lists them.
    """
    obstacles = []
    for provider in providers if requested == AUTO else [by_name(requested, providers)]:
        obstacle = provider.obstacle()
        if obstacle is None:
            return provider
        obstacles.append(f"{provider.name}: {obstacle}")
    raise PlatformError("\n  ".join(["no control plane can be had here:", *obstacles]))
