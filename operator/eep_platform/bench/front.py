"""The front of the embedded AWS with immediate answers in place of the endpoints.

    python -m eep_platform.bench.front --port P --upstream URL --sagemaker URL --codebuild URL

Hundreds of model servers and Lambda functions do not fit on one machine, and the benchmark would measure their starts
instead of the operator. So this front answers requests through HTTP APIs itself; the rest is as in `aws.front`.
"""

import argparse
import asyncio
import hashlib
import json
import signal
import sys
from contextlib import suppress

from aiohttp import web

from eep_platform.aws import ministack, services
from eep_platform.aws.front import Front, serve
from eep_platform.aws.meter import Meter
from eep_platform.bootstrap import EXAMPLE_REPOSITORY
from eep_platform.containers.image import EMPTY_MANIFEST
from eep_platform.platform import Platform
from eep_platform.processes import find, spawn, stop, wait_until
from eep_platform.workbench import Workbench

_READY_SECONDS = 120


_LABELS = ("negative", "neutral", "positive")


class StandIn(Front):
    """Answers for all endpoints, as the forwarder does when the model answers; each model answers something else."""

    async def _to_http_api(self, request: web.Request) -> web.StreamResponse:
        drawn = hashlib.sha256(request.path.encode() + await request.read()).digest()
        scores = [each / sum(drawn[:3]) for each in drawn[:3]]
        return web.json_response({"label": _LABELS[drawn[3] % 3], "scores": dict(zip(_LABELS, scores, strict=True))})


def install(platform: Platform) -> None:
    """Replace the platform's front with the stand-in; blocks until it serves."""
    ports = ports_of(platform)
    if running := find(services.FRONT, platform.state):
        stop(running)
    argv = [sys.executable, "-m", __name__, "--port", str(ports.front), *services.upstreams(ports)]
    process = spawn(services.FRONT, argv, state=platform.state, env=services.module_environment())
    health = f"{platform.aws_endpoint}/_meter/health"
    wait_until(lambda: ministack.answers(health), seconds=_READY_SECONDS, what="the front", process=process)


def put_image(bench: Workbench, tag: str) -> None:
    """Have an image in the example's repository that is none of any other tag, as each pull request has its own."""
    own = {**EMPTY_MANIFEST, "annotations": {"org.opencontainers.image.ref.name": tag}}
    ecr = bench.session.client("ecr", endpoint_url=bench.platform.aws_endpoint)
    with suppress(ecr.exceptions.ImageAlreadyExistsException):
        ecr.put_image(repositoryName=EXAMPLE_REPOSITORY, imageManifest=json.dumps(own), imageTag=tag)


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
