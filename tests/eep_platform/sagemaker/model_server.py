"""A model server for tests, honest to SageMaker's container contract; its environment says how it misbehaves."""

import itertools
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answers /ping and /invocations."""

    protocol_version = "HTTP/1.1"
    invocations = itertools.count(1)

    def do_GET(self) -> None:
        """Answer a health check."""
        self._answer(503 if os.environ.get("MODE") == "never-healthy" else 200, b"")

    def do_POST(self) -> None:
        """Do what the request asks for, else echo it with facts about this server."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        command = body.decode(errors="replace").partition(" ")
        if command[0] == "exit":
            os._exit(3)
        if command[0] == "status":
            self._answer(int(command[2]), b"the model says no")
            return
        if command[0] == "sleep":
            time.sleep(float(command[2]))
        if command[0] == "until":
            _wait_for(Path(command[2]))
        facts = {
            "invocations": next(self.invocations),
            "bytes": len(body),
            "pid": os.getpid(),
            "revision": os.environ.get("REVISION"),
            "environment": dict(os.environ),
            "headers": dict(self.headers.items()),
            "modelData": _files(os.environ.get("MODEL_DATA")),
            "additionalData": _files(os.environ.get("ADDITIONAL_DATA")),
        }
        print("predicted", flush=True)  # noqa: T201 - what a model server prints is its log
        self._answer(200, json.dumps(facts).encode())

    def log_message(self, *_: object) -> None:
        """Access is not logged."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if "X-Amzn-SageMaker-Custom-Attributes" in self.headers:
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", self.headers["X-Amzn-SageMaker-Custom-Attributes"])
        session = self.headers.get("X-Amzn-SageMaker-Session-Id")
        if session == "NEW_SESSION":
            self.send_header("X-Amzn-SageMaker-New-Session-Id", "s-1; Expires=2100-01-01T00:00:00Z")
        elif session:
            self.send_header("X-Amzn-SageMaker-Closed-Session-Id", session)
        self.end_headers()
        self.wfile.write(body)


def _files(folder: str | None) -> dict[str, str] | None:
    """The content of all files by their paths below a folder."""
    if folder is None:
        return None
    return {str(path.relative_to(folder)): path.read_text() for path in Path(folder).rglob("*") if path.is_file()}


def _wait_for(gate: Path) -> None:
    """Say that a request is here, and answer it once the gate exists."""
    gate.with_suffix(".waiting").touch()
    while not gate.exists():
        time.sleep(0.01)


if __name__ == "__main__":
    print("loading the model", flush=True)  # noqa: T201 - what a model server prints is its log
    if os.environ.get("MODE") == "crash":
        sys.exit("cannot load the model")
    if os.environ.get("MODE") == "no-such-program":
        sys.exit(127)  # as a container ends whose command is not in its image
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
