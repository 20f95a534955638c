"""Takes builds through their phases."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from ephemeral_endpoints.local.codebuild.builds import NO_REASON, Build, Context, PhaseType, Status
from ephemeral_endpoints.local.codebuild.environment import BuildEnvironment
from ephemeral_endpoints.local.codebuild.logs import BuildLog
from ephemeral_endpoints.local.codebuild.phases import Failure, Job
from ephemeral_endpoints.local.codebuild.queueing import Slots
from ephemeral_endpoints.local.codebuild.settings import SettingsHolder
from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.store import Clock

_TIMED_OUT = Context("BUILD_TIMED_OUT", "Build has timed out. ")
_FAULT = Context("INTERNAL_ERROR", "The build environment could not be provisioned")
_log = logging.getLogger(__name__)


class Runner:
    """The builds that run or wait; each in a folder of its own below `root`."""

    def __init__(
        self, aws: Aws, environment: BuildEnvironment, root: Path, settings: SettingsHolder, clock: Clock
    ) -> None:
        self._aws = aws
        self._environment = environment
        self._root = root
        self._settings = settings
        self._clock = clock
        self._slots = Slots(settings)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._work_of: dict[str, asyncio.Task[None]] = {}
        self._stopping: set[str] = set()

    def begin(self, build: Build) -> None:
        """Have a build that is QUEUED run as soon as it is its turn."""
        task = asyncio.create_task(self._carry_out(build), name=build.id)
        self._tasks[build.id] = task
        task.add_done_callback(lambda _: self._forget(build.id))

    async def stop(self, build: Build) -> None:
        """End a build as STOPPED and wait until it is over; no effect on one that is ending anyway."""
        if task := self._tasks.get(build.id):
            self._interrupt(build.id)
            await asyncio.wait([task])

    async def stop_all(self) -> None:
        """End all builds and wait until they are over."""
        tasks = dict(self._tasks)
        for build_id in tasks:
            self._interrupt(build_id)
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    def _interrupt(self, build_id: str) -> None:
        self._stopping.add(build_id)
        if work := self._work_of.get(build_id):
            work.cancel()

    def _forget(self, build_id: str) -> None:
        del self._tasks[build_id]
        self._stopping.discard(build_id)

    async def _carry_out(self, build: Build) -> None:
        try:
            await self._within(build, build.order["queuedTimeoutInMinutes"], self._slots.take)
        except asyncio.CancelledError:
            self._end(build, Status.STOPPED)
        except TimeoutError:
            self._end(build, Status.TIMED_OUT, _TIMED_OUT)
        else:
            try:
                self._leave(build)
                await self._run(build)
            finally:
                self._slots.give_back()

    async def _run(self, build: Build) -> None:
        log = BuildLog(build, self._aws, self._clock)
        delivery = asyncio.create_task(log.run(lambda: self._settings.now.log_interval_seconds))
        job = Job(build, log, self._aws, self._environment, self._root / build.uuid, self._clock)
        build.enter(PhaseType.PROVISIONING, self._clock())
        status, context = await self._outcome(build, job)
        await job.close(self._settings.now.grace_seconds)
        await asyncio.to_thread(shutil.rmtree, self._root / build.uuid, ignore_errors=True)
        if build.phases[-1].end is None:
            job.leave(status, context)
        build.enter(PhaseType.FINALIZING, self._clock())
        log.close()
        # A log that cannot be delivered must not keep its build from ending.
        await asyncio.gather(delivery, return_exceptions=True)
        self._leave(build)
        build.complete(self._clock())

    async def _outcome(self, build: Build, job: Job) -> tuple[Status, Context]:
        """How the phase that it is in is to end after all work was done, or given up."""
        try:
            await self._within(build, build.order["timeoutInMinutes"], partial(self._work, build, job))
        except asyncio.CancelledError:
            return Status.STOPPED, NO_REASON
        except TimeoutError:
            return Status.TIMED_OUT, _TIMED_OUT
        except Failure as failure:
            return failure.status, failure.context
        except Exception as error:  # noqa: BLE001 - whatever goes wrong here is the service's fault, not the build's
            _log.exception("%s", build.id)
            return Status.FAULT, Context("INTERNAL_ERROR", str(error))
        return Status.SUCCEEDED, NO_REASON

    async def _work(self, build: Build, job: Job) -> None:
        await asyncio.sleep(self._settings.now.provisioning_seconds)
        if self._settings.take_provisioning_failure():
            raise Failure(_FAULT, Status.FAULT)
        self._leave(build)
        await job.run()

    async def _within(self, build: Build, minutes: int, work: Callable[[], Awaitable[None]]) -> None:
        """Do what a stop and a timeout end; only this is ever cancelled, never what tidies up after it.

        Raises:
            asyncio.CancelledError: The build is to stop.
            TimeoutError: The time is over.
        """
        task = asyncio.create_task(self._limited(minutes, work))
        self._work_of[build.id] = task
        if build.id in self._stopping:
            task.cancel()
        try:
            await task
        finally:
            del self._work_of[build.id]

    async def _limited(self, minutes: int, work: Callable[[], Awaitable[None]]) -> None:
        async with asyncio.timeout(minutes * self._settings.now.minute_seconds):
            await work()

    def _leave(self, build: Build) -> None:
        build.leave(Status.SUCCEEDED, self._clock())

    def _end(self, build: Build, status: Status, context: Context = NO_REASON) -> None:
        build.leave(status, self._clock(), context)
        build.complete(self._clock())
