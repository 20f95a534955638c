"""The front of the embedded AWS with a stand-in for what answers requests to endpoints.

    python -m ephemeral_endpoints.local.bench.front --port P --upstream URL --sagemaker URL --codebuild URL

Hundreds of model servers and Lambda functions do not fit on one machine, and their starts would be measured instead of
the operator. So requests through the HTTP APIs are answered here, at once; everything else is as in the front itself.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

import ephemeral_endpoints
from ephemeral_endpoints.local.aws import ministack, services
from ephemeral_endpoints.local.aws.front import Front, serve
from ephemeral_endpoints.local.aws.meter import Meter
from ephemeral_endpoints.local.platform import Platform
from ephemeral_endpoints.local.processes import find, spawn, stop, wait_until

_READY_SECONDS = 30


class StandIn(Front):
    """Answers for every endpoint, as the forwarder does once the model behind it answers."""

    async def _to_http_api(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "Ready"})


def install(platform: Platform) -> None:
    """Put the stand-in in the place of the platform's front; blocks until it serves."""
    ports = ports_of(platform)
    if running := find(services.FRONT, platform.state):
        stop(running)
    argv = [sys.executable, "-m", __name__, "--port", str(ports.front), *services.upstreams(ports)]
    package_root = str(Path(ephemeral_endpoints.__file__).parents[1])
    environment = {**ministack.without_aws(os.environ), **ministack.credentials(), "PYTHONPATH": package_root}
    process = spawn(services.FRONT, argv, state=platform.state, env=environment)
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
