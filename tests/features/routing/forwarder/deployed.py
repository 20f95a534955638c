"""A forwarder as Lambda has it, its bundle unpacked and imported, before a real HTTP server in SageMaker's place."""

import hashlib
import importlib.util
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from tests.fixtures.waiting import TIMEOUT_SECONDS

from ephemeral_endpoints.features.routing.forwarder.bundle import build
from ephemeral_endpoints.features.routing.forwarder.config import About, ForwarderConfig
from ephemeral_endpoints.features.routing.forwarder.expiry import TAG

TOKEN = "correct-horse"  # noqa: S105 - opens nothing but the forwarder of these tests
TOKEN_SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()
JSON = {"Content-Type": "application/json"}
PATH = "/nlp/sentiment"
ABOUT = About("nlp", "sentiment", "4f1c" * 10, "acme/sentiment", 42)
END = "2026-12-01T12:00:00Z"


@dataclass(frozen=True)
class Reply:
    """One answer of SageMaker; ``hang_up`` closes the connection instead, ``hold`` waits to be set before that."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    body: bytes = b'{"label":"positive"}'
    hang_up: bool = False
    hold: threading.Event | None = None


def refusal(status: int, code: str, message: str = "", **members: object) -> Reply:
    """An error as SageMaker's REST-JSON protocol writes it."""
    content = json.dumps({"Message": message, **members}).encode()
    return Reply(status, {"x-amzn-ErrorType": code, **JSON}, content)


FUNCTIONS = "/2015-03-31/functions/"
NO_FUNCTION = refusal(404, "ResourceNotFoundException", Type="User")


class Asked(NamedTuple):
    """A request that arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Runtime(ThreadingHTTPServer):
    """SageMaker Runtime: gives ``replies`` in turn, the last of them again and again.

    An endpoint named in ``replies_of`` has a reply of its own.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer_with(Reply())

    def answer_with(self, *replies: Reply, replies_of: Mapping[str, Reply] | None = None) -> None:
        """What is answered from now on; forgets what was asked so far."""
        self.replies = list(replies)
        self.replies_of = dict(replies_of or {})
        self.requests: list[Asked] = []

    def reply_to(self, path: str) -> Reply:
        """The reply whose turn it is. Functions have one by their name, and do not exist otherwise."""
        endpoint = path.split("/")[2]
        if path.startswith(FUNCTIONS):
            return self.replies_of.get(path.split("/")[3], NO_FUNCTION)
        if endpoint in self.replies_of:
            return self.replies_of[endpoint]
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Runtime

    def do_GET(self) -> None:
        """Lambda's answer about the tags of the function."""
        body = json.dumps({"Tags": {TAG: END}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(Asked(self.path, dict(self.headers), body))
        reply = self.server.reply_to(self.path)
        if reply.hold:
            reply.hold.wait(TIMEOUT_SECONDS)
        if reply.hang_up or reply.hold:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)
        promised_more = "Content-Length" in reply.headers
        self.close_connection = promised_more

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Serve until the end of the block; gives the server's URL."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def deployed(config: ForwarderConfig, folder: Path, urls: Mapping[str, str]) -> Iterator[ModuleType]:
    """The handler's module, imported out of its unpacked bundle as Lambda imports it; ``urls`` by AWS service."""
    with zipfile.ZipFile(io.BytesIO(build(config).zip)) as archive:
        archive.extractall(folder)
    spec = importlib.util.spec_from_file_location(
        "deployed", folder / "ephemeral_endpoints/features/routing/forwarder/handler.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as environment:
        for service, url in {"LAMBDA": urls["SAGEMAKER_RUNTIME"], **urls}.items():
            environment.setenv(f"AWS_ENDPOINT_URL_{service}", url)
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        spec.loader.exec_module(module)
        yield module
    module.CLIENTS.close()
    if module.LAMBDA.cache_info().currsize:
        module.LAMBDA().close()
    if module.QUEUE:
        module.QUEUE.store.close()


class Time:
    """A clock that goes on by what is slept."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._now: Callable[[], float] = time.monotonic

    def stand_still(self) -> None:
        """From now on only what is slept counts, and not what the machine takes."""
        now = time.monotonic()
        self._now = lambda: now

    def monotonic(self) -> float:
        return self._now() + sum(self.pauses)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


class Context:
    """Lambda's context object."""

    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:eep-c1-pr-42"

    def __init__(self, milliseconds: int = 30_000) -> None:
        self.milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


def event(
    method: str = "POST",
    body: str | None = '{"text":"good"}',
    headers: Mapping[str, str] | None = None,
    *,
    encoded: bool = False,
    query: Mapping[str, str] | None = None,
    variant: str | None = None,
    child: str = "",
) -> dict[str, Any]:
    """An event as API Gateway sends it, by default with the right token; ``child`` is the path below the object's."""
    key, path = f"ANY {PATH}", PATH
    if child:
        key, path = f"{key}/{{proxy+}}", f"{path}/{child}"
    sent = headers if headers is not None else {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    optional = {
        "body": body,
        "queryStringParameters": query,
        "pathParameters": {"proxy": child} if child else None,
    }
    return {
        "version": "2.0",
        "routeKey": key,
        "rawPath": path,
        "rawQueryString": "q=private-query",
        "headers": {**sent, **({} if variant is None else {"eep-variant": variant})},
        "requestContext": {
            "apiId": "a1b2c3d4",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            "requestId": "JKJaXmPLvHcESHA=",
            "stage": "$default",
        },
        "isBase64Encoded": encoded,
        **{name: value for name, value in optional.items() if value is not None},
    }
