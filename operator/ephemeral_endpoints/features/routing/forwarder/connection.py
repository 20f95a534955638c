"""Requests to AWS services that take JSON or forms, signed, over one connection that is kept.

Lambda freezes a process that has answered, so that side channels work while the model does. botocore's clients connect
when a request is sent, and take longer to create than a request; here the connection can be made before.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, NoCredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import botocore.session

SOCKET_SECONDS = 1.0
"""How long connecting, sending or receiving may take, each."""

IDLE_SECONDS = 5.0
"""A connection that was idle for longer is replaced: the service, or the freeze, may have ended it."""

_OK = 200
_ERROR_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")


class CallError(Exception):
    """A request that was not served, or of which that is not known. ``code`` is the service's, or says what failed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Operation(NamedTuple):
    """An operation: the service's name in endpoints, the operation's own, and the version of the JSON protocol.

    Those of the query protocol take forms, and ``version`` is that of the service's API.
    """

    service: str
    target: str
    version: str
    is_query: bool = False


class Connection:
    """Calls one operation, each time by one request and without retries. For one thread at a time."""

    def __init__(self, session: botocore.session.Session, region: str, operation: Operation) -> None:
        self._session = session
        self._region = region
        self._operation = operation
        self.url = _endpoint(session, operation.service, region)
        self._connection: http.client.HTTPConnection | None = None
        self._used = 0.0

    def connect(self) -> None:
        """Have a connection. Raises nothing: a call tries again, and tells."""
        if self._connection and time.monotonic() - self._used < IDLE_SECONDS:
            return
        self.close()
        url = urlsplit(self.url)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(url.netloc, timeout=SOCKET_SECONDS)
        with contextlib.suppress(OSError):
            connection.connect()
            self._connection, self._used = connection, time.monotonic()

    def call(self, members: Mapping[str, object]) -> None:
        """Call the operation with these members. Raises CallError."""
        self.connect()
        if self._connection is None:
            raise CallError("Unreachable")
        try:
            content = self._content(members)
            self._connection.request("POST", "/", content, self._headers(content))
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException, BotoCoreError) as error:
            self.close()
            raise CallError(type(error).__name__) from error
        self._used = time.monotonic()
        if answer.status != _OK:
            raise CallError(_code(body) or f"Status{answer.status}")

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def _content(self, members: Mapping[str, object]) -> bytes:
        if not self._operation.is_query:
            return json.dumps(members).encode()
        return urlencode({"Action": self._operation.target, "Version": self._operation.version, **members}).encode()

    def _headers(self, content: bytes) -> dict[str, str]:
        """The headers of a request with that body, signed."""
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        service, target, version, is_query = self._operation
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
        if is_query:
            headers = {"content-type": "application/x-www-form-urlencoded"}
        request = AWSRequest("POST", f"{self.url}/", headers=headers, data=content)
        SigV4Auth(credentials, service, self._region).add_auth(request)
        return dict(request.headers.items())


def _endpoint(session: botocore.session.Session, service: str, region: str) -> str:
    """The URL of a service, from the same variables as that of botocore's clients."""
    for name in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(name):
            return url.rstrip("/")
    found = session.get_component("endpoint_resolver").construct_endpoint(service, region)
    return f"https://{found['hostname']}"


def _code(body: bytes) -> str:
    if found := _ERROR_CODE.search(body):
        return found[1].decode()
    try:
        return str(json.loads(body)["__type"]).rpartition("#")[2][:64]
    except (KeyError, TypeError, ValueError):
        return ""
