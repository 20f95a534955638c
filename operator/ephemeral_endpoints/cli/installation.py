"""The operator: the one that is installed in a cluster, or one that runs outside of it."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import aiohttp

from ephemeral_endpoints.cli.connection import Cluster
from ephemeral_endpoints.kube.rest import Raw

_LABELS: Final = "app.kubernetes.io/component=operator,ephemeral-endpoints.io/shard"
"""As the chart labels the Deployments, one for each shard."""

URL_VARIABLE: Final = "EEP_OPERATOR_URL"
"""The variable with the URL of the HTTP port of an operator outside of the cluster, such as that of `eep local`."""

_VERSION: Final = re.compile(r'^eep_build_info\{[^}]*version="([^"]+)"', re.MULTILINE)
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


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


async def version_at(url: str) -> str | None:
    """The version of the operator that is ready at the URL of its HTTP port; None if none is."""
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT, raise_for_status=True) as session:
            await session.get(f"{url}/readyz")
            async with session.get(f"{url}/metrics") as response:
                found = _VERSION.search(await response.text())
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
    return found[1] if found else None
