"""Container logs for `kubectl logs` and for Helm: a Node, and an HTTPS server for the API server's requests."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kubernetes.client.exceptions import ApiException

from eep_platform.kubelet.api import MERGE_PATCH, Api
from eep_platform.kubelet.pods import LOOPBACK, NODE

_NODES: Final = "/api/v1/nodes"
_PARTS: Final = 4

FindLog = Callable[[str, str, str], Path | None]
"""Returns the log file for a namespace, Pod and container; None if no such container runs here."""


@contextmanager
def served_logs(api: Api, find_log: FindLog, *, certificate: Path, key: Path) -> Iterator[None]:
    """Serve logs from threads of this process inside a ``with`` block, and register a Node meanwhile.

    The answer is always the whole log: it is neither followed nor truncated. The API server does not check the
    certificate.
    """
    server = ThreadingHTTPServer((LOOPBACK, 0), _handler(find_log))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, name="logs", daemon=True)
    thread.start()
    try:
        _register(api, server.server_port)
        yield
        api("DELETE", f"{_NODES}/{NODE}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _register(api: Api, port: int) -> None:
    with suppress(ApiException):  # a killed predecessor may have left it
        api("POST", _NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
    status = {
        "addresses": [{"type": "InternalIP", "address": LOOPBACK}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    api("PATCH", f"{_NODES}/{NODE}/status", {"status": status}, content_type=MERGE_PATCH)


def _handler(find_log: FindLog) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path).path.strip("/").split("/")
            is_log = len(parts) == _PARTS and parts[0] == "containerLogs"
            log = find_log(parts[1], parts[2], parts[3]) if is_log else None
            content = log.read_bytes() if log and log.exists() else b""
            self.send_response(HTTPStatus.OK if log else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Print nothing."""

    return Handler
