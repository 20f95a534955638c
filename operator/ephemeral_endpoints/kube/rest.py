"""Requests to the API server as plain dictionaries, with the credentials and the connections of the official client.

The client's typed classes are left aside on purpose: importing those of the core API alone takes a second and 90 MB.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.rest import RESTResponse

from ephemeral_endpoints.api import MANAGER
from ephemeral_endpoints.kube.errors import Unavailable, of_answer, of_connection

MERGE_PATCH: Final = "application/merge-patch+json"
_WRITING: Final = frozenset({"PATCH", "POST", "PUT"})
_JSON: Final = "application/json"
_TEXT: Final = "text/plain, */*"

TLS_CLOSE_SECONDS: Final = 0.25
"""How long an event loop has to go on after its connections were closed, until those with TLS are.

https://docs.aiohttp.org/en/stable/client_advanced.html#graceful-shutdown
"""

WATCH_SECONDS: Final = 240
"""For how long a watch is requested."""

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds after which a request is given up; without one the client waits for five minutes."""

    connect: float = 5.0
    """For the connection and its TLS handshake."""

    answer: float = 35.0
    """For one object: more than an admission webhook may take, which is at most 30 s
    (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#timeouts)."""

    content: float = 60.0
    """For a page of a list or for text: the API server's own limit (its option ``--request-timeout``)."""

    silence: float = 90.0
    """For the next event of a watch: the API server sends a bookmark about once a minute."""

    def of_object(self) -> aiohttp.ClientTimeout:
        """For a request about one object."""
        return aiohttp.ClientTimeout(total=self.answer, sock_connect=self.connect)

    def of_content(self) -> aiohttp.ClientTimeout:
        """For a request with a long answer."""
        return aiohttp.ClientTimeout(total=self.content, sock_connect=self.connect)

    def of_watch(self) -> aiohttp.ClientTimeout:
        """For a watch."""
        return aiohttp.ClientTimeout(
            total=WATCH_SECONDS + self.content, sock_connect=self.connect, sock_read=self.silence
        )


DEADLINES: Final = Deadlines()


class Rest:
    """An API server. Methods raise KubernetesError, at the deadline of the request at the latest."""

    def __init__(self, api: ApiClient, deadlines: Deadlines = DEADLINES) -> None:
        self._api = api
        self._deadlines = deadlines

    async def __call__(
        self, method: str, path: str, body: Raw | None = None, *, content_type: str = _JSON, accept: str = _JSON
    ) -> Raw:
        """Send one request and return the object that answers it. What it writes is managed by ``MANAGER``."""
        headers = {"Accept": accept, **({"Content-Type": content_type} if body is not None else {})}
        return _parsed(await self._send(method, path, headers, self._deadlines.of_object(), body), f"{method} {path}")

    async def pages(self, folder: str, *, limit: int, selector: str = "", accept: str = _JSON) -> AsyncIterator[Raw]:
        """The list of the objects in a folder, page by page; ``selector`` selects them by labels."""
        query = {"limit": limit, **({"labelSelector": selector} if selector else {})}
        following = ""
        while True:
            path = f"{folder}?{urlencode(query | ({'continue': following} if following else {}))}"
            content = await self._send("GET", path, {"Accept": accept}, self._deadlines.of_content())
            page = _parsed(content, f"GET {path}")
            # A list of metadata has null where others have an empty list.
            yield {**page, "items": page["items"] or []}
            following = page["metadata"].get("continue", "")
            if not following:
                return

    async def events(self, path: str, *, accept: str) -> AsyncGenerator[Raw]:
        """The events of a watch, until the API server ends it or is silent, as on a connection that was dropped.

        Raises Unavailable for an event that reports an error, except that the version of the watch has expired: that
        one is returned, and is the last.
        """
        answer = await self._request("GET", path, {"Accept": accept}, self._deadlines.of_watch())
        try:
            async for line in answer.response.content:
                event = _parsed(line, f"GET {path}")
                if event["type"] == "ERROR" and event["object"].get("code") != HTTPStatus.GONE:
                    raise Unavailable(str(event["object"].get("message", "the watch failed")), request=f"GET {path}")
                yield event
        except TimeoutError:
            return
        except aiohttp.ClientError as error:
            raise of_connection(error, f"GET {path}") from error
        finally:
            answer.response.close()

    async def text(self, path: str) -> str:
        """Read text that is no object, such as a log; invalid characters are replaced."""
        content = await self._send("GET", path, {"Accept": _TEXT}, self._deadlines.of_content())
        return content.decode(errors="replace")

    async def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        deadline: aiohttp.ClientTimeout,
        body: Raw | None = None,
    ) -> bytes:
        answer = await self._request(method, path, headers, deadline, body)
        return await _read(answer, f"{method} {path}")

    async def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        deadline: aiohttp.ClientTimeout,
        body: Raw | None = None,
    ) -> RESTResponse:
        """The answer, of which only a refusal was read."""
        managed = f"{path}?{urlencode({'fieldManager': MANAGER})}" if method in _WRITING else path
        prepared = await self._api.param_serialize(
            method, managed, header_params=dict(headers), body=body, auth_settings=["BearerToken"]
        )
        try:
            # The client passes the timeout on to aiohttp as it is.
            answer = await self._api.call_api(*prepared, _request_timeout=deadline)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise of_connection(error, f"{method} {path}") from error
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise of_answer(answer.status, await _read(answer, f"{method} {path}"), f"{method} {path}")
        return answer


async def _read(answer: RESTResponse, request: str) -> bytes:
    try:
        content: bytes = await answer.read()  # type: ignore[no-untyped-call]
    except (aiohttp.ClientError, TimeoutError) as error:
        raise of_connection(error, request) from error
    return content


def _parsed(content: bytes, request: str) -> Raw:
    try:
        parsed: Raw = json.loads(content)
    except ValueError as error:
        raise Unavailable("the API server's answer cannot be read", request=request) from error
    return parsed
