"""A stand-in for the scheduler and the kubelet: it runs the Pods of one namespace as processes of this machine.

Everything between a manifest and its process is as in a cluster: the controllers of Deployments and Jobs make the Pods,
the API server issues the token of the Pod's service account, bound to the Pod, probes decide what is ready. What is
not there is what needs Linux's namespaces: images, volumes, resources, an IP address for each Pod.
"""

from ephemeral_endpoints.local.kubelet.kubelet import Kubelet
from ephemeral_endpoints.local.kubelet.logs import served_logs
from ephemeral_endpoints.local.kubelet.pods import Image

__all__ = ["Image", "Kubelet", "served_logs"]
