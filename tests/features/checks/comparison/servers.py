"""Models on loopback, behind the URLs of objects."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from tests.controllers.environment import is_of_object

Behaviour = Callable[[bytes], web.Response]


def answering(answer: object) -> Behaviour:
    """Always the same answer in JSON."""
    return lambda _: web.json_response(answer)


def refusing(status: int) -> Behaviour:
    """Always an error."""
    return lambda _: web.Response(status=status)


@dataclass
class Models:
    """One server, whose paths behave as ``behaviours`` say; ``asked`` are the requests in their order.

    Paths in ``held`` are not answered as long as they are.
    """

    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[tuple[str, str | None, bytes]] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    port: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def requests(self, path: str) -> list[bytes]:
        return [body for asked, _, body in self.asked if asked == path]

    async def serve(self, request: web.Request) -> web.Response:
        body, path = await request.read(), re.sub("^/_api/[^/]+", "", request.path)
        self.asked.append((path, request.headers.get("Authorization"), body))
        while path in self.held:
            await asyncio.sleep(0.01)
        return self.behaviours[path](body)


@asynccontextmanager
async def running() -> AsyncIterator[Models]:
    models = Models()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/{path:.*}", models.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        models.port = runner.addresses[0][1]
        yield models
    finally:
        await runner.cleanup()


def leading_to(models: Models) -> aiohttp.ClientMiddlewareType:
    """Leads every request to the URL of an object to the server on loopback."""

    async def lead(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if is_of_object(request.url):
            request.url = request.url.with_port(models.port)
        return await handler(request)

    return lead


def echo(**more: Any) -> Behaviour:  # noqa: ANN401 - JSON
    """The request itself, with further members."""
    return lambda body: web.json_response({"request": json.loads(body), **more})
