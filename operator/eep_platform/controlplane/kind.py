"""A kind cluster in a Docker engine; pytest-kind downloads kind and drives it."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from pytest_kind import cluster as pytest_kind

from eep_platform.controlplane.access import connect
from eep_platform.controlplane.server import folder
from eep_platform.errors import PlatformError
from eep_platform.paths import cache_dir, private_dir
from eep_platform.processes import wait_until

KIND_VERSION = "v0.33.0"  # pytest-kind's own default dates from Kubernetes 1.25

_READY_SECONDS = 120.0


def start(state: Path, kind: Path | None) -> Path:
    """Create the cluster of `state` unless it exists, and return its kubeconfig; blocks for a minute or more.

    `kind` is the program; None downloads it once into the cache folder. The leftovers of a killed creation are deleted
    first (kind writes the kubeconfig last).

    Raises:
        PlatformError: kind failed; its message is on standard error.
    """
    with _cluster(state, kind) as cluster:
        if not cluster.kubeconfig_path.exists() or not cluster.kubeconfig_path.stat().st_size:
            cluster.ensure_kind()
            cluster.delete()
        cluster.create()
        cluster.api.session.close()
    with connect(cluster.kubeconfig_path) as access:
        wait_until(access.ready, seconds=_READY_SECONDS, what=f"waiting for the kind cluster {cluster.name}")
    return Path(cluster.kubeconfig_path)


def stop(state: Path, kind: Path | None) -> None:
    """Delete the cluster of `state` if it exists.

    Raises:
        PlatformError: kind failed, and the cluster may still exist.
    """
    with _cluster(state, kind) as cluster:
        cluster.ensure_kind()
        cluster.delete()


def cluster_name(state: Path) -> str:
    """Return the name of the cluster of `state`, unique among the platforms that share a Docker engine."""
    return f"eep-{hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:12]}"


@contextmanager
def _cluster(state: Path, kind: Path | None) -> Iterator[pytest_kind.KindCluster]:
    """pytest-kind writes to the current folder, so change to one of ours meanwhile."""
    version = pytest_kind.KIND_VERSION = os.environ.get("KIND_VERSION", KIND_VERSION)
    program = kind or private_dir(cache_dir() / "controlplane") / f"kind-{version}"
    with chdir(private_dir(folder(state))):
        cluster = pytest_kind.KindCluster(
            cluster_name(state), kubeconfig=folder(state) / "kubeconfig", kind_path=program
        )
        try:
            yield cluster
        except (subprocess.CalledProcessError, OSError) as error:
            raise PlatformError(f"the kind cluster {cluster.name}: {error}") from error
