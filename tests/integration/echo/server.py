"""A model server honest to SageMaker's contract that answers every request as its environment says."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """GET /ping and POST /invocations."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a health check."""
        self._answer(b"")

    def do_POST(self) -> None:
        """Answer with the status and the text to say, or repeat the request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = body if "REPEAT" in os.environ else os.environ.get("SAY", "hello").encode()
        self._answer(said, int(os.environ.get("STATUS", "200")))

    def log_message(self, *_: object) -> None:
        """Access is not logged."""

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", os.environ.get("MEDIA_TYPE", "text/plain"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # The first process of a container has no default for it, and would only end by SIGKILL.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print("listening", flush=True)  # noqa: T201 - what a model server prints is its log
    address = (os.environ.get("BIND_HOST", ""), int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")))
    ThreadingHTTPServer(address, Handler).serve_forever()
