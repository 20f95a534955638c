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
from eep_platform.sagemaker.control import PREFIX, HostingControl
from eep_platform.sagemaker.endpoint_operations import EndpointOperations
from eep_platform.sagemaker.events import deliver_events
from eep_platform.sagemaker.hosting import Hosting
from eep_platform.sagemaker.invoke import MOST_BODY_BYTES, Invoker
from eep_platform.sagemaker.jobs.control import interrupt
from eep_platform.sagemaker.jobs.metrics import NAMESPACE as JOB_NAMESPACE
from eep_platform.sagemaker.jobs.operations import ProcessingJobOperations, TrainingJobOperations
from eep_platform.sagemaker.jobs.runner import JobHost, JobRunner
from eep_platform.sagemaker.lifecycle import Lifecycle
from eep_platform.sagemaker.metrics import NAMESPACE, deliver_metrics
from eep_platform.sagemaker.models import ModelOperations
from eep_platform.sagemaker.pipelines.execution_operations import ExecutionOperations
from eep_platform.sagemaker.pipelines.executor import Executor
from eep_platform.sagemaker.pipelines.pipeline_operations import PipelineOperations
from eep_platform.sagemaker.pipelines.steps import StepMaker
from eep_platform.sagemaker.price_list import PriceOperations
from eep_platform.sagemaker.recorder import InvocationRecorder
from eep_platform.sagemaker.registry.group_operations import GroupOperations
from eep_platform.sagemaker.registry.package_operations import PackageOperations
from eep_platform.sagemaker.rollouts import Rollouts
from eep_platform.sagemaker.servers import Host
from eep_platform.sagemaker.service_quotas import QuotaOperations
from eep_platform.sagemaker.settings import HostingSettings
from eep_platform.sagemaker.store import Store
from eep_platform.sagemaker.tags import TagOperations
from eep_platform.sagemaker.transform.operations import TransformJobOperations
from eep_platform.sagemaker.transform.runner import TransformRunner

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
    `state`. Like all that is held in memory, jobs end with the service; their results in S3 stay.
    """
    aws = Aws(aws_endpoint, account)
    settings = HostingSettings()
    store = Store(account, clock, settings)
    logs = Outbox("logs", partial(deliver_lines, aws))
    metrics = Outbox("metrics", partial(deliver_metrics, aws, NAMESPACE))
    job_metrics = Outbox("job metrics", partial(deliver_metrics, aws, JOB_NAMESPACE))
    events = Outbox("events", partial(deliver_events, aws))
    captures = Outbox("captures", partial(deliver_captures, aws))
    outboxes: list[Outbox[Any]] = [logs, metrics, job_metrics, events, captures]
    # No connection is used twice: a model server may close one just when it is taken for a request.
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
    starts = asyncio.Semaphore(settings.now.server_starts_at_once)
    hosting = Hosting(host := Host(runtime, aws, settings, clock, logs, state / "model-data", http, starts), account)
    lifecycle = Lifecycle(store, hosting, Rollouts(store, hosting, aws), events)
    jobs = JobRunner(JobHost(runtime, aws, store, logs, job_metrics, state / "jobs"))
    caller, recorder = ModelCaller(settings, http), InvocationRecorder(store, metrics, captures)
    transforms = TransformRunner(store, host, caller)
    async_invoker = AsyncInvoker(store, hosting, caller, recorder, aws)
    targets = Targets(alarms := PolicyAlarms(aws))
    endpoints = EndpointOperations(store, lifecycle, aws, targets)
    scaler = Scaler(store, targets, alarms, endpoints)
    executor, model_building = _model_building(store, aws, events, jobs)

    async def close_all() -> None:
        for each in (executor, lifecycle, jobs, transforms, async_invoker, hosting):
            await each.close()

    async def end_all() -> None:
        await close_all()
        targets.clear()
        store.clear()
        # What is told late would be told of resources that the next account has never had.
        await asyncio.gather(*(outbox.discard() for outbox in outboxes))

    async def running(_: web.Application) -> AsyncIterator[None]:
        for folder in (host.data, state / "jobs"):
            shutil.rmtree(folder, ignore_errors=True)
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

    app = web.Application(middlewares=[errors_answered], client_max_size=MOST_BODY_BYTES)
    app.cleanup_ctx.append(running)
    app.router.add_post("/endpoints/{name}/invocations", Invoker(store, hosting, caller, recorder).invoke)
    app.router.add_post("/endpoints/{name}/async-invocations", async_invoker.invoke)
    app.router.add_routes(HostingControl(store, lifecycle, host, outboxes, end_all).routes())
    app.router.add_post(f"{PREFIX}/training-jobs/{{name}}/interrupt", partial(interrupt, store, jobs))
    control_plane = JsonApis(
        JsonApi(
            "sagemaker",
            *(ConfigOperations(store), endpoints, TagOperations(store)),
            *(*model_building, TransformJobOperations(store, transforms, events)),
        ),
        JsonApi(
            "application-autoscaling",
            *(TargetOperations(store, targets), PolicyOperations(store, targets, alarms)),
            ActionOperations(store, targets),
        ),
        JsonApi("service-quotas", QuotaOperations(settings)),
        JsonApi("pricing", PriceOperations()),
    )
    app.router.add_post("/", control_plane.handle)
    return app


def _model_building(
    store: Store, aws: Aws, events: Outbox[dict[str, Any]], jobs: JobRunner
) -> tuple[Executor, tuple[object, ...]]:
    """The operations on what becomes a model, and what runs pipelines by them."""
    models, packages = ModelOperations(store, aws), PackageOperations(store, aws, events)
    training, processing = TrainingJobOperations(store, jobs, events, aws), ProcessingJobOperations(store, jobs, events)
    maker = StepMaker({"Training": training, "Processing": processing}, models, packages)
    executor = Executor(store, maker, events, aws)
    pipelines = (PipelineOperations(store, aws), ExecutionOperations(store, executor))
    return executor, (models, training, processing, GroupOperations(store), packages, *pipelines)
