"""Requests to a model that does not behave, over real connections."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ephemeral_endpoints.features.checks.requests import ModelAnswer, ModelClient, ModelRequest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKEN = "a-token"  # noqa: S105 - no secret
REQUEST = ModelRequest(b'{"text": "fine"}', "application/json")


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("/nlp/pr-42"))


async def answer(handler: Handler, *, token: str | None = TOKEN, seconds: float = 30, most: int = 1000) -> ModelAnswer:
    async with serving(handler) as url, aiohttp.ClientSession() as session:
        client = ModelClient(session, time.monotonic)
        return await client.send(url, token, REQUEST, timeout_seconds=seconds, most_bytes=most)


async def test_the_model_gets_the_request_as_it_is_with_the_token() -> None:
    async def echo(request: web.Request) -> web.Response:
        headers = request.headers["Authorization"], request.headers["Content-Type"]
        return web.Response(text=f"{request.method} {headers} {await request.text()}", headers={"eep-variant": "main"})

    found = await answer(echo)
    assert found.body == b"""POST ('Bearer a-token', 'application/json') {"text": "fine"}"""
    assert (found.status, found.is_ok, found.variant, found.content_type) == (
        200,
        True,
        "main",
        "text/plain; charset=utf-8",
    )
    assert found.seconds > 0


async def test_without_a_token_none_is_sent() -> None:
    async def check(request: web.Request) -> web.Response:
        return web.Response(text=str("Authorization" in request.headers))

    assert (await answer(check, token=None)).body == b"False"


async def test_a_refusal_is_an_answer() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=503, text="starting")

    found = await answer(refuse)
    assert (found.status, found.is_ok, found.body, found.error) == (503, False, b"starting", "")


async def test_of_a_long_answer_the_beginning_is_read() -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"x" * 10_000)
        return response

    found = await answer(flood, most=25_000)
    assert (len(found.body), found.is_truncated) == (25_000, True)


@pytest.mark.parametrize(("size", "is_truncated"), [(1000, False), (1001, True)])
async def test_an_answer_may_have_just_as_much(size: int, *, is_truncated: bool) -> None:
    async def reply(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * size)

    found = await answer(reply)
    assert (len(found.body), found.is_truncated) == (1000, is_truncated)


async def test_what_unpacks_to_a_multiple_counts_unpacked() -> None:
    async def bomb(_: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b"0" * 5_000_000), headers={"Content-Encoding": "gzip"})

    found = await answer(bomb, most=20_000)
    assert (len(found.body), found.is_truncated) == (20_000, True)


async def test_a_model_that_hangs_is_given_up_at_the_deadline() -> None:
    release = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with serving(hang) as url, aiohttp.ClientSession() as session:
        client = ModelClient(session, time.monotonic)
        found = await client.send(url, None, REQUEST, timeout_seconds=0.05)
        release.set()
    assert (found.status, found.error) == (None, "no answer within 0.05 s")


async def test_a_model_that_trickles_is_given_up_at_the_deadline() -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.005)

    assert (await answer(trickle, seconds=0.1, most=10**9)).error == "no answer within 0.1 s"


async def test_the_token_goes_to_no_other_place() -> None:
    seen: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    found = await answer(redirect)
    assert (found.status, found.is_ok, seen) == (307, False, ["/nlp/pr-42"])


async def test_a_connection_that_breaks_is_no_answer() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        assert request.transport
        request.transport.close()
        return response

    found = await answer(cut)
    assert (found.status, found.error) == (None, "the URL does not answer: ClientPayloadError")


async def test_a_url_that_nobody_serves_is_no_answer() -> None:
    async with aiohttp.ClientSession() as session:
        client = ModelClient(session, time.monotonic)
        found = await client.send("http://127.0.0.1:9/x", None, REQUEST, timeout_seconds=60)
    assert (found.status, found.error) == (None, "the URL does not answer: ClientConnectorError")


async def test_requests_of_the_operator_tell_their_purpose() -> None:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("eep-purpose", "none"))

    async with serving(tell) as url, aiohttp.ClientSession() as session:
        sent = [ModelClient(session, time.monotonic, purpose) for purpose in ("check", None)]
        found = [await client.send(url, None, REQUEST, timeout_seconds=30) for client in sent]
    assert [each.body for each in found] == [b"check", b"none"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), ("0", 0.0), ("", None), ("-1", None), ("Mon, 30 Nov 2026 00:00:00 GMT", None), ("9" * 400, None)],
)
async def test_an_answer_may_ask_for_another_try(value: str, seconds: float | None) -> None:
    async def busy(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": value})

    assert (await answer(busy)).retry_after == seconds


async def test_no_answer_in_time_is_told_from_no_connection() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    async with serving(hang) as url, aiohttp.ClientSession() as session:
        client = ModelClient(session, time.monotonic)
        assert (await client.send(url, None, REQUEST, timeout_seconds=0.05)).is_timeout
        assert not (await client.send("http://127.0.0.1:1/", None, REQUEST, timeout_seconds=60)).is_timeout
