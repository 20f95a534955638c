"""The namespace of the examples on a real API server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from kubernetes.client import ApiClient, CustomObjectsApi
from tests.examples.health import ROOT

from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.api import API_VERSION, GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT

BIN: Final = Path(sys.executable).parent
NAMESPACE: Final = "nlp"
MERGE_PATCH: Final = "application/merge-patch+json"


class Previews:
    """The EphemeralEndpoints of the namespace that the examples name, to which the examples' roles are applied."""

    def __init__(self, control_plane: ControlPlane, client: ApiClient) -> None:
        self.administrator = control_plane.kubeconfig
        self._objects = CustomObjectsApi(client)
        self.kubectl("create", "namespace", NAMESPACE)
        self.kubectl("apply", "-f", str(ROOT / "examples/gitops/rbac.yaml"))

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl prints, run by an administrator."""
        argv = [str(BIN / "kubectl"), f"--kubeconfig={self.administrator}", *arguments]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)  # noqa: S603 - our words
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kubeconfig(self, target: Path) -> Path:
        """A kubeconfig of the service account that the examples make; it is written to `target`."""
        config = json.loads(self.administrator.read_text(encoding="utf-8"))
        config["contexts"][0]["context"]["namespace"] = NAMESPACE
        config["users"][0]["user"] = {"token": self.kubectl("create", "token", "previews", "-n", NAMESPACE).strip()}
        target.write_text(json.dumps(config), encoding="utf-8")
        return target

    def names(self) -> list[str]:
        """The names of all objects that are not being deleted."""
        found: Any = self._objects.list_namespaced_custom_object(GROUP, VERSION, NAMESPACE, ENDPOINT.plural)
        metadata = (each["metadata"] for each in found["items"])
        return [each["name"] for each in metadata if "deletionTimestamp" not in each]

    def read(self, name: str) -> Any:  # noqa: ANN401 - as the API gives it
        return self._objects.get_namespaced_custom_object(GROUP, VERSION, NAMESPACE, ENDPOINT.plural, name)

    def apply(self, name: str, revision: str) -> None:
        """Make an object that names a commit, as a workflow did before."""
        source = {"repository": "acme/sentiment", "pullRequest": 7, "revision": revision}
        metadata = {"name": name, "namespace": NAMESPACE}
        spec = {"source": source, "model": {"build": {"context": "."}}, "lifecycle": {"ttl": "72h"}}
        body = {"apiVersion": API_VERSION, "kind": "EphemeralEndpoint", "metadata": metadata, "spec": spec}
        self._objects.create_namespaced_custom_object(GROUP, VERSION, NAMESPACE, ENDPOINT.plural, body)

    def report(self, name: str, *conditions: tuple[str, str, str, str], **status: object) -> None:
        """Write a status, as the operator does, for the present generation."""
        generation = self.read(name)["metadata"]["generation"]
        reported = [
            {
                "type": type_,
                "status": state,
                "reason": reason,
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": "2026-11-28T12:00:00Z",
            }
            for type_, state, reason, message in conditions
        ]
        body = {"status": {"observedGeneration": generation, "conditions": reported, **status}}
        self._objects.patch_namespaced_custom_object_status(
            GROUP, VERSION, NAMESPACE, ENDPOINT.plural, name, body, _content_type=MERGE_PATCH
        )

    def change(self, name: str, change: dict[str, Any]) -> None:
        """Merge a change into an object."""
        self._objects.patch_namespaced_custom_object(
            GROUP, VERSION, NAMESPACE, ENDPOINT.plural, name, change, _content_type=MERGE_PATCH
        )

    def clear(self) -> None:
        """Delete all objects."""
        self._objects.delete_collection_namespaced_custom_object(GROUP, VERSION, NAMESPACE, ENDPOINT.plural)
