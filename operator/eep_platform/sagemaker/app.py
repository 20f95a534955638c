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
from eep_platform.emulation.events import deliver_events
from eep_platform.emulation.jsonapi import JsonApi, JsonApis
from eep_platform.emulation.logs import deliver_lines
from eep_platform.emulation.outbox import Outbox
from eep_platform.sagemaker.async_inference import AsyncInvoker
from eep_platform.sagemaker.calls import ModelCaller
from eep_platform.sagemaker.captures import deliver_captures
from eep_platform.sagemaker.configs import ConfigOperations
from eep_platform.sagemaker.control import PREFIX, HostingControl
from eep_platform.sagemaker.endpoint_operations import EndpointOperations
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
    service = _Service(runtime, Aws(aws_endpoint, account), account, state, clock)
    app = web.Application(middlewares=[errors_answered], client_max_size=MOST_BODY_BYTES)
    app.cleanup_ctx.append(service.running)
    service.add_routes(app.router)
    return app


class _Service:
    """What serves, what runs by itself, and what they tell other services."""

    def __init__(self, runtime: "ContainerRuntime", aws: Aws, account: Account, state: Path, clock: Clock) -> None:
        self._aws = aws
        self._state = state
        self._settings = settings = HostingSettings()
        self._store = store = Store(account, clock, settings)
        logs = Outbox("logs", partial(deliver_lines, aws))
        metrics = Outbox("metrics", partial(deliver_metrics, aws, NAMESPACE))
        job_metrics = Outbox("job metrics", partial(deliver_metrics, aws, JOB_NAMESPACE))
        self._events = events = Outbox("events", partial(deliver_events, aws))
        captures = Outbox("captures", partial(deliver_captures, aws))
        self._outboxes: list[Outbox[Any]] = [logs, metrics, job_metrics, events, captures]
        # No connection is used twice: a model server may close one just when it is taken for a request.
        self._http = http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        starts = asyncio.Semaphore(settings.now.server_starts_at_once)
        self._host = Host(runtime, aws, settings, clock, logs, state / "model-data", http, starts)
        self._hosting = hosting = Hosting(self._host, account)
        self._lifecycle = Lifecycle(store, hosting, Rollouts(store, hosting, aws), events)
        self._jobs = JobRunner(JobHost(runtime, aws, store, logs, job_metrics, state / "jobs"))
        caller, recorder = ModelCaller(settings, http), InvocationRecorder(store, metrics, captures)
        self._transforms = TransformRunner(store, self._host, caller)
        self._invoker = Invoker(store, hosting, caller, recorder)
        self._async_invoker = AsyncInvoker(store, hosting, caller, recorder, aws)
        self._alarms = alarms = PolicyAlarms(aws)
        self._targets = Targets(alarms)
        self._endpoints = EndpointOperations(store, self._lifecycle, aws, self._targets)
        self._scaler = Scaler(store, self._targets, alarms, self._endpoints)
        self._executor, self._model_building = _model_building(store, aws, events, self._jobs)

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """Work by itself from the start of the application to its end."""
        outboxes = self._outboxes
        for folder in (self._host.data, self._state / "jobs"):
            shutil.rmtree(folder, ignore_errors=True)
        regular = [outbox.run(lambda: self._settings.now.side_channel_seconds) for outbox in outboxes]
        regular += [self._hosting.watch(), self._async_invoker.run(), self._scaler.run()]
        upkeep = [asyncio.create_task(each) for each in regular]
        yield
        for task in upkeep:
            task.cancel()
        await asyncio.gather(*upkeep, return_exceptions=True)
        await self._close()
        await self._http.close()
        await asyncio.gather(*(outbox.flush() for outbox in outboxes))
        self._aws.close()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve the control plane, the runtime and the control API."""
        control = HostingControl(self._store, self._lifecycle, self._host, self._outboxes, self._end)
        router.add_post("/endpoints/{name}/invocations", self._invoker.invoke)
        router.add_post("/endpoints/{name}/async-invocations", self._async_invoker.invoke)
        router.add_routes(control.routes())
        router.add_post(f"{PREFIX}/training-jobs/{{name}}/interrupt", partial(interrupt, self._store, self._jobs))
        router.add_post("/", self._control_plane().handle)

    def _control_plane(self) -> JsonApis:
        store, targets = self._store, self._targets
        transforms = TransformJobOperations(store, self._transforms, self._events)
        return JsonApis(
            JsonApi(
                "sagemaker",
                *(ConfigOperations(store), self._endpoints, TagOperations(store)),
                *(*self._model_building, transforms),
            ),
            JsonApi(
                "application-autoscaling",
                *(TargetOperations(store, targets), PolicyOperations(store, targets, self._alarms)),
                ActionOperations(store, targets),
            ),
            JsonApi("service-quotas", QuotaOperations(self._settings)),
            JsonApi("pricing", PriceOperations()),
        )

    async def _close(self) -> None:
        for each in (
            self._executor,
            self._lifecycle,
            self._jobs,
            self._transforms,
            self._async_invoker,
            self._hosting,
        ):
            await each.close()

    async def _end(self) -> None:
        await self._close()
        self._targets.clear()
        self._store.clear()
        # What is told late would be told of resources that the next account has never had.
        await asyncio.gather(*(outbox.discard() for outbox in self._outboxes))


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
