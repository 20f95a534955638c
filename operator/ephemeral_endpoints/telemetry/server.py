"""The operator's HTTP endpoints: health, metrics, and the inspection of single objects."""

from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ephemeral_endpoints.telemetry.metrics import Metrics

Inspect = Callable[[str, str], Mapping[str, object] | None]
"""Returns the inspection of the object with that namespace and name; None if it is not known."""


async def serve(host: str, port: int, app: web.Application) -> web.AppRunner:
    """Serve an application until the runner is cleaned up. Raises OSError where it cannot listen.

    Bodies are handed on as they come: what a stranger has compressed is unpacked for nobody.
    """
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def http_app(metrics: Metrics, is_ready: Callable[[], bool], inspect: Inspect = lambda *_: None) -> web.Application:
    """The operator's HTTP endpoints.

    /healthz answers while the event loop responds, /readyz once the watch is established, and /metrics always.
    /inspect/NAMESPACE/NAME shows the retries and holds of an object, with reasons but without messages, because the
    port does not authenticate callers.
    """

    async def inspection(request: web.Request) -> web.Response:
        found = inspect(request.match_info["namespace"], request.match_info["name"])
        if found is None:
            return web.json_response({"unknown": "the operator has not reconciled this object"})
        return web.json_response(found)

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        return (
            web.Response(text="ok") if is_ready() else web.Response(status=503, text="the watch is not established yet")
        )

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", scrape)
    app.router.add_get("/inspect/{namespace}/{name}", inspection)
    return app
