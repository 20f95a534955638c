"""The embedded platform to install on: a kubelet runs what Helm installs as processes of this machine."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests
from tests.fixtures.waiting import eventually
from tests.installation.releases import RESTRICTED, Cluster, Release

import ephemeral_endpoints
from eep_platform.controlplane import server
from eep_platform.errors import PlatformError
from eep_platform.kubelet import Image, Kubelet, served_logs
from eep_platform.platform import Platform

PORT: Final = 8080
PACE: Final = 10.0

_LEADS: Final = re.compile(r"^eep_leader(\{[^}]*\})? 1\.0$", re.MULTILINE)
_LOGS: Final = 3
_LOG_LENGTH: Final = 1500


@dataclass(frozen=True)
class Site(Cluster):
    """A platform without what an administrator would have to apply by hand: the release brings all of it."""

    platform: Platform
    class_spec: Mapping[str, Any]

    def values(self, **values: Any) -> dict[str, Any]:  # noqa: ANN401 - values of the chart
        """Values that an installation here needs, and others."""
        default = {"default": {"default": True, "spec": self.class_spec}}
        return {"operator": {"pollSeconds": 0.1}, "classes": default, **values}


@dataclass(frozen=True)
class LocalRelease(Release):
    """A release whose Pods are processes of this machine."""

    kubelet: Kubelet
    state: Path

    def leaders(self) -> list[Any]:
        """The Pods that say of themselves that they lead."""
        return [pod for pod in self.pods() if _LEADS.search(self._metrics(pod))]

    def wait_leader(self) -> Any:  # noqa: ANN401 - a Pod as the API server gives it
        """Wait until one Pod leads."""
        return eventually(self.leaders, "a leader")[0]

    def holder(self) -> str:
        """Who holds the operator's Lease."""
        (lease,) = self.cluster.api("GET", f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases")["items"]
        return str(lease["spec"].get("holderIdentity") or "")

    def troubles(self) -> str:
        """With what was printed last."""
        logs = sorted((self.state / "log").glob("pod-*.log"), key=lambda path: path.stat().st_mtime)[-_LOGS:]
        return super().troubles() + "".join(f"\n{log.name}: {log.read_text()[-_LOG_LENGTH:]}" for log in logs)

    def _metrics(self, pod: Any) -> str:  # noqa: ANN401 - likewise
        try:
            return requests.get(f"{self.kubelet.url(pod, PORT)}/metrics", timeout=60).text
        except (requests.RequestException, PlatformError):
            return ""


@contextmanager
def released(site: Site, name: str, **environment: str) -> Iterator[LocalRelease]:
    """A release that is not installed yet, in a new namespace whose Pods run; at the end both are gone.

    The platform adds to each Pod how AWS is reached, and ``environment``.
    """
    namespace, state = f"{name}-system", site.platform.state
    site.make_namespace(namespace, RESTRICTED)
    aws = {name: value for name, value in site.platform.environment.items() if name.startswith("AWS_")}
    root = str(Path(ephemeral_endpoints.__file__).parents[1])
    image = Image(environment={"PYTHONPATH": root, "PYTHONUNBUFFERED": "1", **aws, **environment})
    certificates = server.folder(state) / "certificates"
    pair = {"certificate": certificates / "apiserver.crt", "key": certificates / "apiserver.key"}
    with (
        Kubelet(site.kubeconfig, namespace, state=state, image=image, pace=PACE) as kubelet,
        served_logs(site.api, kubelet.log, **pair),
    ):
        yield LocalRelease(site, name, namespace, kubelet, state)
        site.delete_namespace(namespace)
