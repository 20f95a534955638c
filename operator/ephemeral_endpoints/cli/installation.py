"""The operator that is installed in a cluster."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from ephemeral_endpoints.cli.connection import Cluster
from ephemeral_endpoints.kube.rest import Raw

_LABELS: Final = "app.kubernetes.io/component=operator,ephemeral-endpoints.io/shard"
"""As the chart labels the Deployments, one for each shard."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A Deployment of the operator."""

    namespace: str
    name: str
    version: str
    ready: int
    desired: int

    @classmethod
    def of(cls, raw: Raw) -> "Operator":
        """From a Deployment."""
        metadata = raw["metadata"]
        return cls(
            metadata["namespace"],
            metadata["name"],
            metadata["labels"].get("app.kubernetes.io/version", "unknown"),
            raw.get("status", {}).get("readyReplicas", 0),
            raw["spec"].get("replicas", 1),
        )


async def operators(cluster: Cluster) -> list[Operator]:
    """The Deployments of the operator in any namespace. Raises KubernetesError."""
    answer = await cluster.rest("GET", f"/apis/apps/v1/deployments?{urlencode({'labelSelector': _LABELS})}")
    return [Operator.of(each) for each in answer["items"]]
