"""The model server: `python -m model.reviews serve`, an inference container as SageMaker wants it.

It needs the standard library alone. Which model it serves is in MODEL, which the stages of the Dockerfile set.
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from model.reviews.tasks import TASKS, InvalidRequest, Task

logger = logging.getLogger("model.reviews")

_MOST_BYTES: Final = 1024 * 1024


class Server(ThreadingHTTPServer):
    """Answers GET /ping and POST /invocations for one task."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], task: Task, revision: str) -> None:
        super().__init__(address, _Handler)
        self.task = task
        self.revision = revision


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._send(200 if self.path == "/ping" else 404, b"")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MOST_BYTES:
            self.close_connection = True
            self._answer(413, {"error": f"the body is longer than {_MOST_BYTES} bytes"})
            return
        body = self.rfile.read(length)
        if self.path != "/invocations":
            self._send(404, b"")
            return
        try:
            self._answer(200, {**self.server.task(_read(body)), "revision": self.server.revision})
        except InvalidRequest as error:
            self._answer(400, {"error": str(error)})

    def _answer(self, status: int, content: Mapping[str, object]) -> None:
        # Neither request nor answer: what people send to a model is theirs.
        logger.info("%s", json.dumps({"message": "invocation", "status": status}))
        self._send(status, json.dumps(content, ensure_ascii=False).encode(errors="replace"))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Access is logged once it is answered."""


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("the body is not JSON") from error
    if not isinstance(asked, dict):
        raise InvalidRequest("the body must be an object")
    return asked


def main(argv: Sequence[str]) -> int:
    """Serves until SIGTERM; 1 if the settings or the artefacts are unfit."""
    del argv
    logging.basicConfig(level=os.environ.get("LOG_LEVEL") or "INFO", format="%(message)s", stream=sys.stdout)
    name = os.environ.get("MODEL", "")
    if name not in TASKS:
        logger.critical("%s", json.dumps({"message": f"MODEL must be one of {', '.join(TASKS)}"}))
        return 1
    try:
        task = TASKS[name](Path(os.environ.get("MODEL_DIR") or "/opt/artefact"))
    except (OSError, ValueError) as error:
        logger.critical("%s", json.dumps({"message": "cannot serve", "reason": str(error)}))
        return 1
    # The first process of a container has no default for it, and would only end by SIGKILL.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT") or 8080)
    host = os.environ.get("BIND_HOST") or "0.0.0.0"  # noqa: S104 (inside of a container)
    with Server((host, port), task, os.environ.get("MODEL_REVISION") or "unknown") as server:
        logger.info("%s", json.dumps({"message": "model loaded", "model": name}))
        server.serve_forever()
    return 0
