"""An endpoint as its callers see it: a forwarder behind HTTP, or the page with routes whose answers a test decides."""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from socketserver import ThreadingMixIn
from types import ModuleType
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from tests.features.routing.forwarder.deployed import JSON, PATH, TOKEN, Asked, Context, Reply, event

from ephemeral_endpoints.features.routing.forwarder import packing, page

BASE: Final = "/nlp/pr-42"
NEIGHBOUR: Final = "/nlp/pr-43"


def about(**members: object) -> dict[str, Any]:
    """What an endpoint says of itself."""
    return {
        "name": "sentiment-pr-42",
        "namespace": "nlp",
        "revision": "4f1c2d3e5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d",
        "repository": "acme/sentiment",
        "pullRequest": 42,
        "expiresAt": "2099-01-01T00:00:00Z",
        "variants": ["main", "candidate"],
        "playground": {"title": None, "answer": {"text": None, "label": "/label", "score": "/score", "image": None}},
        "feedback": True,
        "asynchronous": False,
        "compare": True,
        **members,
    }


def document(media: Mapping[str, object], **members: object) -> dict[str, Any]:
    """The OpenAPI document of an endpoint that takes these media."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "sentiment-pr-42", "version": "1", "x-ephemeral-endpoint": about(**members)},
        "paths": {"/invocations": {"post": {"requestBody": {"content": media}}}},
    }


def problem(status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None, **members: object) -> Reply:
    """An error of the forwarder."""
    body = {"type": f"urn:ephemeral-endpoints:problem:{kind}", "title": kind, "status": status, "detail": detail}
    sent = {"content-type": "application/problem+json", **(headers or {})}
    return Reply(status, sent, json.dumps({**body, **members}).encode())


def answer(value: object, **headers: str) -> Reply:
    """An answer of the model, with the headers that the forwarder adds."""
    added = {f"eep-{name.replace('_', '-')}": text for name, text in headers.items()}
    timing = {"server-timing": "model;dur=8.2, total;dur=9.0"}
    return Reply(200, {**JSON, **timing, "eep-request-id": "JKJaXmPLvHcESHA=", **added}, json.dumps(value).encode())


class Site(ThreadingHTTPServer):
    """The endpoint. ``answer`` gives the reply to a request to the model or for a result, ``vote`` that to a vote."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}{BASE}"
        self.reset(document({}))

    def reset(
        self,
        described: object,
        answer: Callable[[Asked], Reply] = lambda _: Reply(),
        vote: Callable[[Asked], Reply] = lambda _: Reply(),
    ) -> None:
        """What is answered from now on; forgets what was asked so far."""
        self.document: object = described
        self.answer = answer
        self.vote = vote
        self.asked: list[Asked] = []
        self.strayed: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Site

    def do_GET(self) -> None:
        if self.path == BASE:
            self._page()
        elif not self.path.startswith(f"{BASE}/"):
            self.server.strayed.append(self.path)
            self._send(Reply())
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._send(problem(401, "unauthorized", "Send the endpoint's token as 'Authorization: Bearer TOKEN'."))
        elif self.path == f"{BASE}/openapi.json":
            self._send(Reply(body=json.dumps(self.server.document).encode()))
        else:
            self._send(self.server.answer(self._asked()))

    def do_POST(self) -> None:
        asked = self._asked()
        self._send(self.server.vote(asked) if self.path.endswith("/feedback") else self.server.answer(asked))

    def _asked(self) -> Asked:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.asked.append(asked)
        return asked

    def _page(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
        event = {"requestContext": {"http": {"method": "GET"}}, "headers": headers, "rawPath": self.path}
        assert page.is_asked_for(event, enabled=True)
        response = page.render(event, packing.document())
        self._send(Reply(response["statusCode"], response["headers"], response["body"].encode()))

    def _send(self, reply: Reply) -> None:
        if reply.hang_up:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        pass


def _application(forwarder: ModuleType) -> WSGIApplication:
    """The forwarder as a web application, which passes requests on as API Gateway does."""
    # Lambda gives one request at a time to a process.
    turn, ids = threading.Lock(), count(1)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        sent = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
            for name, value in environ.items()
            if value and (name.startswith("HTTP_") or name in {"CONTENT_TYPE", "CONTENT_LENGTH"})
        }
        child = environ["PATH_INFO"].removeprefix(PATH).removeprefix("/")
        encoded = base64.b64encode(body).decode() if body else None
        asked = event(environ["REQUEST_METHOD"], encoded, sent, encoded=True, child=child)
        asked["requestContext"]["requestId"] = f"request-{next(ids)}="
        with turn:
            answered = forwarder.handle(asked, Context())
        status = HTTPStatus(answered["statusCode"])
        start_response(f"{status.value} {status.phrase}", list(answered["headers"].items()))
        text = answered["body"]
        return [base64.b64decode(text) if answered["isBase64Encoded"] else text.encode()]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def behind_http(forwarder: ModuleType) -> Iterator[str]:
    """Serve the forwarder until the end of the block; gives the URL of its object."""
    with make_server("127.0.0.1", 0, _application(forwarder), _Server, _Silent) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{web.server_port}{PATH}"
        finally:
            web.shutdown()
            thread.join()
