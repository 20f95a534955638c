"""The service as an aiohttp application: control plane, runtime and control API on one port."""

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
from aiohttp import web

from ephemeral_endpoints.local.autoscaling import requests as autoscaling
from ephemeral_endpoints.local.autoscaling.action_operations import ActionOperations
from ephemeral_endpoints.local.autoscaling.alarms import PolicyAlarms
from ephemeral_endpoints.local.autoscaling.policy_operations import PolicyOperations
from ephemeral_endpoints.local.autoscaling.scaler import Scaler
from ephemeral_endpoints.local.autoscaling.target_operations import TargetOperations
from ephemeral_endpoints.local.autoscaling.targets import Targets
from ephemeral_endpoints.local.sagemaker.async_inference import AsyncInvoker
from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.calls import ModelCaller
from ephemeral_endpoints.local.sagemaker.captures import CaptureDelivery
from ephemeral_endpoints.local.sagemaker.configs import ConfigOperations
from ephemeral_endpoints.local.sagemaker.control import Control
from ephemeral_endpoints.local.sagemaker.endpoint_operations import EndpointOperations
from ephemeral_endpoints.local.sagemaker.errors import ServiceError, internal_failure, unknown_operation
from ephemeral_endpoints.local.sagemaker.events import EventDelivery
from ephemeral_endpoints.local.sagemaker.hosting import Hosting
from ephemeral_endpoints.local.sagemaker.invoke import MOST_BODY_BYTES, Invoker
from ephemeral_endpoints.local.sagemaker.jsonapi import ControlPlane, JsonApi
from ephemeral_endpoints.local.sagemaker.lifecycle import Lifecycle
from ephemeral_endpoints.local.sagemaker.logs import LogDelivery
from ephemeral_endpoints.local.sagemaker.metrics import MetricDelivery
from ephemeral_endpoints.local.sagemaker.models import ModelOperations
from ephemeral_endpoints.local.sagemaker.observer import Observer
from ephemeral_endpoints.local.sagemaker.outbox import Outbox
from ephemeral_endpoints.local.sagemaker.rollouts import Rollouts
from ephemeral_endpoints.local.sagemaker.servers import Host
from ephemeral_endpoints.local.sagemaker.settings import Settings, SettingsHolder
from ephemeral_endpoints.local.sagemaker.store import Account, Clock, Store
from ephemeral_endpoints.local.sagemaker.tags import TagOperations

if TYPE_CHECKING:
    from ephemeral_endpoints.local.containers.runtime import ContainerRuntime

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_NO_ROUTE = frozenset({404, 405})
_log = logging.getLogger(__name__)

OPERATIONS = (
    "CreateModel",
    "DescribeModel",
    "ListModels",
    "DeleteModel",
    "CreateEndpointConfig",
    "DescribeEndpointConfig",
    "ListEndpointConfigs",
    "DeleteEndpointConfig",
    "CreateEndpoint",
    "DescribeEndpoint",
    "ListEndpoints",
    "UpdateEndpoint",
    "UpdateEndpointWeightsAndCapacities",
    "DeleteEndpoint",
    "AddTags",
    "ListTags",
    "DeleteTags",
)


async def application(
    *,
    runtime: "ContainerRuntime",
    aws_endpoint: str,
    account: Account,
    state: Path,
    clock: Clock = lambda: datetime.now(UTC),
) -> web.Application:
    """The service, to be run by aiohttp in the running loop. Its model servers run as long as it does.

    `aws_endpoint` is where ECR, S3, SNS, CloudWatch, CloudWatch Logs and EventBridge answer; `state` is a folder of its
    own.
    """
    aws = Aws(aws_endpoint, region=account.region, account=account.account)
    holder = SettingsHolder(Settings())
    store = Store(account, clock, holder)
    logs = Outbox("logs", LogDelivery(aws))
    metrics = Outbox("metrics", MetricDelivery(aws))
    events = Outbox("events", EventDelivery(aws))
    captures = Outbox("captures", CaptureDelivery(aws))
    outboxes: list[Outbox[Any]] = [logs, metrics, events, captures]
    # No connection is used twice: a model server may close one just when it is taken for a request.
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
    starts = asyncio.Semaphore(holder.now.server_starts_at_once)
    host = Host(runtime, aws, holder, clock, logs, state / "model-data", http, starts)
    hosting = Hosting(host, account)
    lifecycle = Lifecycle(store, hosting, Rollouts(store, hosting, aws), events)
    caller, observer = ModelCaller(holder, http), Observer(store, metrics, captures)
    async_invoker = AsyncInvoker(store, hosting, caller, observer, aws)
    alarms = PolicyAlarms(aws)
    targets = Targets(alarms)
    endpoints = EndpointOperations(store, lifecycle, aws, targets)
    scaler = Scaler(store, targets, alarms, endpoints)

    async def close_all() -> None:
        await lifecycle.close()
        await async_invoker.close()
        await hosting.close()

    async def end_all() -> None:
        await close_all()
        targets.clear()
        store.clear()

    async def running(_: web.Application) -> AsyncIterator[None]:
        shutil.rmtree(host.data, ignore_errors=True)
        upkeep = [asyncio.create_task(outbox.run(lambda: holder.now.side_channel_seconds)) for outbox in outboxes]
        upkeep += [asyncio.create_task(each) for each in (hosting.watch(), async_invoker.run(), scaler.run())]
        yield
        for task in upkeep:
            task.cancel()
        await asyncio.gather(*upkeep, return_exceptions=True)
        await close_all()
        await http.close()
        await asyncio.gather(*(outbox.flush() for outbox in outboxes))
        aws.close()

    control_plane = ControlPlane(
        JsonApi(
            "sagemaker",
            OPERATIONS,
            *(ModelOperations(store, aws), ConfigOperations(store), endpoints, TagOperations(store)),
        ),
        JsonApi(
            "application-autoscaling",
            autoscaling.OPERATIONS,
            *(TargetOperations(store, targets), PolicyOperations(store, targets, alarms)),
            ActionOperations(store, targets),
        ),
    )
    app = web.Application(middlewares=[errors_answered], client_max_size=MOST_BODY_BYTES)
    app.cleanup_ctx.append(running)
    app.router.add_post("/endpoints/{name}/invocations", Invoker(store, hosting, caller, observer).invoke)
    app.router.add_post("/endpoints/{name}/async-invocations", async_invoker.invoke)
    app.router.add_routes(Control(store, lifecycle, host, outboxes, end_all).routes())
    app.router.add_post("/", control_plane.handle)
    return app


@web.middleware
async def errors_answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer `ServiceError` as the service does, and anything unforeseen as its InternalFailure."""
    try:
        response = await handler(request)
    except ServiceError as error:
        response = _answer(error)
    except web.HTTPException as error:
        response = _answer(unknown_operation()) if error.status in _NO_ROUTE else error
    except Exception:  # noqa: BLE001 - the service answers InternalFailure whatever goes wrong
        _log.exception("%s %s", request.method, request.path)
        response = _answer(internal_failure())
    response.headers["x-amzn-RequestId"] = str(uuid4())
    return response


def _answer(error: ServiceError) -> web.Response:
    body = {"__type": error.code, "message": error.message, "Message": error.message, **error.members}
    return web.Response(
        status=error.status,
        headers={"x-amzn-ErrorType": error.code},
        body=json.dumps(body),
        content_type="application/x-amz-json-1.1",
    )
