import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from eep_platform.aws.front import Front
from eep_platform.aws.meter import Meter

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Ask = Callable[..., Awaitable[aiohttp.ClientResponse]]


@pytest.fixture
async def front_of() -> AsyncIterator[Callable[[Handler], Awaitable[Ask]]]:
    """Starts a front of a service that behaves as a handler does; gives what sends a request through it."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> Ask:
            service = web.Application(client_max_size=0)
            service.router.add_route("*", "/{tail:.*}", handler)
            upstream = await _serving(stack, service)
            return await _asker(stack, str(upstream.make_url("")).rstrip("/"))

        yield start


async def _serving(stack: AsyncExitStack, application: web.Application) -> TestServer:
    server = TestServer(application)
    await server.start_server(auto_decompress=False)
    stack.push_async_callback(server.close)
    return server


async def _asker(stack: AsyncExitStack, upstream: str) -> Ask:
    front = Front(
        public_url="http://127.0.0.1:1", upstream=upstream, sagemaker=upstream, codebuild=upstream, meter=Meter()
    )
    server = await _serving(stack, front.application())
    session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))

    async def ask(method: str, path: str, **arguments: object) -> aiohttp.ClientResponse:
        return await session.request(method, server.make_url(path), **arguments)  # type: ignore[arg-type]

    return ask


async def test_the_head_is_passed_on_without_what_belongs_to_one_connection(
    front_of: Callable[[Handler], Awaitable[Ask]],
) -> None:
    seen: list[web.Request] = []

    async def service(request: web.Request) -> web.Response:
        seen.append(request)
        answer = web.Response(status=299, reason="Fine", text="x", headers={"X-Kept": "1", "X-Hop": "1"})
        answer.headers.add("Set-Cookie", "a=1")
        answer.headers.add("Set-Cookie", "b=2")
        answer.headers["Connection"] = "X-Hop"
        answer.headers["Keep-Alive"] = "timeout=5"
        return answer

    ask = await front_of(service)
    sent = {"Connection": "X-Mine, keep-alive", "X-Mine": "1", "TE": "trailers", "X-Other": "2", "User-Agent": "me"}
    answer = await ask("POST", "/_api/a1/p%2Fq?x=%20&x=2", data=b"\x00\xff", headers=sent)
    (request,) = seen
    assert (request.path_qs, await answer.read()) == ("/_aws/execute-api/a1/$default/p%2Fq?x=%20&x=2", b"x")
    assert {"X-Other", "User-Agent"} <= set(request.headers)
    assert not {"X-Mine", "TE"} & set(request.headers)
    assert (answer.status, answer.reason, answer.headers["X-Kept"]) == (299, "Fine", "1")
    assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]
    assert not {"X-Hop", "Keep-Alive"} & set(answer.headers)


async def test_bodies_pass_as_they_are_compressed_or_not(front_of: Callable[[Handler], Awaitable[Ask]]) -> None:
    body = gzip.compress(b"x" * 100)
    received: list[bytes] = []

    async def service(request: web.Request) -> web.Response:
        received.append(await request.content.read())
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    ask = await front_of(service)
    answer = await ask("POST", "/_api/a1/x", data=body, headers={"Content-Encoding": "gzip"})
    assert (await answer.read(), received) == (body, [body])


async def test_the_length_of_a_body_that_is_not_sent_is_passed_on(
    front_of: Callable[[Handler], Awaitable[Ask]],
) -> None:
    async def service(_: web.Request) -> web.Response:
        return web.Response(headers={"Content-Length": "123456"})

    ask = await front_of(service)
    answer = await ask("HEAD", "/v2/models/wine/blobs/sha256:0")
    assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, "123456", b"")


async def test_a_large_upload_streams_while_it_is_being_sent(front_of: Callable[[Handler], Awaitable[Ask]]) -> None:
    arrived = asyncio.Event()

    async def service(request: web.Request) -> web.Response:
        total = 0
        async for chunk in request.content.iter_any():
            total += len(chunk)
            arrived.set()
        return web.Response(text=str(total))

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        await asyncio.wait_for(arrived.wait(), 60)  # a front that collects the body first would wait here for ever
        yield b"x" * 100_000

    ask = await front_of(service)
    answer = await ask("PUT", "/v2/models/wine/blobs/uploads/1", data=body())
    assert await answer.text() == "200000"


async def test_a_large_download_streams_while_it_is_being_made(front_of: Callable[[Handler], Awaitable[Ask]]) -> None:
    received = asyncio.Event()

    async def service(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"first")
        await asyncio.wait_for(received.wait(), 60)
        await answer.write(b"second")
        return answer

    ask = await front_of(service)
    answer = await ask("GET", "/v2/models/wine/blobs/sha256:0")
    assert await answer.content.readexactly(5) == b"first"
    received.set()
    assert await answer.content.read() == b"second"


async def test_a_service_that_hangs_up_is_passed_on_as_it_is(front_of: Callable[[Handler], Awaitable[Ask]]) -> None:
    async def service(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    ask = await front_of(service)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await ask("POST", "/_api/a1/x")


async def test_a_service_that_does_not_run_is_reported_in_the_callers_protocol() -> None:
    async with AsyncExitStack() as stack:
        ask = await _asker(stack, "http://127.0.0.1:9")  # where nothing listens
        signed = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/sagemaker/aws4_request",
            "X-Amz-Target": "SageMaker.ListModels",
        }
        answer = await ask("POST", "/", data=b"{}", headers=signed)
        assert (answer.status, (await answer.json(content_type=None))["__type"]) == (503, "ServiceUnavailable")
        assert (await ask("GET", "/_sagemaker/state")).status == 502
