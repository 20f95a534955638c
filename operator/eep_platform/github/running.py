"""The embedded GitHub in this process: in a thread of its own, within milliseconds."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from aiohttp import web

from eep_platform.emulation.clock import Clock, utc_now
from eep_platform.github.app import application
from eep_platform.github.client import GitHubClient

START_SECONDS: Final = 60


@contextlib.contextmanager
def running(clock: Clock = utc_now) -> Iterator[GitHubClient]:
    """A running GitHub without anything in it, which is strict. ``clock`` gives its time, in another thread."""
    begun = Future[Callable[[], object]]()
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as thread:
        client = GitHubClient(f"http://127.0.0.1:{listening.getsockname()[1]}")
        serving = thread.submit(asyncio.run, _serve(listening, client.url, clock, begun))
        stop = begun.result(START_SECONDS)
        try:
            client.settings(strict=True)
            yield client
        finally:
            stop()
            serving.result(START_SECONDS)


async def _serve(listening: socket.socket, url: str, clock: Clock, begun: "Future[Callable[[], object]]") -> None:
    runner = web.AppRunner(
        application(url, clock=clock), access_log=None, shutdown_timeout=0.1, handler_cancellation=True
    )
    await runner.setup()
    await web.SockSite(runner, listening).start()
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    begun.set_result(lambda: loop.call_soon_threadsafe(stop.set))
    await stop.wait()
    await runner.cleanup()
