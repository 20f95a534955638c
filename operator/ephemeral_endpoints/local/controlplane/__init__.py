"""A real Kubernetes control plane on this machine, from the first source that can serve."""

from ephemeral_endpoints.local.controlplane.chain import ControlPlane, Status, prepare, start, status, stop
from ephemeral_endpoints.local.controlplane.server import (
    restart_apiserver,
    restart_etcd,
    start_apiserver,
    stop_apiserver,
)

__all__ = [
    "ControlPlane",
    "Status",
    "prepare",
    "restart_apiserver",
    "restart_etcd",
    "start",
    "start_apiserver",
    "status",
    "stop",
    "stop_apiserver",
]
