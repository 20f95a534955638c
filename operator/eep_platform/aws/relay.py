"""Passing HTTP on: the head by the rules for intermediaries (RFC 9110, section 7.6), bodies unread where possible."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# The server below has answered an expectation already, and the next hop is another host.
_REQUEST_ONLY = frozenset({"expect", "host"})
_AUTOMATIC = (hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE)
_CHUNK_BYTES = 256 * 1024
_WHOLE_BYTES = 1024 * 1024


class UpstreamUnreachableError(Exception):
    """No connection to the service could be made: it has seen nothing of the request."""


class UpstreamGoneError(Exception):
    """The service ended the connection without a whole answer: what it did is unknown."""


async def _pass_on() -> None:
    """Refuse nothing."""


def _leave_alone(_: CIMultiDict[str]) -> None:
    """The headers are right as they are."""


@dataclass(frozen=True, slots=True)
class Passage:
    """How one request is to be passed on.

    `target` is path and query as on the wire. `body` is the request's body where it was read already. `rewrite` changes
    the body of a successful answer, `correct` the headers of any, and `headers` come beside the request's own. `refuse`
    returns the answer to a request that is not passed on.
    """

    target: str
    body: bytes | None = None
    rewrite: Callable[[bytes], bytes] | None = None
    refuse: Callable[[], Awaitable[web.Response | None]] = _pass_on
    headers: Mapping[str, str] = field(default_factory=dict)
    correct: Callable[[CIMultiDict[str]], None] = _leave_alone


async def relay(
    request: web.Request,
    session: aiohttp.ClientSession,
    base: str,
    passage: Passage,
    *,
    lose_answer: bool = False,
) -> web.StreamResponse:
    """Pass a request to the service at `base` and its answer back.

    With `lose_answer` the whole answer is awaited and then the caller's connection is cut.

    Raises:
        UpstreamUnreachableError: no connection could be made.
        UpstreamGoneError: the connection ended before a whole answer; a part may have been passed back.
    """
    try:
        async with session.request(
            request.method,
            URL(base + passage.target, encoded=True),
            headers=CIMultiDict([*_end_to_end(request.headers, _REQUEST_ONLY).items(), *passage.headers.items()]),
            data=_payload(request, passage.body),
            allow_redirects=False,
            skip_auto_headers=_AUTOMATIC,
        ) as answer:
            if lose_answer:
                await answer.read()
                return cut(request)
            return await _pass_back(request, answer, passage)
    except aiohttp.ClientConnectorError as error:
        raise UpstreamUnreachableError(str(error)) from error
    except (aiohttp.ClientPayloadError, aiohttp.ServerConnectionError, aiohttp.ClientOSError) as error:
        raise UpstreamGoneError(str(error)) from error


def cut(request: web.Request) -> web.Response:
    """End the caller's connection without an answer; the result is for the server and is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def new_session() -> aiohttp.ClientSession:
    """A session that neither decodes bodies nor bounds connections or time: the caller's own limits apply."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_CHUNK_BYTES,
    )


def _end_to_end(headers: CIMultiDictProxy[str], also_drop: frozenset[str] = frozenset()) -> CIMultiDict[str]:
    named = {name.strip().lower() for value in headers.getall(hdrs.CONNECTION, ()) for name in value.split(",")}
    dropped = _HOP_BY_HOP | also_drop | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def _payload(request: web.Request, body: bytes | None) -> bytes | aiohttp.StreamReader | None:
    if body is not None:
        return body
    return request.content if request.can_read_body else None


async def _pass_back(request: web.Request, answer: aiohttp.ClientResponse, passage: Passage) -> web.StreamResponse:
    headers = _end_to_end(answer.headers)
    passage.correct(headers)
    if passage.rewrite is not None and answer.ok:
        headers.popall(hdrs.CONTENT_LENGTH, None)
        return web.Response(status=answer.status, headers=headers, body=passage.rewrite(await answer.read()))
    length = answer.content_length
    if request.method != hdrs.METH_HEAD and length is not None and length < _WHOLE_BYTES:
        headers.popall(hdrs.CONTENT_LENGTH)
        return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=await answer.read())
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response
