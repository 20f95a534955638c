"""A real Kubernetes control plane on this machine, from the first source that can serve."""

from ephemeral_endpoints.local.controlplane.chain import ControlPlane, Status, prepare, start, status, stop
from ephemeral_endpoints.local.controlplane.server import restart_apiserver, start_apiserver, stop_apiserver

__all__ = [
    "ControlPlane",
    "Status",
    "prepare",
    "restart_apiserver",
    "start",
    "start_apiserver",
    "status",
    "stop",
    "stop_apiserver",
]
