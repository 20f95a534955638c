"""The service as an aiohttp application: the API and its control on one port."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from ephemeral_endpoints.local.codebuild.build_operations import BuildOperations
from ephemeral_endpoints.local.codebuild.control import Control
from ephemeral_endpoints.local.codebuild.environment import BuildEnvironment
from ephemeral_endpoints.local.codebuild.errors import invalid_input
from ephemeral_endpoints.local.codebuild.projects import ProjectOperations
from ephemeral_endpoints.local.codebuild.runner import Runner
from ephemeral_endpoints.local.codebuild.settings import SettingsHolder
from ephemeral_endpoints.local.codebuild.store import Store
from ephemeral_endpoints.local.codebuild.toolchain import Toolchain
from ephemeral_endpoints.local.sagemaker.app import errors_answered
from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.errors import ServiceError
from ephemeral_endpoints.local.sagemaker.jsonapi import ControlPlane, JsonApi
from ephemeral_endpoints.local.sagemaker.store import Account, Clock

OPERATIONS = (
    "CreateProject",
    "UpdateProject",
    "DeleteProject",
    "BatchGetProjects",
    "ListProjects",
    "StartBuild",
    "BatchGetBuilds",
    "ListBuildsForProject",
    "StopBuild",
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are: AWS's other services, the image registry (host:port), own state, and what can be made again."""

    aws_endpoint: str
    registry: str
    state: Path
    cache: Path


def application(places: Places, account: Account, *, clock: Clock = lambda: datetime.now(UTC)) -> web.Application:
    """The service, to be run by aiohttp. Its builds run as long as it does; `places.state` is a folder of its own."""
    aws = Aws(places.aws_endpoint, region=account.region, account=account.account)
    settings = SettingsHolder()
    store = Store(account)
    toolchain = Toolchain(places.state / "bin", places.registry, places.cache)
    root = places.state / "builds"
    runner = Runner(aws, BuildEnvironment(places.aws_endpoint, toolchain), root, settings, clock)
    builds = BuildOperations(store, runner, settings, clock)

    async def end_all() -> None:
        await runner.stop_all()
        builds.forget_tokens()
        store.clear()

    async def running(_: web.Application) -> AsyncIterator[None]:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(mode=0o700, parents=True)
        toolchain.install()
        yield
        await runner.stop_all()
        aws.close()

    api = JsonApi("codebuild", OPERATIONS, ProjectOperations(store, settings, clock), builds)
    app = web.Application(middlewares=[errors_answered, _as_invalid_input])
    app.cleanup_ctx.append(running)
    app.router.add_routes(Control(settings, end_all).routes())
    app.router.add_post("/", ControlPlane(api).handle)
    return app


@web.middleware
async def _as_invalid_input(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name a request's violations of the model as CodeBuild does."""
    try:
        return await handler(request)
    except ServiceError as error:
        if error.code == "ValidationException":
            raise invalid_input(error.message) from error
        raise
