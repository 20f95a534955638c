"""A stand-in for the scheduler and the kubelet: it runs the Pods of a namespace as processes of this machine.

From the manifest to the process everything is as in a cluster: the controllers of Deployments and Jobs create the Pods,
the API server issues the token of the Pod's service account, bound to the Pod, and probes decide about readiness. What
needs Linux's namespaces is missing: images, resources, an IP address for each Pod, and volumes, except that a variable
leads to the files of a Secret or ConfigMap.
"""

from eep_platform.kubelet.kubelet import Kubelet
from eep_platform.kubelet.logs import served_logs
from eep_platform.kubelet.pods import Image

__all__ = ["Image", "Kubelet", "served_logs"]
