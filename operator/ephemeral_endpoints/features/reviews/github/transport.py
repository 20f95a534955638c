"""Requests to one GitHub host, and its answers, bounded in size and time; what was not modified is not sent again."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from gidgethub import sansio

from ephemeral_endpoints.features.reviews.errors import ForgeUnavailable
from ephemeral_endpoints.features.reviews.github.answers import Response

TIMEOUT_SECONDS: Final = 30.0
"""GitHub itself gives up after ten."""

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
KEPT_ANSWERS: Final = 128
KEPT_BYTES: Final = 16 * 1024
"""Of one answer: larger ones are read again, so that all of them take 2 MB at most."""

_REQUESTER: Final = "ephemeral-endpoints"
_VERSION: Final = "2022-11-28"
_CHUNK: Final = 64 * 1024
_NOT_MODIFIED: Final = 304


class Transport:
    """Sends requests with ``session``, by ``proxy`` if there is one. ``timeout_seconds`` is for a whole answer."""

    def __init__(
        self, session: aiohttp.ClientSession, *, proxy: str | None = None, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._session = session
        self._proxy = proxy
        self._timeout = timeout_seconds
        self._kept: OrderedDict[tuple[str, str], Response] = OrderedDict()

    async def send(
        self, method: str, url: str, authorization: str, body: Mapping[str, Any] | None = None, *, whose: str = ""
    ) -> Response:
        """Send a request, and wait for the answer. Raises ForgeUnavailable where there is none.

        Redirects are the caller's to follow. An answer to a GET is kept for those for whom it was, ``whose``, and
        GitHub asked whether it still holds, which costs nothing of the limit.
        """
        kept = self._kept.get((whose, url)) if method == "GET" else None
        headers = {
            **sansio.create_headers(_REQUESTER),
            "x-github-api-version": _VERSION,
            "authorization": authorization,
        }
        if kept:
            headers["if-none-match"] = kept.headers["etag"]
        response = await self._send(method, url, headers, body)
        if kept and response.status == _NOT_MODIFIED:
            self._kept.move_to_end((whose, url))
            return Response(kept.status, {**kept.headers, **response.headers, **_kind(kept)}, kept.body)
        if method == "GET":
            self._keep((whose, url), response)
        return response

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> Response:
        data = None if body is None else json.dumps(body, allow_nan=False).encode()
        kind = {} if body is None else {"content-type": "application/json"}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._session.request(
                    method, url, headers={**headers, **kind}, data=data, proxy=self._proxy, allow_redirects=False
                ) as response,
            ):
                read = await _read(response)
                return Response(
                    response.status, {name.lower(): value for name, value in response.headers.items()}, read
                )
        except TimeoutError:
            raise ForgeUnavailable(
                f"GitHub does not answer within {self._timeout:g} s; the operator tries again"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ForgeUnavailable(
                f"GitHub does not answer ({type(error).__name__}); the operator tries again"
            ) from None

    def _keep(self, key: tuple[str, str], response: Response) -> None:
        self._kept.pop(key, None)
        if response.status == 200 and "etag" in response.headers and len(response.body) <= KEPT_BYTES:  # noqa: PLR2004 - OK
            self._kept[key] = response
            while len(self._kept) > KEPT_ANSWERS:
                self._kept.popitem(last=False)


def _kind(response: Response) -> Mapping[str, str]:
    """The headers that belong to a body, of which an answer without one has its own."""
    return {name: response.headers[name] for name in ("content-type", "link") if name in response.headers}


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise ForgeUnavailable(f"GitHub's answer has more than {MAX_ANSWER_BYTES} bytes; the operator tries again")
        parts.append(chunk)
    return b"".join(parts)
