"""InvokeEndpointAsync: requests queue for the instances of an endpoint, and their results go to S3."""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field

from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker import s3
from eep_platform.sagemaker.async_jobs import Job, Result, job, notification
from eep_platform.sagemaker.calls import Answer, ModelCaller, model_error, serving
from eep_platform.sagemaker.captures import Exchange
from eep_platform.sagemaker.endpoints import SERVING, Endpoint
from eep_platform.sagemaker.errors import validation_error
from eep_platform.sagemaker.hosting import Hosting
from eep_platform.sagemaker.metrics import Backlog, Processed
from eep_platform.sagemaker.parameters import parameters_of
from eep_platform.sagemaker.recorder import InvocationRecorder
from eep_platform.sagemaker.servers import VariantServer
from eep_platform.sagemaker.store import Record, Store

_AT_ONCE_UNLESS_SET = 4
_TICK_SECONDS = 0.1
_TEXT = "text/plain"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Queue:
    """The jobs of one endpoint: waiting and running."""

    record: Record[Endpoint]
    waiting: deque[Job] = field(default_factory=deque)
    running: set["asyncio.Task[None]"] = field(default_factory=set)


class AsyncInvoker:
    """Serves asynchronous invocations."""

    def __init__(
        self, store: Store, hosting: Hosting, caller: ModelCaller, recorder: InvocationRecorder, aws: Aws
    ) -> None:
        self._store = store
        self._hosting = hosting
        self._caller = caller
        self._recorder = recorder
        self._aws = aws
        self._queues: dict[str, _Queue] = {}

    async def invoke(self, request: web.Request) -> web.Response:
        """Answer an InvokeEndpointAsync request; raises `ServiceError` for every error answer."""
        name = request.match_info["name"]
        body = await request.read()
        parameters = parameters_of("InvokeEndpointAsync", request.headers, EndpointName=name, Body=body)
        record, _ = serving(self._store, self._hosting, name)
        config = record.value.shown.async_inference
        if config is None:
            raise validation_error(
                f"Endpoint {name} is not an asynchronous endpoint and does not support InvokeEndpointAsync: "
                "use InvokeEndpoint."
            )
        queued = job(name, parameters, config["OutputConfig"], self._store.clock())
        queue = self._queue(record)
        queue.waiting.append(queued)
        self._advance(queue)
        headers = {"X-Amzn-SageMaker-OutputLocation": queued.output}
        if queued.failure:
            headers["X-Amzn-SageMaker-FailureLocation"] = queued.failure
        return web.json_response({"InferenceId": queued.inference_id}, status=202, headers=headers)

    async def run(self) -> None:
        """Start jobs as capacity becomes available, and publish the queues' lengths; until cancelled."""
        published = 0.0
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            for queue in list(self._queues.values()):
                self._advance(queue)
            if time.monotonic() - published >= self._store.settings.now.side_channel_seconds:
                published = time.monotonic()
                self._publish()

    async def close(self) -> None:
        """Cancel all jobs."""
        tasks = [task for queue in self._queues.values() for task in queue.running]
        self._queues.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _publish(self) -> None:
        for record in self._store.endpoints:
            if record.value.shown.async_inference and record.value.status in SERVING:
                queue = self._queues.get(record.arn)
                size = len(queue.waiting) + len(queue.running) if queue else 0
                self._recorder.measure(Backlog(record.name, size, _instances(record)))

    def _advance(self, queue: _Queue) -> None:
        """Start as many jobs as the endpoint has capacity for."""
        record = queue.record
        if self._store.endpoints.find(record.name) is not record:
            if self._queues.get(record.arn) is queue:
                del self._queues[record.arn]
            return
        config = record.value.shown.async_inference or {}
        each = config.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", _AT_ONCE_UNLESS_SET)
        while queue.waiting and (self._expired(queue) or self._has_room(queue, each)):
            task = asyncio.create_task(self._finish(record, queue.waiting.popleft()))
            queue.running.add(task)
            task.add_done_callback(lambda done: self._done(queue, done))

    def _queue(self, record: Record[Endpoint]) -> _Queue:
        """The endpoint's queue; not that of a deleted endpoint of the same name."""
        queue = self._queues.get(record.arn)
        if queue is None or queue.record is not record:
            queue = self._queues[record.arn] = _Queue(record)
        return queue

    def _expired(self, queue: _Queue) -> bool:
        return queue.waiting[0].has_expired(self._store.clock())

    def _has_room(self, queue: _Queue, each: int) -> bool:
        record = queue.record
        served = record.value.status in SERVING and self._hosting.router(record.arn) is not None
        return served and len(queue.running) < _instances(record) * each

    def _done(self, queue: _Queue, task: "asyncio.Task[None]") -> None:
        queue.running.discard(task)
        if task.cancelled():
            return
        if error := task.exception():
            _log.error("an asynchronous invocation failed", exc_info=error)
        self._advance(queue)

    async def _finish(self, record: Record[Endpoint], queued: Job) -> None:
        """Run a job, store its result and publish the notification."""
        began = self._store.clock()
        result = await self._result(record, queued)
        place = queued.failure if result.failure_reason else queued.output
        try:
            if place:
                key = queued.output_config.get("KmsKeyId")
                await s3.put(self._aws, place, s3.Content(result.body, result.content_type, key))
        except (BotoCoreError, ClientError) as error:
            result = Result(b"", _TEXT, f"The result cannot be stored at {place}: {error}")
        waited = (began - queued.received).total_seconds()
        self._recorder.measure(Processed(queued.endpoint_name, bool(result.failure_reason), waited))
        await self._notify(queued, result)

    async def _result(self, record: Record[Endpoint], queued: Job) -> Result:
        if queued.has_expired(self._store.clock()):
            return _failed(f"The request expired: it waited for longer than {queued.ttl_seconds} seconds.")
        try:
            body = await self._body(queued)
            answer = await self._answer(record, queued, body)
        except (BotoCoreError, ClientError) as error:
            return _failed(f"The input at {queued.source!r} cannot be read: {error}")
        except ServiceError as error:
            return _failed(error.message)
        if answer.ok:
            return Result(answer.body, answer.headers.get("Content-Type", "application/octet-stream"))
        return _failed(model_error(self._store.account, queued.endpoint_name, answer).message, answer.body)

    async def _body(self, queued: Job) -> bytes:
        if isinstance(queued.source, bytes):
            return queued.source
        bucket, key = s3.location(queued.source)
        found = await self._aws.call("s3", "get_object", Bucket=bucket, Key=key)
        content: bytes = await self._aws.thread(found["Body"].read)
        return content

    async def _answer(self, record: Record[Endpoint], queued: Job, body: bytes) -> Answer:
        began = time.perf_counter()
        _, router = serving(self._store, self._hosting, queued.endpoint_name)
        server: VariantServer = router.choose(None)
        async with server.held():
            answer = await self._caller.call(server, queued.headers, body, queued.timeout_seconds)
        exchange = Exchange(self._store.clock(), queued.headers, body, answer)
        self._recorder.note(record, server, exchange, time.perf_counter() - began)
        return answer

    async def _notify(self, queued: Job, result: Result) -> None:
        published = notification(queued, result, self._store.account.region, self._store.clock())
        if published is None:
            return
        topic, message = published
        try:
            await self._aws.call("sns", "publish", TopicArn=topic, Message=message)
        except (BotoCoreError, ClientError) as error:
            _log.warning("cannot notify %s of a result: %s", topic, error)


def _instances(record: Record[Endpoint]) -> int:
    return sum(variant.instance_count for variant in record.value.shown.variants)


def _failed(reason: str, body: bytes | None = None) -> Result:
    return Result(reason.encode() if body is None else body, _TEXT, reason)
