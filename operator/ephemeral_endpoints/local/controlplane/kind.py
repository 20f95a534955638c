"""A kind cluster, where a Docker engine runs; pytest-kind fetches kind itself and drives it."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from pytest_kind import cluster as pytest_kind

from ephemeral_endpoints.local.controlplane.access import connect
from ephemeral_endpoints.local.controlplane.server import folder
from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.paths import cache_dir, private_dir
from ephemeral_endpoints.local.processes import wait_until

KIND_VERSION = "v0.33.0"  # pytest-kind's own default dates from Kubernetes 1.25

_READY_SECONDS = 120.0


def start(state: Path, kind: Path | None) -> Path:
    """Create the cluster of `state` unless it exists, and return its kubeconfig; blocks for a minute or more.

    `kind` is the program to use; without one it is downloaded once into the cache folder. What a killed creation left
    (kind writes the kubeconfig last) is deleted first.

    Raises:
        PlatformError: kind failed; it has said why on this program's standard error.
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
    """Delete the cluster of `state`; none there is no error.

    Raises:
        PlatformError: kind failed, the cluster may still be there.
    """
    with _cluster(state, kind) as cluster:
        cluster.ensure_kind()
        cluster.delete()


def cluster_name(state: Path) -> str:
    """Return the name of the cluster of `state`: several platforms share one Docker engine."""
    return f"eep-{hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:12]}"


@contextmanager
def _cluster(state: Path, kind: Path | None) -> Iterator[pytest_kind.KindCluster]:
    """pytest-kind works in the current folder, so the current folder is one of ours meanwhile."""
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
