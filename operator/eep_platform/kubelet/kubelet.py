"""The loop that starts a worker for each Pod of a namespace."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from eep_platform.errors import PlatformError
from eep_platform.kubelet.api import Api
from eep_platform.kubelet.pods import LOOPBACK, NODE, Image
from eep_platform.kubelet.runner import process_name
from eep_platform.kubelet.worker import Node, Worker
from eep_platform.paths import log_file

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.1
_OVER: Final = frozenset({"Failed", "Succeeded"})


class Kubelet:
    """Runs the Pods of a namespace inside a ``with`` block; at its end the processes end, but the Pods stay.

    All containers have the image ``image``. ``pace`` divides the periods of probes and the delays before restarts, so
    that tests need not wait as long as in a cluster.
    """

    def __init__(self, kubeconfig: Path, namespace: str, *, state: Path, image: Image, pace: float = 1.0) -> None:
        self._node = Node(Api(kubeconfig), state.resolve(), image, pace)
        self._folder = f"/api/v1/namespaces/{namespace}/pods"
        self._workers: dict[str, Worker] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="kubelet", daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes. Raises the unexpected exception of a thread, if any."""
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
        """The URL of a container's port. Raises PlatformError if no such Pod runs here."""
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is None or port not in worker.ports:
            raise PlatformError(f"no Pod {pod['metadata']['name']} with a port {port} runs here")
        return f"http://{LOOPBACK}:{worker.ports[port]}"

    def log(self, namespace: str, pod: str, container: str) -> Path | None:
        """The log file of a container and its predecessors; None if it has not run here."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
        uids = [uid for uid, worker in list(self._workers.items()) if worker.path == path]
        return log_file(self._node.state, process_name(uids[-1], container)) if uids else None

    def _loop(self) -> None:
        try:
            while not self._stop.wait(_LOOK_SECONDS):
                self._look()
        except BaseException as error:  # noqa: BLE001 - raised at the end of the context
            self._failure = error

    def _look(self) -> None:
        try:
            found = self._node.api("GET", f"{self._folder}?{urlencode({'limit': 500})}")["items"]
        except (ApiException, HTTPError) as error:
            logger.info("cannot list Pods: %s", error)
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
            self._workers[uid] = Worker(self._node, pod)
        if is_deleted:
            self._workers[uid].end(pod["metadata"].get("deletionGracePeriodSeconds", 0))
        self._workers[uid].start()
