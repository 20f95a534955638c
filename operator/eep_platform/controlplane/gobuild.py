"""Builds the control plane from Go modules, once per machine."""

from collections.abc import Callable, Mapping
from pathlib import Path

from eep_platform.controlplane.binaries import APISERVER, CONTROLLER_MANAGER, ETCD, Binaries
from eep_platform.gobuild import Module, find_go, required_version

__all__ = ["build", "cached", "find_go", "kubernetes_version", "module"]

_SOURCES = Path(__file__).parent / "gomodule"
_PACKAGES = {
    ETCD: "go.etcd.io/etcd/server/v3",
    APISERVER: "k8s.io/kubernetes/cmd/kube-apiserver",
    CONTROLLER_MANAGER: "k8s.io/kubernetes/cmd/kube-controller-manager",
}
# Measured without a cache on two cores; the first one also downloads the modules.
_SECONDS = {ETCD: 45.0, APISERVER: 200.0, CONTROLLER_MANAGER: 85.0}
_NEEDED_BYTES = 5 * 1024**3


def module() -> Module:
    """Return the Go module of the control plane."""
    version, major, minor = kubernetes_version()
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return Module(
        title=f"Kubernetes {version}",
        sources=_SOURCES,
        cache=Path("controlplane"),
        packages=_PACKAGES,
        stamps={f"k8s.io/component-base/version.{name}": value for name, value in values.items()},
        needed_bytes=_NEEDED_BYTES,
        effort="expect five to ten minutes on two cores and 5 GB of disk meanwhile",
        advice="; KUBEBUILDER_ASSETS can name a folder with existing programs",
        seconds=_SECONDS,
    )


def kubernetes_version() -> tuple[str, str, str]:
    """Return version, major and minor of the pinned Kubernetes, such as ("v1.36.3", "1", "36")."""
    version = required_version(_SOURCES, "k8s.io/kubernetes")
    major, minor, _ = version.removeprefix("v").split(".", 2)
    return version, major, minor


def cached(environ: Mapping[str, str]) -> Binaries | None:
    """Return the binaries of an earlier build for this platform and these sources, or None."""
    folder = module().cached(environ)
    return None if folder is None else Binaries(folder)


def build(go: Path | None, environ: Mapping[str, str], report: Callable[[str], None]) -> Binaries:
    """Return the binaries; builds missing ones with the toolchain `go` (blocks for minutes).

    Raises:
        PlatformError: see `Module.build`.
    """
    return Binaries(module().build(go, environ, report))
