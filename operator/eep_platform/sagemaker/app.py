"""The service as an aiohttp application: control plane, runtime and control API on one port."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from eep_platform.autoscaling.action_operations import ActionOperations
from eep_platform.autoscaling.alarms import PolicyAlarms
from eep_platform.autoscaling.policy_operations import PolicyOperations
from eep_platform.autoscaling.scaler import Scaler
from eep_platform.autoscaling.target_operations import TargetOperations
from eep_platform.autoscaling.targets import Targets
from eep_platform.emulation.account import Account
from eep_platform.emulation.app import errors_answered
from eep_platform.emulation.aws import Aws
from eep_platform.emulation.clock import Clock, utc_now
from eep_platform.emulation.jsonapi import JsonApi, JsonApis
from eep_platform.emulation.logs import deliver_lines
from eep_platform.emulation.outbox import Outbox
from eep_platform.sagemaker.async_inference import AsyncInvoker
from eep_platform.sagemaker.calls import ModelCaller
from eep_platform.sagemaker.captures import deliver_captures
from eep_platform.sagemaker.configs import ConfigOperations
from eep_platform.sagemaker.control import HostingControl
from eep_platform.sagemaker.endpoint_operations import EndpointOperations
from eep_platform.sagemaker.events import deliver_events
from eep_platform.sagemaker.hosting import Hosting
from eep_platform.sagemaker.invoke import MOST_BODY_BYTES, Invoker
from eep_platform.sagemaker.lifecycle import Lifecycle
from eep_platform.sagemaker.metrics import deliver_metrics
from eep_platform.sagemaker.models import ModelOperations
from eep_platform.sagemaker.recorder import InvocationRecorder
from eep_platform.sagemaker.rollouts import Rollouts
from eep_platform.sagemaker.servers import Host
from eep_platform.sagemaker.settings import HostingSettings
from eep_platform.sagemaker.store import Store
from eep_platform.sagemaker.tags import TagOperations

if TYPE_CHECKING:
    from eep_platform.containers.runtime import ContainerRuntime


async def application(
    *,
    runtime: "ContainerRuntime",
    aws_endpoint: str,
    account: Account,
    state: Path,
    clock: Clock = utc_now,
) -> web.Application:
    """The service as an aiohttp application for the running loop. Its model servers end with it.

    `aws_endpoint` is the URL of ECR, S3, SNS, CloudWatch, CloudWatch Logs and EventBridge; nothing else uses the folder
    `state`.
    """
    aws = Aws(aws_endpoint, account)
    settings = HostingSettings()
    store = Store(account, clock, settings)
    logs = Outbox("logs", partial(deliver_lines, aws))
    metrics = Outbox("metrics", partial(deliver_metrics, aws))
    events = Outbox("events", partial(deliver_events, aws))
    captures = Outbox("captures", partial(deliver_captures, aws))
    outboxes: list[Outbox[Any]] = [logs, metrics, events, captures]
    # No connection is used twice: a model server may close one just when it is taken for a request.
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
    starts = asyncio.Semaphore(settings.now.server_starts_at_once)
    host = Host(runtime, aws, settings, clock, logs, state / "model-data", http, starts)
    hosting = Hosting(host, account)
    lifecycle = Lifecycle(store, hosting, Rollouts(store, hosting, aws), events)
    caller, recorder = ModelCaller(settings, http), InvocationRecorder(store, metrics, captures)
    async_invoker = AsyncInvoker(store, hosting, caller, recorder, aws)
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
        upkeep = [asyncio.create_task(outbox.run(lambda: settings.now.side_channel_seconds)) for outbox in outboxes]
        upkeep += [asyncio.create_task(each) for each in (hosting.watch(), async_invoker.run(), scaler.run())]
        yield
        for task in upkeep:
            task.cancel()
        await asyncio.gather(*upkeep, return_exceptions=True)
        await close_all()
        await http.close()
        await asyncio.gather(*(outbox.flush() for outbox in outboxes))
        aws.close()

    control_plane = JsonApis(
        JsonApi(
            "sagemaker",
            *(ModelOperations(store, aws), ConfigOperations(store), endpoints, TagOperations(store)),
        ),
        JsonApi(
            "application-autoscaling",
            *(TargetOperations(store, targets), PolicyOperations(store, targets, alarms)),
            ActionOperations(store, targets),
        ),
    )
    app = web.Application(middlewares=[errors_answered], client_max_size=MOST_BODY_BYTES)
    app.cleanup_ctx.append(running)
    app.router.add_post("/endpoints/{name}/invocations", Invoker(store, hosting, caller, recorder).invoke)
    app.router.add_post("/endpoints/{name}/async-invocations", async_invoker.invoke)
    app.router.add_routes(HostingControl(store, lifecycle, host, outboxes, end_all).routes())
    app.router.add_post("/", control_plane.handle)
    return app
