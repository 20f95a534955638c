"""A real Kubernetes control plane on this machine, from the first provider that can serve."""

from eep_platform.controlplane.chain import ControlPlane, Status, prepare, start, status, stop
from eep_platform.controlplane.server import (
    compact_etcd,
    restart_apiserver,
    restart_etcd,
    start_apiserver,
    stop_apiserver,
)

__all__ = [
    "ControlPlane",
    "Status",
    "compact_etcd",
    "prepare",
    "restart_apiserver",
    "restart_etcd",
    "start",
    "start_apiserver",
    "status",
    "stop",
    "stop_apiserver",
]
