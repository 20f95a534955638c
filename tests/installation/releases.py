"""Helm, and a release that it manages on some cluster."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from kubernetes.client.exceptions import ApiException
from tests.fixtures.waiting import eventually

from eep_platform.kubelet.api import Api

CHART: Final = Path(__file__).parents[2] / "charts" / "ephemeral-endpoints"
NONE: Final[Mapping[str, str]] = MappingProxyType({})
RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}
_HELM_TIMEOUT: Final = "360s"

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Cluster:
    """A cluster that is installed on, as its administrator; ``home`` is Helm's."""

    kubeconfig: Path
    helm: Path
    home: Path
    api: Api

    def make_namespace(self, name: str, labels: Mapping[str, str] = NONE) -> None:
        """Make a namespace, and wait until Pods can be made in it."""
        self.api("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": dict(labels)}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        eventually(lambda: self.api.find(account), f"the service account of {name}")

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace and wait until it is gone: the timeout names what blocks it."""
        self.api("DELETE", f"/api/v1/namespaces/{name}")
        eventually(lambda: self.api.find(f"/api/v1/namespaces/{name}") is None, f"{name} to be gone")

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run Helm, with nothing of the user's own configuration."""
        homes = {f"HELM_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(  # noqa: S603 - Helm, with arguments of tests
            [self.helm, *arguments],
            env={**os.environ, **homes, "KUBECONFIG": str(self.kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )


@dataclass(frozen=True)
class Release:
    """A release in a namespace of its own."""

    cluster: Cluster
    name: str
    namespace: str

    def install(self, values: Values, chart: Path = CHART) -> str:
        """`helm install --wait`; returns what it says."""
        return self._done("install", self.name, chart, "--values", self._file(values), "--wait")

    def upgrade(self, values: Values, chart: Path = CHART) -> str:
        """`helm upgrade --wait` with exactly these values; returns what it says."""
        return self._done("upgrade", self.name, chart, "--reset-values", "--values", self._file(values), "--wait")

    def test(self) -> str:
        """`helm test`, which must succeed; returns what it says."""
        return self._done("test", self.name, "--logs")

    def roll_back(self, revision: int) -> str:
        """`helm rollback --wait`."""
        return self._done("rollback", self.name, str(revision), "--wait")

    def uninstall(self) -> subprocess.CompletedProcess[str]:
        """`helm uninstall`, whatever comes of it."""
        return self.cluster.run("uninstall", self.name, *self._always())

    def uninstall_all(self) -> None:
        """`helm uninstall --wait` that must succeed."""
        self._done("uninstall", self.name, "--wait")

    def exists(self) -> bool:
        """Whether Helm knows the release."""
        return self.cluster.run("status", self.name, *self._always()).returncode == 0

    def pods(self) -> list[Any]:
        """The operator's Pods that are not being deleted."""
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=operator"
        found = self.cluster.api("GET", f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={selector}")
        return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]

    def evict(self, pod: Any) -> None:  # noqa: ANN401 - a Pod as the API server gives it
        """Drain a Pod as `kubectl drain` does: as soon as its disruption budget allows it, which hears of Pods late."""
        name = pod["metadata"]["name"]
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}

        def is_evicted() -> bool:
            try:
                self.cluster.api("POST", f"/api/v1/namespaces/{self.namespace}/pods/{name}/eviction", body)
            except ApiException as error:
                if error.status != HTTPStatus.TOO_MANY_REQUESTS:
                    raise
                return False
            return True

        eventually(is_evicted, f"the eviction of {name}")

    def wait_settled(self) -> None:
        """Wait until every Deployment has its Pods, of its newest template, and no other."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"

        def is_settled() -> bool:
            return all(map(_is_settled, self.cluster.api("GET", path)["items"]))

        eventually(is_settled, "the rollout")

    def troubles(self) -> str:
        """What Pods say of why they do not run."""
        found = self.cluster.api("GET", f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return "".join(f"\n{pod['metadata']['name']}: {json.dumps(pod['status'])}" for pod in found)

    def _done(self, *arguments: str | Path) -> str:
        timeout = ["--timeout", _HELM_TIMEOUT] if "--wait" in arguments else []
        done = self.cluster.run(*arguments, *timeout, *self._always())
        assert done.returncode == 0, f"helm {arguments[0]}: {done.stdout}{done.stderr}{self.troubles()}"
        return done.stdout

    def _always(self) -> Sequence[str]:
        return ["--namespace", self.namespace]

    def _file(self, values: Values) -> Path:
        path = self.cluster.home / f"{self.name}-values.json"
        path.write_text(json.dumps(values))
        return path


def _is_settled(deployment: Any) -> bool:  # noqa: ANN401 - as the API server gives it
    status, wanted = deployment["status"], deployment["spec"]["replicas"]
    figures = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    return status.get("observedGeneration") == deployment["metadata"]["generation"] and figures == {wanted}
