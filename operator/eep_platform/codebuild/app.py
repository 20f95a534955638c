"""The service as an aiohttp application: the API and the control API on one port."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from eep_platform.codebuild.build_operations import BuildOperations
from eep_platform.codebuild.environment import BuildEnvironment
from eep_platform.codebuild.errors import invalid_input
from eep_platform.codebuild.projects import ProjectOperations
from eep_platform.codebuild.runner import Runner
from eep_platform.codebuild.settings import BuildSettings
from eep_platform.codebuild.store import BuildStore
from eep_platform.codebuild.toolchain import Toolchain
from eep_platform.emulation.account import Account
from eep_platform.emulation.app import errors_answered
from eep_platform.emulation.aws import Aws
from eep_platform.emulation.clock import Clock, utc_now
from eep_platform.emulation.control import Control
from eep_platform.emulation.events import deliver_events
from eep_platform.emulation.jsonapi import JsonApi, JsonApis
from eep_platform.emulation.outbox import Outbox


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """Where the service finds the other AWS services, the image registry (host:port), its state and its cache."""

    aws_endpoint: str
    registry: str
    state: Path
    cache: Path


def application(config: ServiceConfig, account: Account, *, clock: Clock = utc_now) -> web.Application:
    """The service as an aiohttp application. Its builds end with it; nothing else uses the folder `config.state`."""
    aws = Aws(config.aws_endpoint, account)
    settings = BuildSettings()
    store = BuildStore(account)
    toolchain = Toolchain(config.state / "bin", config.registry, config.cache)
    root = config.state / "builds"
    events = Outbox("events", partial(deliver_events, aws))
    runner = Runner(aws, BuildEnvironment(config.aws_endpoint, toolchain), root, settings, events, clock)
    builds = BuildOperations(store, runner, settings, clock)

    async def end_all() -> None:
        await runner.stop_all()
        builds.forget_tokens()
        store.clear()
        # What is told late would be told of builds that the next account has never had.
        await events.discard()

    async def running(_: web.Application) -> AsyncIterator[None]:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(mode=0o700, parents=True)
        toolchain.install()
        delivery = asyncio.create_task(events.run(lambda: settings.now.side_channel_seconds))
        yield
        await runner.stop_all()
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
        aws.close()

    api = JsonApi("codebuild", ProjectOperations(store, settings, clock), builds, error_of=invalid_input)
    app = web.Application(middlewares=[errors_answered])
    app.cleanup_ctx.append(running)
    app.router.add_routes(Control("/_codebuild", settings, end_all).routes())
    app.router.add_post("/", JsonApis(api).handle)
    return app
