"""The thread that runs a Pod, from its binding to its last status."""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from eep_platform.controlplane.access import kubeconfig
from eep_platform.kubelet import pods
from eep_platform.kubelet.api import MERGE_PATCH, Api
from eep_platform.kubelet.pods import NODE, Image, Raw
from eep_platform.kubelet.runner import Started, launch, message_file, process_name
from eep_platform.kubelet.status import pod_status
from eep_platform.kubelet.supervised import Supervised
from eep_platform.paths import private_dir, write_atomically
from eep_platform.processes import free_ports

logger = logging.getLogger(__name__)

_TICK_SECONDS: Final = 0.1
_TOKEN_SECONDS: Final = 3607
"""The lifetime of tokens; the API server extends 3607 seconds to a year for in-cluster clients."""

_SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_FOLDERS: Final = {"ConfigMap": "configmaps", "Secret": "secrets"}


@dataclass(frozen=True, slots=True)
class Node:
    """What all Pods share: the API server, the folder for files, the image and the pace."""

    api: Api
    state: Path
    image: Image
    pace: float


class Worker:
    """A Pod. Only ``join`` blocks; all methods are idempotent."""

    def __init__(self, node: Node, pod: Raw) -> None:
        self._node = node
        self._pod = pod
        self.path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        """The path of the Pod in the Kubernetes API."""

        self._status: Raw = {}
        self._grace: float | None = None
        self._is_gone = False
        self._woken = threading.Event()
        numbers = pods.container_ports(pod)
        self.ports: Mapping[int, int] = dict(zip(numbers, free_ports(len(numbers)), strict=True))
        """The machine's port for each port of a container."""
        self._containers = [self._supervised(spec) for spec in pod["spec"]["containers"]]
        self._thread = threading.Thread(target=self._run, name=f"pod-{pod['metadata']['name']}", daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start the Pod."""
        if self._thread.ident is None:
            self._thread.start()

    def end(self, grace_seconds: float) -> None:
        """The Pod is terminating: end its processes and remove it from the API."""
        if self._grace is None:
            self._grace = grace_seconds
            self._woken.set()

    def vanish(self) -> None:
        """The Pod does not exist any more, or the kubelet ends: kill its processes without writing a status."""
        self._is_gone = True
        self.end(0)

    def join(self) -> None:
        """Wait until the thread and all processes have ended."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._live()
        except BaseException as error:  # noqa: BLE001 - raised by the kubelet, which joins the thread
            self.failure = error
        finally:
            for each in self._containers:
                each.end(0, _stamp())

    def _live(self) -> None:
        if not self._pod["spec"].get("nodeName"):
            self._bind()
        while self._grace is None:
            self._tick()
            if self._status.get("phase") in {"Failed", "Succeeded"}:
                self._woken.wait()
            self._woken.wait(_TICK_SECONDS)
        for each in self._containers:
            each.end(self._grace, _stamp())
        if not self._is_gone:
            self._let_go()

    def _bind(self) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        metadata = {"name": self._pod["metadata"]["name"], "namespace": self._pod["metadata"]["namespace"]}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        with suppress(ApiException):  # it may have been deleted meanwhile; the next list will show that
            self._node.api("POST", f"{self.path}/binding", body)

    def _tick(self) -> None:
        stamp = _stamp()
        for each in self._containers:
            each.tick(time.monotonic(), stamp)
        self._write_status(is_ending=False)

    def _write_status(self, *, is_ending: bool) -> None:
        """Write the status if it changed; tries again later if the API server does not answer."""
        policy = self._pod["spec"].get("restartPolicy", "Always")
        views = [each.view() for each in self._containers]
        status = pod_status(views, self._status, policy=policy, now=_stamp(), is_ending=is_ending)
        if status == self._status:
            return
        try:
            self._node.api("PATCH", f"{self.path}/status", {"status": status}, content_type=MERGE_PATCH)
        except (ApiException, HTTPError) as error:
            logger.info("cannot write the status of %s: %s", self.path, error)
        else:
            self._status = status

    def _let_go(self) -> None:
        self._write_status(is_ending=True)
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._pod["metadata"]["uid"]}}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options}
        while not self._is_gone:
            try:
                self._node.api("DELETE", self.path, body)
            except ApiException as error:
                if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                    raise
            except HTTPError:
                time.sleep(_TICK_SECONDS)
                continue
            return

    def _supervised(self, spec: Raw) -> Supervised:
        policy = self._pod["spec"].get("restartPolicy", "Always")
        return Supervised(spec, policy=policy, ports=self.ports, launch=self._launch, pace=self._node.pace)

    def _launch(self, spec: Raw) -> Started:
        node, metadata = self._node, self._pod["metadata"]
        folder = private_dir(node.state / "pods" / metadata["uid"])
        name = process_name(metadata["uid"], spec["name"])
        wanted = pods.environment(self._pod, spec, self.ports, self._look_up, self._paths(spec, name, folder))
        environment = {
            "PATH": _SYSTEM_PATH,
            "HOME": str(folder),
            "HOSTNAME": metadata["name"],
            **node.image.environment,
            **wanted,
            **self._credentials(folder),
        }
        argv = pods.command_line(spec, node.image, environment)
        return launch(name, argv, environment, state=node.state, folder=folder)

    def _paths(self, spec: Raw, name: str, folder: Path) -> Mapping[str, str]:
        """Write the files that a container mounts; returns the machine's path for each of the container's."""
        paths = {spec.get("terminationMessagePath", pods.TERMINATION_LOG): str(message_file(folder, name))}
        for index, (path, content) in enumerate(pods.mounted(self._pod, spec, self._look_up).items()):
            file = folder / f"{name}.file-{index}"
            write_atomically(file, content)
            paths[path] = str(file)
        return paths

    def _look_up(self, kind: str, name: str) -> Raw | None:
        namespace = self._pod["metadata"]["namespace"]
        return self._node.api.find(f"/api/v1/namespaces/{namespace}/{_FOLDERS[kind]}/{name}")

    def _credentials(self, folder: Path) -> dict[str, str]:
        """A kubeconfig with the token of the Pod's service account, which is valid as long as the Pod exists.

        In a cluster the token is below /var/run/secrets, which all Pods would share here, so KUBERNETES_SERVICE_HOST is
        not set either. This kubeconfig replaces any other in the environment.
        """
        if self._pod["spec"].get("automountServiceAccountToken") is False:
            return {"KUBECONFIG": "/dev/null"}
        write_atomically(folder / "token", self._token())
        api, user = self._node.api, {"tokenFile": str(folder / "token")}
        write_atomically(folder / "kubeconfig", kubeconfig(api.server, ca=api.certificate, user=user))
        return {"KUBECONFIG": str(folder / "kubeconfig")}

    def _token(self) -> str:
        metadata = self._pod["metadata"]
        account = self._pod["spec"]["serviceAccountName"]
        reference = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        request: dict[str, Any] = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _TOKEN_SECONDS, "boundObjectRef": reference},
        }
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        return str(self._node.api("POST", path, request)["status"]["token"])


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
