"""Makes what steps stand for: jobs, models and model packages, through the operations that callers of the API use."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.emulation.errors import ServiceError
from eep_platform.emulation.validation import input_shape, parsed, serialised, service_model
from eep_platform.sagemaker.jobs.permissions import Permissions
from eep_platform.sagemaker.jobs.states import Job, JobStatus
from eep_platform.sagemaker.pipelines.arguments import CALLS, Call
from eep_platform.sagemaker.pipelines.errors import StepFailedError, StepStoppedError
from eep_platform.sagemaker.pipelines.permissions import refuse_call
from eep_platform.sagemaker.pipelines.retries import SERVICE_FAULT, kind_of_error, kind_of_job

_SERVICE: Final = "sagemaker"


class Jobs(Protocol):
    """Operations on one kind of jobs."""

    async def ended(self, name: str) -> Job:
        """The job as it ended; waits for that."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to make what a step stands for, with the permissions of its pipeline's role.

    `executing` is told the step's metadata once it is being made.
    """

    step_type: str
    name: str
    arguments: Mapping[str, Any]
    permissions: Permissions
    stopping: asyncio.Event
    executing: Callable[[Mapping[str, Any]], None]
    stop_begun: Callable[[], None]


@dataclass(frozen=True, slots=True)
class StepMaker:
    """The operations by the type of step."""

    jobs: Mapping[str, Jobs]
    models: object
    packages: object

    async def make(self, attempt: Attempt) -> Any:  # noqa: ANN401 - as many types as answers
        """What Describe answers of what was made.

        Raises:
            StepFailedError: It could not be made, or the job failed.
            StepStoppedError: The job was stopped with the execution.
        """
        call = CALLS[attempt.step_type]
        if attempt.step_type in self.jobs:
            return await self._run_job(self.jobs[attempt.step_type], call, attempt)
        if attempt.step_type == "Model":
            await self._create(self.models, call, {**attempt.arguments, call.name: attempt.name}, attempt, "Model")
            return await self._described(self.models, call, attempt.name, attempt)
        arn = await self._create(self.packages, call, attempt.arguments, attempt, "RegisterModel")
        return await self._described(self.packages, call, arn, attempt)

    async def _run_job(self, jobs: Jobs, call: Call, attempt: Attempt) -> Any:  # noqa: ANN401 - see `make`
        request = {**attempt.arguments, call.name: attempt.name}
        await self._create(jobs, call, request, attempt, f"{attempt.step_type}Job")
        job = await self._ended(jobs, call, attempt)
        if job.status is JobStatus.FAILED:
            raise StepFailedError(f"ClientError: {job.failure_reason}", kind_of_job(job.failure_reason))
        if job.status is JobStatus.STOPPED:
            if attempt.stopping.is_set():
                raise StepStoppedError
            raise StepFailedError(f"ClientError: Job {attempt.name} was stopped, or reached the end of its time.")
        return await self._described(jobs, call, attempt.name, attempt)

    async def _ended(self, jobs: Jobs, call: Call, attempt: Attempt) -> Job:
        """The job as it ended; stops it first if the execution is stopped before."""
        ended = asyncio.create_task(jobs.ended(attempt.name))
        stopping = asyncio.create_task(attempt.stopping.wait())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                attempt.stop_begun()
                # It may be ending just now.
                with suppress(StepFailedError):
                    await _called(jobs, call.create.replace("Create", "Stop"), {call.name: attempt.name}, attempt)
            return await ended
        finally:
            ended.cancel()
            stopping.cancel()

    async def _create(self, group: object, call: Call, body: Mapping[str, Any], attempt: Attempt, noun: str) -> str:
        """Make something; returns its ARN."""
        answer = await _called(group, call.create, body, attempt)
        arn = str(next(value for member, value in answer.items() if member.endswith("Arn")))
        attempt.executing({noun: {"Arn": arn}})
        return arn

    async def _described(self, group: object, call: Call, name: str, attempt: Attempt) -> Any:  # noqa: ANN401 - see `make`
        answer = await _called(group, call.describe, {call.name: name}, attempt)
        return serialised(service_model(_SERVICE).operation_model(call.describe).output_shape, answer)


async def _called(group: object, operation: str, body: Mapping[str, Any], attempt: Attempt) -> dict[str, Any]:
    """The answer of an operation, called as the pipeline's role calls the API; raises `StepFailedError`."""
    failed = f"Failed to invoke sagemaker:{operation}. Error Details:"
    try:
        request = parsed(input_shape(_SERVICE, operation), body)
        refuse_call(attempt.permissions, operation, request)
        call: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]] = getattr(group, xform_name(operation))
        return await call(request)
    except ServiceError as error:
        kind = kind_of_error(error.code, error.status)
        raise StepFailedError(f"ClientError: {failed} {error.message}", kind) from error
    except (BotoCoreError, ClientError) as error:
        raise StepFailedError(f"InternalServerError: {failed} {error}", SERVICE_FAULT) from error
