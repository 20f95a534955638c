"""Runs transform jobs: a model server, the objects below the prefix one after the other, and their answers."""

import asyncio
import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.emulation.errors import ServiceError
from eep_platform.emulation.logs import LogLine
from eep_platform.sagemaker import s3
from eep_platform.sagemaker.calls import ModelCaller
from eep_platform.sagemaker.errors import DeploymentFailedError
from eep_platform.sagemaker.images import image_name, resolved_image
from eep_platform.sagemaker.jobs.errors import (
    JobFailedError,
    algorithm_unclear,
    bad_records,
    image_missing,
    internal_error,
    no_objects,
)
from eep_platform.sagemaker.jobs.permissions import Permissions
from eep_platform.sagemaker.jobs.plans import Input
from eep_platform.sagemaker.jobs.runner import Announce, JobRecord
from eep_platform.sagemaker.jobs.states import Phase
from eep_platform.sagemaker.jobs.transfer import arn_of, keys_of
from eep_platform.sagemaker.models import additional_data_of, data_of, primary_container
from eep_platform.sagemaker.servers import Host, ServerSpec, VariantServer
from eep_platform.sagemaker.store import Body, Store
from eep_platform.sagemaker.transform.plans import PayloadTooLargeError, TransformPlan

LOG_GROUP = "/aws/sagemaker/TransformJobs"
_TYPE = "application/octet-stream"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Run:
    record: JobRecord
    plan: TransformPlan
    model: Body
    permissions: Permissions
    server: VariantServer


class TransformRunner:
    """Runs transform jobs, each as a task."""

    def __init__(self, store: Store, host: Host, caller: ModelCaller) -> None:
        self._store = store
        self._host = host
        self._caller = caller
        self._registry = urlsplit(host.aws.endpoint_url).netloc
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, record: JobRecord, plan: TransformPlan, model: Body, announce: Announce) -> None:
        """Run a job of a model in the background; `announce` is told of each new status."""
        announce(record)
        task = asyncio.create_task(self._run(record, plan, model, announce))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, record: JobRecord, announce: Announce) -> None:
        """InProgress -> Stopping; it is Stopped once the object that it is at is done."""
        record.value = record.value.stop(self._store.clock())
        announce(record)
        self._store.settings.recheck()

    async def close(self) -> None:
        """End all jobs; they have no end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, record: JobRecord, plan: TransformPlan, model: Body, announce: Announce) -> None:
        reason = ""
        try:
            phase = await self._attempt(record, plan, model)
        except JobFailedError as failure:
            phase, reason = Phase.FAILED, str(failure)
        except Exception:  # noqa: BLE001 - the job fails whatever goes wrong
            _log.exception("%s failed", record.arn)
            phase, reason = Phase.FAILED, str(internal_error())
        record.value = record.value.end(phase, self._store.clock(), failure_reason=reason)
        announce(record)

    async def _attempt(self, record: JobRecord, plan: TransformPlan, model: Body) -> Phase:
        settings, account = self._store.settings, self._store.account
        await settings.until(lambda: not (record.value.is_stoppable and settings.holds(record.name)))
        if not record.value.is_stoppable:
            return Phase.STOPPED
        permissions = await Permissions.of(model["ExecutionRoleArn"], self._host.aws, account)
        server = VariantServer(await self._spec(record, plan, model), self._host)
        record.value = record.value.enter(Phase.DOWNLOADING, self._store.clock())
        try:
            await server.ensure()
            await self._transform(_Run(record, plan, model, permissions, server))
        except DeploymentFailedError as error:
            raise algorithm_unclear() from error
        finally:
            await server.retire(0)
        return Phase.COMPLETED if record.value.is_stoppable else Phase.STOPPED

    async def _transform(self, run: _Run) -> None:
        """Answer all objects; one that fails has no answers, and fails the job after the others."""
        failures: list[JobFailedError] = []
        missing = no_objects(run.plan.source, self._store.account.region, run.permissions.role)
        try:
            found = await keys_of(Input(run.plan.source, ""), self._host.aws, run.permissions)
        except (BotoCoreError, ClientError) as error:
            raise JobFailedError(f"ClientError: {missing} Error message from S3: {error}") from error
        keys = [key for key in found if not key.endswith("/")]
        if not keys:
            raise JobFailedError(f"ClientError: {missing}")
        for key in keys:
            if not run.record.value.is_stoppable:
                return
            try:
                await self._transform_object(run, key)
            except JobFailedError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    async def _transform_object(self, run: _Run, key: str) -> None:
        plan, aws, permissions = run.plan, self._host.aws, run.permissions
        bucket, _ = s3.location(plan.source)
        target = plan.target_of(key)
        try:
            permissions.refuse_denied("GetObject", "s3:GetObject", arn_of(permissions, bucket, key))
            answer = await aws.call("s3", "get_object", Bucket=bucket, Key=key)
            body: bytes = await aws.thread(answer["Body"].read)
            answers = await self._answers(run, plan.payloads(body))
            permissions.refuse_denied("PutObject", "s3:PutObject", arn_of(permissions, *s3.location(target)))
            await s3.put(aws, target, s3.Content(plan.assembled(answers), _TYPE, plan.kms_key))
        except (BotoCoreError, ClientError) as error:
            self._note(run, f"{key}: {error}")
            raise bad_records() from error
        except PayloadTooLargeError as error:
            self._note(run, f"{key}: a record is larger than MaxPayloadInMB")
            raise bad_records() from error
        except ServiceError as error:
            self._note(run, f"{key}: {error}")
            raise algorithm_unclear() from error

    async def _answers(self, run: _Run, payloads: list[bytes]) -> list[bytes]:
        room = asyncio.Semaphore(run.plan.concurrency)

        async def answer(payload: bytes) -> bytes:
            async with room:
                return await self._answer(run, payload)

        results = await asyncio.gather(*(answer(payload) for payload in payloads), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if isinstance(result, bytes)]

    async def _answer(self, run: _Run, payload: bytes) -> bytes:
        plan = run.plan
        for left in range(plan.retries, -1, -1):
            async with run.server.held():
                answer = await self._caller.call(run.server, plan.headers, payload, plan.timeout_seconds)
            if answer.ok:
                break
            self._note(run, f"Bad HTTP status received from algorithm: {answer.status}")
            if not left or 0 < answer.status < 500:  # noqa: PLR2004 - what a model refuses it refuses again
                raise algorithm_unclear()
        return answer.body

    def _note(self, run: _Run, text: str) -> None:
        milliseconds = int(self._store.clock().timestamp() * 1000)
        self._host.logs.put(LogLine(LOG_GROUP, f"{run.record.name}/data-log", milliseconds, text))

    async def _spec(self, record: JobRecord, plan: TransformPlan, model: Body) -> ServerSpec:
        container, region = primary_container(model), self._store.account.region
        name = image_name(container["Image"], region)
        try:
            found = await resolved_image(name, self._host.aws)
        except (BotoCoreError, ClientError) as error:
            raise image_missing() from error
        if found is None:
            raise image_missing()
        service = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "SAGEMAKER_REGION": region}
        return ServerSpec(
            endpoint_name=record.name,
            variant_name=record.name,
            reference=f"{self._registry}/{name.repository}@{found.digest}",
            environment=service | container.get("Environment", {}) | plan.environment,
            model_data=data_of(container),
            additional_data=additional_data_of(container),
            max_concurrency=None,
            log_group=LOG_GROUP,
        )
