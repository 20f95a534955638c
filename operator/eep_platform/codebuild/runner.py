"""Runs builds."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from eep_platform.codebuild.builds import NO_REASON, Build, BuildStatus, PhaseContext, PhaseType
from eep_platform.codebuild.environment import BuildEnvironment
from eep_platform.codebuild.events import state_change
from eep_platform.codebuild.logs import BuildLog
from eep_platform.codebuild.phases import BuildExecution, Failure
from eep_platform.codebuild.queueing import Slots
from eep_platform.codebuild.settings import BuildSettings
from eep_platform.emulation.aws import Aws
from eep_platform.emulation.clock import Clock
from eep_platform.emulation.outbox import Outbox

_TIMED_OUT = PhaseContext("BUILD_TIMED_OUT", "Build has timed out. ")
_FAULT = PhaseContext("INTERNAL_ERROR", "The build environment could not be provisioned")
_log = logging.getLogger(__name__)


class Runner:
    """The running and waiting builds, each in its own folder below `root`. `events` gets what happens to them."""

    def __init__(  # noqa: PLR0913, PLR0917 (everything that builds need)
        self,
        aws: Aws,
        environment: BuildEnvironment,
        root: Path,
        settings: BuildSettings,
        events: Outbox[dict[str, Any]],
        clock: Clock,
    ) -> None:
        self._aws = aws
        self._events = events
        self._environment = environment
        self._root = root
        self._settings = settings
        self._clock = clock
        self._slots = Slots(settings)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._work_of: dict[str, asyncio.Task[None]] = {}
        self._stopping: set[str] = set()

    def begin(self, build: Build) -> None:
        """Run a QUEUED build when a slot is free."""
        self._announce(build)
        task = asyncio.create_task(self._carry_out(build), name=build.id)
        self._tasks[build.id] = task
        task.add_done_callback(lambda _: self._forget(build.id))

    async def stop(self, build: Build) -> None:
        """Stop a build and wait until it is over; no effect on a build that is already ending."""
        if task := self._tasks.get(build.id):
            self._interrupt(build.id)
            await asyncio.wait([task])

    async def stop_all(self) -> None:
        """Stop all builds and wait until they are over."""
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
            self._end(build, BuildStatus.STOPPED)
        except TimeoutError:
            self._end(build, BuildStatus.TIMED_OUT, _TIMED_OUT)
        else:
            try:
                self._succeed(build)
                await self._run(build)
            finally:
                self._slots.give_back()

    async def _run(self, build: Build) -> None:
        log = BuildLog(build, self._aws, self._clock)
        delivery = asyncio.create_task(log.run(lambda: self._settings.now.log_interval_seconds))
        execution = BuildExecution(build, log, self._aws, self._environment, self._root / build.uuid, self._clock)
        build.begin_phase(PhaseType.PROVISIONING, self._clock())
        status, context = await self._outcome(build, execution)
        await execution.close(self._settings.now.grace_seconds)
        await asyncio.to_thread(shutil.rmtree, self._root / build.uuid, ignore_errors=True)
        if build.phases[-1].end is None:
            execution.end_phase(status, context)
        build.begin_phase(PhaseType.FINALIZING, self._clock())
        log.close()
        # A log that cannot be delivered must not keep the build from ending.
        await asyncio.gather(delivery, return_exceptions=True)
        self._succeed(build)
        self._complete(build)

    async def _outcome(self, build: Build, execution: BuildExecution) -> tuple[BuildStatus, PhaseContext]:
        """Do the work of a build; returns the status and context of the phase in which that ended."""
        try:
            await self._within(build, build.order["timeoutInMinutes"], partial(self._work, build, execution))
        except asyncio.CancelledError:
            return BuildStatus.STOPPED, NO_REASON
        except TimeoutError:
            return BuildStatus.TIMED_OUT, _TIMED_OUT
        except Failure as failure:
            return failure.status, failure.context
        except Exception as error:  # noqa: BLE001 - any other error is the service's fault, not the build's
            _log.exception("%s", build.id)
            return BuildStatus.FAULT, PhaseContext("INTERNAL_ERROR", str(error))
        return BuildStatus.SUCCEEDED, NO_REASON

    async def _work(self, build: Build, execution: BuildExecution) -> None:
        await asyncio.sleep(self._settings.now.provisioning_seconds)
        if self._settings.take_provisioning_failure():
            raise Failure(_FAULT, BuildStatus.FAULT)
        self._succeed(build)
        await execution.run()

    async def _within(self, build: Build, minutes: int, work: Callable[[], Awaitable[None]]) -> None:
        """Do work that a stop or a timeout ends. Only this is ever cancelled, never the clean-up.

        Raises:
            asyncio.CancelledError: The build is being stopped.
            TimeoutError: The time ran out.
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
        async with asyncio.timeout(None) as limit:
            timing = asyncio.create_task(self._time(limit, minutes))
            try:
                await work()
            finally:
                timing.cancel()

    async def _time(self, limit: asyncio.Timeout, minutes: int) -> None:
        """Have a limit that begins now follow the settings."""
        began = asyncio.get_running_loop().time()
        while True:
            limit.reschedule(began + minutes * self._settings.now.minute_seconds)
            await self._settings.changed()

    def _succeed(self, build: Build) -> None:
        build.end_phase(BuildStatus.SUCCEEDED, self._clock())

    def _end(self, build: Build, status: BuildStatus, context: PhaseContext = NO_REASON) -> None:
        build.end_phase(status, self._clock(), context)
        self._complete(build)

    def _complete(self, build: Build) -> None:
        build.complete(self._clock())
        self._announce(build)

    def _announce(self, build: Build) -> None:
        self._events.put(state_change(build, self._clock()))
