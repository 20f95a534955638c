"""A model's URL on the loopback, whose answers a test decides."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Reply = Callable[[bytes], Awaitable[web.Response]]


async def echo(body: bytes) -> web.Response:
    """The request itself."""
    return web.Response(body=body, content_type="application/json")


def answering(text: str, *, status: int = 200, content_type: str = "application/json", **headers: str) -> Reply:
    """Always the same answer."""

    async def reply(_: bytes) -> web.Response:
        return web.Response(text=text, status=status, content_type=content_type, headers=headers)

    return reply


@dataclass
class ModelServer:
    """What was asked, as headers and body, and what is answered. ``most`` is how many requests there were at once."""

    url: str = ""
    reply: Reply = echo
    requests: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    most: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _active: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append((dict(request.headers), body))
        self._active += 1
        self.most = max(self.most, self._active)
        self.asked.set()
        try:
            return await self.reply(body)
        finally:
            self._active -= 1


@asynccontextmanager
async def serving() -> AsyncIterator[ModelServer]:
    """A model server, for as long as the context lasts."""
    model, app = ModelServer(), web.Application()
    app.router.add_post("/{path:.*}", model.handle)
    # Whoever goes away ends its request, as behind an HTTP API.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        model.url = f"http://{host}:{port}/nlp/pr"
        yield model
    finally:
        await runner.cleanup()
