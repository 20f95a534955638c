"""Every request ends at its deadline, also where the network has dropped the connection without a word."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration
from tests.fixtures.connection import Connection, line_to

from ephemeral_endpoints.kube.errors import Unavailable
from ephemeral_endpoints.kube.rest import DEADLINES, WATCH_SECONDS, Deadlines, Rest

SHORT = Deadlines(connect=0.5, answer=0.5, content=0.5, silence=0.5)
FAR_BELOW_THE_CLIENTS = 60.0
"""The client's own limit is five minutes."""

PATH = "/api/v1/namespaces"


async def pages(rest: Rest) -> object:
    return [page async for page in rest.pages(PATH, limit=1)]


async def events(rest: Rest) -> object:
    return [event async for event in rest.events(f"{PATH}?watch=1", accept="application/json")]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(lambda rest: rest("GET", f"{PATH}/default"), id="read"),
        pytest.param(lambda rest: rest("PATCH", f"{PATH}/default", {}), id="write"),
        pytest.param(pages, id="list"),
        pytest.param(lambda rest: rest.text("/version"), id="text"),
        pytest.param(events, id="watch"),
    ],
)
@pytest.mark.parametrize("happens", [Connection.hang, Connection.drop], ids=["new connection", "kept connection"])
async def test_a_request_whose_connection_is_dead_fails_at_its_deadline(
    api: ApiClient, happens: Callable[[Connection], None], request_: Callable[[Rest], Awaitable[object]]
) -> None:
    async with line_to(api.configuration) as (line, configuration), ApiClient(configuration) as through:
        rest = Rest(through, SHORT)
        if happens is Connection.drop:
            await Rest(through)("GET", f"{PATH}/default")
        happens(line)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer"):
            await request_(rest)
        assert time.monotonic() - began < FAR_BELOW_THE_CLIENTS


async def test_the_request_after_one_on_a_dropped_connection_is_answered(api: ApiClient) -> None:
    async with line_to(api.configuration) as (line, configuration), ApiClient(configuration) as through:
        await Rest(through)("GET", f"{PATH}/default")
        line.drop()
        with pytest.raises(Unavailable):
            await Rest(through, SHORT)("GET", f"{PATH}/default")
        assert (await Rest(through)("GET", f"{PATH}/default"))["metadata"]["name"] == "default"


@asynccontextmanager
async def watched(*lines: Any, silence: float | None = None) -> AsyncIterator[Rest]:  # noqa: ANN401 - JSON
    """A server whose watch brings these events and ends, or is silent then, with the deadline for that in seconds."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(json.dumps(line).encode() + b"\n")
        if silence:
            await asyncio.sleep(FAR_BELOW_THE_CLIENTS)
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    async with TestServer(app) as server, ApiClient(Configuration(host=str(server.make_url("")).rstrip("/"))) as api:
        yield Rest(api, Deadlines(silence=silence) if silence else DEADLINES)


EVENT = {"type": "ADDED", "object": {"metadata": {"name": "one", "resourceVersion": "1"}}}


async def test_a_watch_that_has_become_silent_ends_as_if_the_api_server_had_ended_it() -> None:
    async with watched(EVENT, silence=1.0) as rest:
        assert await events(rest) == [EVENT]


async def test_an_expired_version_is_the_last_event_of_a_watch() -> None:
    expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}
    async with watched(EVENT, expired) as rest:
        assert await events(rest) == [EVENT, expired]


async def test_another_error_in_a_watch_is_one_of_the_api_server() -> None:
    failed = {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd is full"}}
    async with watched(EVENT, failed) as rest:
        with pytest.raises(Unavailable, match="etcd is full"):
            await events(rest)


def test_deadlines_fit_their_purpose() -> None:
    webhook, bookmark, own_limit = 30, 60, 60
    assert DEADLINES.answer > webhook, "what an admission webhook may take"
    assert DEADLINES.silence > bookmark, "else every quiet watch would be taken for a dead one"
    assert DEADLINES.content >= own_limit, "the API server gives up first, and says why"
    assert (DEADLINES.of_watch().total or 0) > WATCH_SECONDS, "the API server ends a watch first"


async def test_a_name_that_cannot_be_resolved_is_an_api_server_that_does_not_answer() -> None:
    async with ApiClient(Configuration(host="https://kubernetes.invalid")) as nowhere:
        with pytest.raises(Unavailable, match="did not answer"):
            await Rest(nowhere)("GET", f"{PATH}/default")
