"""Takes jobs through their states: image, input data, container, results. Each job is a task."""

import asyncio
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.containers.errors import ImageNotFound
from eep_platform.containers.image import LocalImage
from eep_platform.emulation.account import Account
from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import validation_exception
from eep_platform.emulation.logs import LogLine
from eep_platform.emulation.outbox import Outbox
from eep_platform.emulation.signals import Signal
from eep_platform.errors import PlatformError
from eep_platform.sagemaker.images import resolved_image
from eep_platform.sagemaker.jobs.errors import (
    JobFailedError,
    algorithm_error,
    image_missing,
    internal_error,
    no_capacity,
)
from eep_platform.sagemaker.jobs.metrics import Printed, values
from eep_platform.sagemaker.jobs.permissions import Permissions
from eep_platform.sagemaker.jobs.plans import HOST, Delivery, Plan
from eep_platform.sagemaker.jobs.states import Job, MetricValue, Phase
from eep_platform.sagemaker.jobs.transfer import Transfer
from eep_platform.sagemaker.jobs.workspace import Workspace
from eep_platform.sagemaker.store import Record, Store

if TYPE_CHECKING:
    from eep_platform.containers.runtime import ContainerRuntime, JobContainer

JobRecord = Record[Job]
Announce = Callable[[JobRecord], None]

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.05
_LONG_SECONDS = 3600.0
# "StopTrainingJob" in the SageMaker API reference.
_GRACE_SECONDS = 120.0
# https://docs.docker.com/reference/cli/docker/container/run/#exit-status
_NOT_STARTED = frozenset({125, 126, 127})
_REPORT_BYTES = 4096
_READABLE = 24


@dataclass(frozen=True, slots=True)
class JobHost:
    """What all jobs share; nothing else uses `folder`."""

    runtime: "ContainerRuntime"
    aws: Aws
    store: Store
    logs: Outbox[LogLine]
    metrics: Outbox[Printed]
    folder: Path


@dataclass(slots=True)
class _Run:
    """A job that has not ended."""

    record: JobRecord
    plan: Plan
    announce: Announce
    changed: Signal = field(default_factory=Signal)
    is_interrupted: bool = False
    worked_seconds: float = 0.0
    report: str = ""
    metrics: dict[str, MetricValue] = field(default_factory=dict)

    @property
    def is_wanted(self) -> bool:
        """Whether nobody has stopped the job."""
        return self.record.value.is_stoppable


