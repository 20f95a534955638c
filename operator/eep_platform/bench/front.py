"""The front of the embedded AWS with immediate answers in place of the endpoints.

    python -m eep_platform.bench.front --port P --upstream URL --sagemaker URL --codebuild URL

Hundreds of model servers and Lambda functions do not fit on one machine, and the benchmark would measure their starts
instead of the operator. So this front answers requests through HTTP APIs itself; the rest is as in `aws.front`.
"""

import argparse
import asyncio
import json
import signal
import sys

from aiohttp import web

from eep_platform.aws import ministack, services
from eep_platform.aws.front import Front, serve
from eep_platform.aws.meter import Meter
from eep_platform.platform import Platform
from eep_platform.processes import find, spawn, stop, wait_until

_READY_SECONDS = 120


class StandIn(Front):
    """Answers for all endpoints, as the forwarder does when the model answers."""

    async def _to_http_api(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "Ready"})


def install(platform: Platform) -> None:
    """Replace the platform's front with the stand-in; blocks until it serves."""
    ports = ports_of(platform)
    if running := find(services.FRONT, platform.state):
        stop(running)
    argv = [sys.executable, "-m", __name__, "--port", str(ports.front), *services.upstreams(ports)]
    process = spawn(services.FRONT, argv, state=platform.state, env=services.module_environment())
    health = f"{platform.aws_endpoint}/_meter/health"
    wait_until(lambda: ministack.answers(health), seconds=_READY_SECONDS, what="the front", process=process)


def ports_of(platform: Platform) -> services.Ports:
    """The ports of the platform's services."""
    return services.Ports(**json.loads((platform.state / "platform.json").read_bytes())["ports"])


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--sagemaker", required=True)
    parser.add_argument("--codebuild", required=True)
    options = parser.parse_args()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    public_url = f"http://127.0.0.1:{options.port}"
    front = StandIn(
        public_url=public_url,
        upstream=options.upstream,
        sagemaker=options.sagemaker,
        codebuild=options.codebuild,
        meter=Meter(),
    )
    await serve(front, options.port, until=stopped)


if __name__ == "__main__":
    asyncio.run(_main())
