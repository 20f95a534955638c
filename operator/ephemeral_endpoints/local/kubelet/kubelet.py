"""The loop that gives each Pod of a namespace its worker."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.kubelet.api import Api
from ephemeral_endpoints.local.kubelet.pods import LOOPBACK, NODE, Image
from ephemeral_endpoints.local.kubelet.runner import process_name
from ephemeral_endpoints.local.kubelet.worker import Machine, Worker
from ephemeral_endpoints.local.paths import log_file

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.1
_OVER: Final = frozenset({"Failed", "Succeeded"})


class Kubelet:
    """Runs the Pods of a namespace while its context lasts; at the end their processes are gone, the Pods are not.

    Every container's image is ``image``. ``pace`` divides the periods of probes and the pauses before restarts: tests
    need not wait as long as a cluster would.
    """

    def __init__(self, kubeconfig: Path, namespace: str, *, state: Path, image: Image, pace: float = 1.0) -> None:
        self._machine = Machine(Api(kubeconfig), state.resolve(), image, pace)
        self._folder = f"/api/v1/namespaces/{namespace}/pods"
        self._workers: dict[str, Worker] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="kubelet", daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes. Raises what a thread ended with against all expectation."""
        self._stop.set()
        self._thread.join()
        workers = list(self._workers.values())
        for each in workers:
            each.vanish()
        for each in workers:
            each.join()
        for failure in (self._failure, *(each.failure for each in workers)):
            if failure is not None:
                raise failure

    def url(self, pod: Mapping[str, Any], port: int) -> str:
        """Where a container's port of a Pod is reached. Raises PlatformError for a Pod that does not run here."""
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is None or port not in worker.ports:
            raise PlatformError(f"the Pod {pod['metadata']['name']} with a port {port} does not run here")
        return f"http://{LOOPBACK}:{worker.ports[port]}"

    def log(self, namespace: str, pod: str, container: str) -> Path | None:
        """The file that a container prints to, with all that ran before in it; None if it has not run here."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
        uids = [uid for uid, worker in list(self._workers.items()) if worker.path == path]
        return log_file(self._machine.state, process_name(uids[-1], container)) if uids else None

    def _loop(self) -> None:
        try:
            while not self._stop.wait(_LOOK_SECONDS):
                self._look()
        except BaseException as error:  # noqa: BLE001 - raised at the end of the context
            self._failure = error

    def _look(self) -> None:
        try:
            found = self._machine.api("GET", f"{self._folder}?{urlencode({'limit': 500})}")["items"]
        except (ApiException, HTTPError) as error:
            logger.info("the Pods cannot be listed: %s", error)
            return
        pods = {pod["metadata"]["uid"]: pod for pod in found}
        for uid in self._workers.keys() - pods.keys():
            self._workers[uid].vanish()
        for uid, pod in pods.items():
            self._see(uid, pod)

    def _see(self, uid: str, pod: Mapping[str, Any]) -> None:
        is_deleted = "deletionTimestamp" in pod["metadata"]
        if uid not in self._workers:
            is_foreign = pod["spec"].get("nodeName", NODE) != NODE
            if is_foreign or (pod["status"].get("phase") in _OVER and not is_deleted):
                return
            self._workers[uid] = Worker(self._machine, pod)
        if is_deleted:
            self._workers[uid].end(pod["metadata"].get("deletionGracePeriodSeconds", 0))
        self._workers[uid].start()
