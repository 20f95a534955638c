"""The thread that runs one Pod, from its binding to its last status."""

import json
import logging
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from ephemeral_endpoints.local.kubelet import pods
from ephemeral_endpoints.local.kubelet.api import MERGE_PATCH, Api, Raw
from ephemeral_endpoints.local.kubelet.pods import NODE, Image
from ephemeral_endpoints.local.kubelet.runner import Started, launch, process_name
from ephemeral_endpoints.local.kubelet.status import pod_status
from ephemeral_endpoints.local.kubelet.supervised import Supervised
from ephemeral_endpoints.local.paths import private_dir, write_atomically
from ephemeral_endpoints.local.processes import free_ports

logger = logging.getLogger(__name__)

_TICK_SECONDS: Final = 0.1
_TOKEN_SECONDS: Final = 3607
"""What the API server is asked for; it would make an hour and seven seconds into a year for in-cluster clients."""

_SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_FOLDERS: Final = {"ConfigMap": "configmaps", "Secret": "secrets"}


@dataclass(frozen=True, slots=True)
class Machine:
    """What all Pods have in common: the API server, where files go, the image."""

    api: Api
    state: Path
    image: Image
    pace: float


class Worker:
    """One Pod. None of the methods blocks but ``join``, and each may be called again."""

    def __init__(self, machine: Machine, pod: Raw) -> None:
        self._machine = machine
        self._pod = pod
        self.path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        """Where the API server has it."""

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
        """Begin to run it."""
        if self._thread.ident is None:
            self._thread.start()

    def end(self, grace_seconds: float) -> None:
        """The Pod is deleted: end its processes, and let it go."""
        if self._grace is None:
            self._grace = grace_seconds
            self._woken.set()

    def vanish(self) -> None:
        """The Pod does not exist any more, or the machine goes: end its processes at once and tell nobody."""
        self._is_gone = True
        self.end(0)

    def join(self) -> None:
        """Wait until all of it has ended."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._live()
        except BaseException as error:  # noqa: BLE001 - whoever joins the thread raises it
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
        with suppress(ApiException):  # it has just been deleted: the next look will tell
            self._machine.api("POST", f"{self.path}/binding", body)

    def _tick(self) -> None:
        stamp = _stamp()
        for each in self._containers:
            each.tick(time.monotonic(), stamp)
        self._tell(is_ending=False)

    def _tell(self, *, is_ending: bool) -> None:
        """Write the status if it is another than the one written last; an API server that is away is told later."""
        policy = self._pod["spec"].get("restartPolicy", "Always")
        views = [each.view() for each in self._containers]
        status = pod_status(views, self._status, policy=policy, now=_stamp(), is_ending=is_ending)
        if status == self._status:
            return
        try:
            self._machine.api("PATCH", f"{self.path}/status", {"status": status}, content_type=MERGE_PATCH)
        except (ApiException, HTTPError) as error:
            logger.info("the status of %s cannot be written: %s", self.path, error)
        else:
            self._status = status

    def _let_go(self) -> None:
        self._tell(is_ending=True)
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._pod["metadata"]["uid"]}}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options}
        while not self._is_gone:
            try:
                self._machine.api("DELETE", self.path, body)
            except ApiException as error:
                if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                    raise
            except HTTPError:
                time.sleep(_TICK_SECONDS)
                continue
            return

    def _supervised(self, spec: Raw) -> Supervised:
        policy = self._pod["spec"].get("restartPolicy", "Always")
        return Supervised(spec, policy=policy, ports=self.ports, launch=self._launch, pace=self._machine.pace)

    def _launch(self, spec: Raw) -> Started:
        machine, metadata = self._machine, self._pod["metadata"]
        folder = private_dir(machine.state / "pods" / metadata["uid"])
        wanted = pods.environment(self._pod, spec, self.ports, self._look_up)
        environment = {
            "PATH": _SYSTEM_PATH,
            "HOME": str(folder),
            "HOSTNAME": metadata["name"],
            **machine.image.environment,
            **wanted,
            **self._credentials(folder),
        }
        argv = pods.command_line(spec, machine.image, environment)
        name = process_name(metadata["uid"], spec["name"])
        return launch(name, argv, environment, state=machine.state, folder=folder)

    def _look_up(self, kind: str, name: str) -> Raw | None:
        namespace = self._pod["metadata"]["namespace"]
        return self._machine.api.find(f"/api/v1/namespaces/{namespace}/{_FOLDERS[kind]}/{name}")

    def _credentials(self, folder: Path) -> dict[str, str]:
        """The token of the Pod's service account, which lives as long as the Pod, as a kubeconfig.

        In a cluster it lies below /var/run/secrets, which the Pods of one machine would share, so that
        KUBERNETES_SERVICE_HOST is not set either. It stands in for any kubeconfig that the environment names.
        """
        if self._pod["spec"].get("automountServiceAccountToken") is False:
            return {"KUBECONFIG": "/dev/null"}
        write_atomically(folder / "token", self._token())
        cluster = {
            "server": self._machine.api.server,
            "certificate-authority-data": b64encode(self._machine.api.certificate).decode(),
        }
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": NODE, "cluster": cluster}],
            "users": [{"name": NODE, "user": {"tokenFile": str(folder / "token")}}],
            "contexts": [{"name": NODE, "context": {"cluster": NODE, "user": NODE}}],
            "current-context": NODE,
        }
        write_atomically(folder / "kubeconfig", json.dumps(content))
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
        return str(self._machine.api("POST", path, request)["status"]["token"])


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