class JobRunner:
    """Runs jobs."""

    def __init__(self, host: JobHost) -> None:
        self._host = host
        self._registry = urlsplit(host.aws.endpoint_url).netloc
        self._runs: dict[str, _Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = Signal()

    def begin(self, record: JobRecord, plan: Plan, announce: Announce) -> None:
        """Run a job in the background; `announce` is told of each new status."""
        run = self._runs[record.arn] = _Run(record, plan, announce)
        announce(record)
        task = asyncio.create_task(self._run(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, record: JobRecord) -> None:
        """InProgress -> Stopping -> Stopped, with what the job leaves until it has ended."""
        run = self._runs[record.arn]
        record.value = record.value.stop(self._host.store.clock())
        run.announce(record)
        run.changed.send()
        self._host.store.settings.recheck()

    def interrupt(self, record: JobRecord) -> None:
        """Take the spot instance of a job away: what it has not stored is lost, and it starts again.

        Raises:
            ServiceError: `ValidationException` for a job that is not training on a spot instance.
        """
        run = self._runs.get(record.arn)
        if run is None or run.plan.max_wait_seconds is None or record.value.phase is not Phase.TRAINING:
            raise validation_exception(f"{record.name} is not training on a spot instance.")
        run.is_interrupted = True
        run.changed.send()

    async def ended(self, record: JobRecord) -> Job:
        """The job as it ended; waits for that."""
        while not record.value.is_ended:
            await self._ended.wait()
        return record.value

    async def close(self) -> None:
        """End all containers; their jobs have no end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._runs.clear()

    async def _run(self, run: _Run) -> None:
        record, clock = run.record, self._host.store.clock
        reason = ""
        try:
            while (phase := await self._attempt(run)) is Phase.INTERRUPTED:
                run.is_interrupted = False
                self._enter(run, Phase.INTERRUPTED)
                self._enter(run, Phase.STARTING)
        except JobFailedError as failure:
            phase, reason = Phase.FAILED, str(failure)
        except Exception:  # noqa: BLE001 - the job fails whatever goes wrong
            _log.exception("%s failed", record.arn)
            phase, reason = Phase.FAILED, str(internal_error())
        ended = record.value.end(phase, clock(), failure_reason=reason, exit_message=run.report)
        record.value = replace(ended, metrics=dict(run.metrics))
        del self._runs[record.arn]
        run.announce(record)
        self._ended.send()

    async def _attempt(self, run: _Run) -> Phase:
        """Do everything, and return the phase in which the job ends, or Interrupted; raises `JobFailedError`."""
        settings = self._host.store.settings
        if not await self._is_admitted(run):
            return Phase.MAX_WAIT_TIME_EXCEEDED
        if run.plan.instance_type in settings.now.capacity_shortages:
            raise no_capacity()
        if settings.now.containers == "off":
            return Phase.COMPLETED
        # A process name is a DNS label; the identity makes it unique, the prefix makes it readable.
        name = f"job-{run.record.name.lower()[:_READABLE].rstrip('-')}-{uuid4().hex[:17]}"
        workspace = Workspace(self._host.folder / name / "ml")
        try:
            return await self._work(run, name, workspace)
        finally:
            await self._host.aws.thread(lambda: shutil.rmtree(workspace.root.parent, ignore_errors=True))

    async def _is_admitted(self, run: _Run) -> bool:
        """Wait until the job may start, or is stopped; returns whether that was in time."""
        settings = self._host.store.settings
        while run.is_wanted and settings.holds(run.record.name):
            if self._is_late(run):
                return False
            await settings.pause(_POLL_SECONDS if run.plan.max_wait_seconds else _LONG_SECONDS)
        return not self._is_late(run)

    def _is_late(self, run: _Run) -> bool:
        waited = (self._host.store.clock() - run.record.created).total_seconds()
        limit = run.plan.max_wait_seconds
        return limit is not None and waited * self._host.store.settings.now.job_seconds_per_second >= limit

    async def _work(self, run: _Run, name: str, workspace: Workspace) -> Phase:
        plan, host = run.plan, self._host
        permissions = await Permissions.of(plan.role, host.aws, host.store.account)
        image = await self._pulled(plan, permissions)
        await host.aws.thread(lambda: workspace.make(plan.folders, dict(plan.files)))
        self._enter(run, Phase.DOWNLOADING)
        transfer = Transfer(host.aws, workspace, permissions)
        for source in plan.inputs:
            await transfer.fetch(source, lambda: run.is_wanted)
        if not run.is_wanted:
            return Phase.STOPPED
        self._enter(run, Phase.TRAINING)
        container = await self._started(run, image, name, workspace)
        try:
            code, stopped = await self._followed(run, container, transfer)
        finally:
            await asyncio.shield(host.aws.thread(container.stop))
        report = await host.aws.thread(lambda: workspace.text(plan.report, _REPORT_BYTES) or b"")
        run.report = report.decode(errors="replace").strip()
        return stopped if stopped is Phase.INTERRUPTED else await self._delivered(run, transfer, code, stopped)

    async def _followed(
        self, run: _Run, container: "JobContainer", transfer: Transfer
    ) -> tuple[int | None, Phase | None]:
        """The exit code of a container, None if it must be killed, and the phase that it was stopped for."""
        host, loop = self._host, asyncio.get_running_loop()
        outputs = [each for each in run.plan.outputs if each.delivery is Delivery.CONTINUOUS]
        stopped: Phase | None = None
        grace, delivered, last = _GRACE_SECONDS, 0.0, loop.time()
        while (code := await host.aws.thread(container.exit_code)) is None:
            if stopped is None and (stopped := self._ending(run)):
                await host.aws.thread(container.terminate)
            if stopped is Phase.INTERRUPTED or grace <= 0:
                return None, stopped
            await _pause(run.changed)
            now = loop.time()
            passed = (now - last) * host.store.settings.now.job_seconds_per_second
            last = now
            if stopped is None:
                run.worked_seconds += passed
            else:
                grace -= passed
            if outputs and now - delivered >= host.store.settings.now.side_channel_seconds:
                delivered = now
                for output in outputs:
                    await transfer.deliver(output)
        return code, stopped

    def _ending(self, run: _Run) -> Phase | None:
        """Why a job has to end now; None if it does not."""
        if not run.is_wanted:
            return Phase.STOPPED
        if run.worked_seconds >= run.plan.max_runtime_seconds:
            return Phase.MAX_RUNTIME_EXCEEDED
        if self._is_late(run):
            return Phase.MAX_WAIT_TIME_EXCEEDED
        return Phase.INTERRUPTED if run.is_interrupted else None

    async def _delivered(self, run: _Run, transfer: Transfer, code: int | None, stopped: Phase | None) -> Phase:
        """Store what the container left, and return the phase in which the job ends."""
        is_failed = stopped is None and code != 0
        if not is_failed:
            self._enter(run, Phase.UPLOADING)
        for output in run.plan.outputs:
            if output.of_failures or output.delivery is Delivery.CONTINUOUS or not is_failed:
                await transfer.deliver(output)
        if not is_failed:
            return stopped or Phase.COMPLETED
        if code in _NOT_STARTED:
            raise JobFailedError(run.plan.cannot_start)
        raise algorithm_error(run.report, code or 0)

    async def _tags(self, repository: str) -> dict[str, str]:
        """The tags of a repository, by its ARN. Raises botocore's errors."""
        answer = await self._host.aws.call("ecr", "list_tags_for_resource", resourceArn=repository)
        return {tag["Key"]: tag["Value"] for tag in answer["tags"]}

    async def _pulled(self, plan: Plan, permissions: Permissions) -> LocalImage:
        host, name = self._host, plan.image
        arn = Account(name.registry, name.region).arn("ecr", f"repository/{name.repository}")
        try:
            tags = await self._tags(arn)
            for action in ("BatchGetImage", "GetDownloadUrlForLayer"):
                permissions.refuse_denied(action, f"ecr:{action}", arn, tags=tags)
            found = await resolved_image(name, host.aws)
            if found is None:
                raise image_missing()
            reference = f"{self._registry}/{name.repository}@{found.digest}"
            image = await host.aws.thread(lambda: host.runtime.pull(reference))
        except (BotoCoreError, ClientError, ImageNotFound) as error:
            raise image_missing() from error
        config, command = image.config, plan.command
        entrypoint = config.entrypoint if command.entrypoint is None else command.entrypoint
        arguments = config.command if command.arguments is None else command.arguments
        return replace(image, config=replace(config, entrypoint=entrypoint, command=arguments))

    async def _started(self, run: _Run, image: LocalImage, name: str, workspace: Workspace) -> "JobContainer":
        host, plan = self._host, run.plan
        now = host.store.clock()
        stream = f"{run.record.name}/{HOST}-{int(now.timestamp())}"

        def on_log(line: str) -> None:
            time = host.store.clock()
            host.logs.put(LogLine(plan.log_group, stream, int(time.timestamp() * 1000), line))
            self._measure(run, line, time)

        work = asyncio.ensure_future(
            host.aws.thread(
                lambda: host.runtime.run_job(
                    image, name=name, environment=plan.environment, volume=workspace.root, on_log=on_log
                )
            )
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # A thread cannot be cancelled: wait for the container that it may still start, and stop that.
            started = (await asyncio.gather(work, return_exceptions=True))[0]
            if not isinstance(started, BaseException):
                await host.aws.thread(started.stop)
            raise
        except PlatformError as error:
            on_log(f"embedded SageMaker: {error}")
            raise JobFailedError(plan.cannot_start) from error

    def _measure(self, run: _Run, line: str, time: datetime) -> None:
        for metric, value in values(run.plan.metrics, line):
            run.metrics[metric] = MetricValue(value, time)
            self._host.metrics.put(Printed(run.record.name, metric, value))

    def _enter(self, run: _Run, phase: Phase) -> None:
        run.record.value = run.record.value.enter(phase, self._host.store.clock())


async def _pause(changed: Signal) -> None:
    try:
        async with asyncio.timeout(_POLL_SECONDS):
            await changed.wait()
    except TimeoutError:
        return
