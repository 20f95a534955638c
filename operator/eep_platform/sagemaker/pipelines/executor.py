"""Takes executions through their steps; each execution and each step is a task."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final
from uuid import uuid4

from eep_platform.emulation.aws import Aws
from eep_platform.emulation.outbox import Outbox
from eep_platform.sagemaker.jobs.permissions import Permissions
from eep_platform.sagemaker.pipelines.caching import CachedRun, cache_key
from eep_platform.sagemaker.pipelines.conditions import hold
from eep_platform.sagemaker.pipelines.definition import CONDITION, FAIL, files_needed, own_arguments
from eep_platform.sagemaker.pipelines.errors import StepFailedError, StepStoppedError, UnresolvableError
from eep_platform.sagemaker.pipelines.events import execution_change, step_change
from eep_platform.sagemaker.pipelines.execution import (
    STEPS_FAILED,
    Execution,
    ExecutionStatus,
    StepRun,
    StepStatus,
    job_name,
    outcome_text,
)
from eep_platform.sagemaker.pipelines.expressions import Values, resolved
from eep_platform.sagemaker.pipelines.files import contents
from eep_platform.sagemaker.pipelines.permissions import permissions_of
from eep_platform.sagemaker.pipelines.pipeline import Pipeline
from eep_platform.sagemaker.pipelines.retries import delay
from eep_platform.sagemaker.pipelines.steps import Attempt, StepMaker
from eep_platform.sagemaker.store import Store

_log = logging.getLogger(__name__)
_RANDOM: Final = 10
_MOST_REASON: Final = 1024
_INTERNAL: Final = "InternalServerError: We encountered an internal error. Please try again."


@dataclass(slots=True)
class _Course:
    """An execution that is under way."""

    pipeline: Pipeline
    execution: Execution
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


class Executor:
    """Runs executions and announces each state of them and of their steps."""

    def __init__(self, store: Store, maker: StepMaker, events: Outbox[dict[str, Any]], aws: Aws) -> None:
        self._store = store
        self._maker = maker
        self._events = events
        self._aws = aws
        self._courses: dict[str, _Course] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, pipeline: Pipeline, execution: Execution, before: ExecutionStatus | None = None) -> None:
        """Run an execution in the background; `before` is the state that it had before it was tried again."""
        self._events.put(execution_change(execution, before, self._now()))
        course = self._courses[execution.arn] = _Course(pipeline, execution)
        task = asyncio.create_task(self._run(course))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, execution: Execution) -> None:
        """Executing -> Stopping -> Stopped, with the jobs of its steps."""
        self._enter(execution, ExecutionStatus.STOPPING)
        self._courses[execution.arn].stopping.set()

    async def close(self) -> None:
        """End all executions where they are."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._courses.clear()

    async def _run(self, course: _Course) -> None:
        execution = course.execution
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                for step in list(islice(execution.next_steps(), execution.most_parallel - len(running))):
                    run = execution.steps[step.name] = StepRun(step, self._now())
                    self._events.put(step_change(execution, run, None, self._now()))
                    running.add(asyncio.create_task(self._run_step(course, run)))
                if not running:
                    break
                _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        del self._courses[execution.arn]
        status = execution.outcome()
        execution.failure_reason = STEPS_FAILED if status is ExecutionStatus.FAILED else None
        self._enter(execution, status)

    async def _run_step(self, course: _Course, run: StepRun) -> None:
        failures: Counter[str | None] = Counter()
        try:
            while not await self._succeeds(course, run, failures):
                run.attempts += 1
        except StepStoppedError:
            self._end(course, run, StepStatus.STOPPED)
        except StepFailedError as failure:
            self._end(course, run, StepStatus.FAILED, failure.reason)
        except Exception:  # noqa: BLE001 - the step fails whatever goes wrong
            _log.exception("step %s of %s", run.step.name, course.execution.arn)
            self._end(course, run, StepStatus.FAILED, _INTERNAL)
        else:
            self._end(course, run, StepStatus.SUCCEEDED)

    async def _succeeds(self, course: _Course, run: StepRun, failures: "Counter[str | None]") -> bool:
        """Whether an attempt succeeded; False once another one is due. Raises the failure if there is none."""
        try:
            await self._attempt(course, run)
        except StepFailedError as failure:
            failures[failure.kind] += 1
            elapsed = (self._now() - run.started).total_seconds() * self._speed
            seconds = delay(run.step.retries, failure.kind, failures[failure.kind], elapsed)
            if seconds is None or course.stopping.is_set():
                raise
            await self._pause(course, seconds)
            return False
        return True

    async def _pause(self, course: _Course, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds / self._speed):
                await course.stopping.wait()
        except TimeoutError:
            return
        raise StepStoppedError

    async def _attempt(self, course: _Course, run: StepRun) -> None:
        execution, step = course.execution, run.step
        permissions = await permissions_of(course.pipeline.role_arn, self._aws, self._store.account)
        values = await self._values(execution, run, permissions)
        if course.stopping.is_set():
            raise StepStoppedError
        try:
            if step.type == CONDITION:
                outcome = hold(step.arguments["Conditions"], values)
                run.metadata = {"Condition": {"Outcome": outcome_text(outcome=outcome)}}
                run.result = {"Outcome": outcome}
                return
            arguments = resolved(own_arguments(step), values)
        except UnresolvableError as error:
            raise StepFailedError(f"ClientError: {error}") from error
        if step.type == FAIL:
            run.metadata = {"Fail": {"ErrorMessage": arguments.get("ErrorMessage", "")}}
            raise StepFailedError(arguments.get("ErrorMessage", ""))
        await self._make(course, run, arguments, permissions)

    async def _values(self, execution: Execution, run: StepRun, permissions: Permissions) -> Values:
        results = execution.results()
        files = await contents(self._aws, permissions, execution.definition, results, files_needed(run.step))
        return Values(execution.parameters, execution.variables(self._now()), results, files)

    async def _make(
        self, course: _Course, run: StepRun, arguments: Mapping[str, Any], permissions: Permissions
    ) -> None:
        execution, step = course.execution, run.step
        key = cache_key(step.type, arguments) if step.cached_for else ""
        cached = course.pipeline.cache.find(step.name, key, self._now() - step.cached_for) if step.cached_for else None
        if cached is not None:
            run.metadata, run.result, run.cached_from = cached.metadata, cached.result, cached.execution_arn
            return

        def executing(metadata: Mapping[str, Any]) -> None:
            run.metadata = metadata
            self._enter_step(execution, run, StepStatus.EXECUTING)

        def stop_begun() -> None:
            self._enter_step(execution, run, StepStatus.STOPPING)

        if step.type == "RegisterModel":
            arguments = _generated_by(arguments, execution.arn)
        name = job_name(execution.id, step.name, uuid4().hex[:_RANDOM])
        run.result = await self._maker.make(
            Attempt(step.type, name, arguments, permissions, course.stopping, executing, stop_begun)
        )
        if step.cached_for:
            course.pipeline.cache.keep(step.name, key, CachedRun(execution.arn, self._now(), run.metadata, run.result))

    def _end(self, course: _Course, run: StepRun, status: StepStatus, reason: str = "") -> None:
        run.ended = self._now()
        run.failure_reason = reason[:_MOST_REASON] or None
        self._enter_step(course.execution, run, status)

    def _enter_step(self, execution: Execution, run: StepRun, status: StepStatus) -> None:
        before, run.status = run.status, status
        self._events.put(step_change(execution, run, before, self._now()))

    def _enter(self, execution: Execution, status: ExecutionStatus) -> None:
        before, execution.status = execution.status, status
        execution.modified = self._now()
        self._events.put(execution_change(execution, before, execution.modified))

    def _now(self) -> datetime:
        return self._store.clock()

    @property
    def _speed(self) -> float:
        return self._store.settings.now.pipeline_seconds_per_second


def _generated_by(arguments: Mapping[str, Any], execution_arn: str) -> dict[str, Any]:
    properties = {"GeneratedBy": execution_arn, **arguments.get("MetadataProperties", {})}
    return {**arguments, "MetadataProperties": properties}
