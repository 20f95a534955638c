"""The service as an aiohttp application: control plane, runtime and control API on one port."""

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
from aiohttp import web
from botocore import xform_name

from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.configs import ConfigOperations
from ephemeral_endpoints.local.sagemaker.control import Control
from ephemeral_endpoints.local.sagemaker.endpoint_operations import EndpointOperations
from ephemeral_endpoints.local.sagemaker.errors import (
    ServiceError,
    internal_failure,
    serialization_exception,
    unknown_operation,
)
from ephemeral_endpoints.local.sagemaker.events import EventDelivery
from ephemeral_endpoints.local.sagemaker.hosting import Hosting
from ephemeral_endpoints.local.sagemaker.invoke import MOST_BODY_BYTES, Invoker
from ephemeral_endpoints.local.sagemaker.lifecycle import Lifecycle
from ephemeral_endpoints.local.sagemaker.logs import LogDelivery
from ephemeral_endpoints.local.sagemaker.metrics import MetricDelivery
from ephemeral_endpoints.local.sagemaker.models import ModelOperations
from ephemeral_endpoints.local.sagemaker.outbox import Outbox
from ephemeral_endpoints.local.sagemaker.servers import Host
from ephemeral_endpoints.local.sagemaker.settings import Settings, SettingsHolder
from ephemeral_endpoints.local.sagemaker.store import Account, Clock, Store
from ephemeral_endpoints.local.sagemaker.tags import TagOperations
from ephemeral_endpoints.local.sagemaker.validation import input_shape, parsed, serialised, service_model

if TYPE_CHECKING:
    from ephemeral_endpoints.local.containers.runtime import ContainerRuntime

Operation = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_TARGET = "SageMaker."
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


class ControlPlane:
    """The API that is called with `X-Amz-Target: SageMaker.<Operation>` in JSON 1.1."""

    def __init__(self, *groups: object) -> None:
        self._operations = {name: _handler(groups, xform_name(name)) for name in OPERATIONS}

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request; raises `ServiceError` for every answer that is an error."""
        name = request.headers.get("X-Amz-Target", "").removeprefix(_TARGET)
        operation = self._operations.get(name)
        if operation is None:
            raise unknown_operation()
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError as error:
            raise serialization_exception("The request body is not JSON.") from error
        answer = await operation(parsed(input_shape("sagemaker", name), body))
        output = service_model("sagemaker").operation_model(name).output_shape
        return web.Response(body=json.dumps(serialised(output, answer)), content_type="application/x-amz-json-1.1")


async def application(
    *,
    runtime: "ContainerRuntime",
    aws_endpoint: str,
    account: Account,
    state: Path,
    clock: Clock = lambda: datetime.now(UTC),
) -> web.Application:
    """The service, to be run by aiohttp in the running loop. Its model servers run as long as it does.

    `aws_endpoint` is where ECR, S3, CloudWatch, CloudWatch Logs and EventBridge answer; `state` is a folder of its own.
    """
    aws = Aws(aws_endpoint, region=account.region, account=account.account)
    holder = SettingsHolder(Settings())
    store = Store(account, clock, holder)
    logs = Outbox("logs", LogDelivery(aws))
    metrics = Outbox("metrics", MetricDelivery(aws))
    events = Outbox("events", EventDelivery(aws))
    outboxes: list[Outbox[Any]] = [logs, metrics, events]
    # No connection is used twice: a model server may close one just when it is taken for a request.
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
    starts = asyncio.Semaphore(holder.now.server_starts_at_once)
    host = Host(runtime, aws, holder, clock, logs, state / "model-data", http, starts)
    hosting = Hosting(host, account)
    lifecycle = Lifecycle(store, hosting, events)

    async def running(_: web.Application) -> AsyncIterator[None]:
        shutil.rmtree(host.data, ignore_errors=True)
        upkeep = [asyncio.create_task(outbox.run(lambda: holder.now.side_channel_seconds)) for outbox in outboxes]
        upkeep.append(asyncio.create_task(hosting.watch()))
        yield
        for task in upkeep:
            task.cancel()
        await asyncio.gather(*upkeep, return_exceptions=True)
        await lifecycle.close()
        await hosting.close()
        await http.close()
        await asyncio.gather(*(outbox.flush() for outbox in outboxes))
        aws.close()

    control_plane = ControlPlane(
        ModelOperations(store, aws), ConfigOperations(store), EndpointOperations(store, lifecycle), TagOperations(store)
    )
    app = web.Application(middlewares=[errors_answered], client_max_size=MOST_BODY_BYTES)
    app.cleanup_ctx.append(running)
    app.router.add_post("/endpoints/{name}/invocations", Invoker(store, hosting, http, metrics).invoke)
    app.router.add_routes(Control(store, hosting, lifecycle, host, outboxes).routes())
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


def _handler(groups: tuple[object, ...], method: str) -> Operation:
    handlers = [getattr(group, method) for group in groups if hasattr(group, method)]
    handler: Operation = handlers[0]
    return handler
