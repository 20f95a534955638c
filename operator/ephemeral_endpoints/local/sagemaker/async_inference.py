"""InvokeEndpointAsync: requests that wait in line for the instances of an endpoint, and whose results go to S3."""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field

from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.local.sagemaker import errors, s3
from ephemeral_endpoints.local.sagemaker.async_jobs import Job, Result, job, notification
from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.calls import Answer, ModelCaller, model_error, serving
from ephemeral_endpoints.local.sagemaker.captures import Exchange
from ephemeral_endpoints.local.sagemaker.endpoints import SERVING, Endpoint
from ephemeral_endpoints.local.sagemaker.hosting import Hosting
from ephemeral_endpoints.local.sagemaker.metrics import Backlog, Processed
from ephemeral_endpoints.local.sagemaker.observer import Observer
from ephemeral_endpoints.local.sagemaker.parameters import parameters_of
from ephemeral_endpoints.local.sagemaker.servers import VariantServer
from ephemeral_endpoints.local.sagemaker.store import Record, Store

_AT_ONCE_UNLESS_SET = 4
_TICK_SECONDS = 0.1
_TEXT = "text/plain"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Line:
    """The jobs of one endpoint: those that wait, and those under way."""

    record: Record[Endpoint]
    waiting: deque[Job] = field(default_factory=deque)
    under_way: set["asyncio.Task[None]"] = field(default_factory=set)


class AsyncInvoker:
    """Serves asynchronous invocations."""

    def __init__(self, store: Store, hosting: Hosting, caller: ModelCaller, observer: Observer, aws: Aws) -> None:
        self._store = store
        self._hosting = hosting
        self._caller = caller
        self._observer = observer
        self._aws = aws
        self._lines: dict[str, _Line] = {}

    async def invoke(self, request: web.Request) -> web.Response:
        """Answer one InvokeEndpointAsync request; raises `ServiceError` for every answer that is an error."""
        name = request.match_info["name"]
        body = await request.read()
        parameters = parameters_of("InvokeEndpointAsync", request.headers, EndpointName=name, Body=body)
        record, _ = serving(self._store, self._hosting, name)
        config = record.value.shown.async_inference
        if config is None:
            raise errors.validation_error(
                f"Endpoint {name} is not an asynchronous endpoint and does not support InvokeEndpointAsync: "
                "use InvokeEndpoint."
            )
        queued = job(name, parameters, config["OutputConfig"], self._store.clock())
        line = self._line(record)
        line.waiting.append(queued)
        self._advance(line)
        headers = {"X-Amzn-SageMaker-OutputLocation": queued.output}
        if queued.failure:
            headers["X-Amzn-SageMaker-FailureLocation"] = queued.failure
        return web.json_response({"InferenceId": queued.inference_id}, status=202, headers=headers)

    async def run(self) -> None:
        """Keep the lines moving as capacity comes and goes, and tell their lengths; until cancelled."""
        told = 0.0
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            for line in list(self._lines.values()):
                self._advance(line)
            if time.monotonic() - told >= self._store.settings.now.side_channel_seconds:
                told = time.monotonic()
                self._tell()

    async def close(self) -> None:
        """Abandon all jobs."""
        tasks = [task for line in self._lines.values() for task in line.under_way]
        self._lines.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tell(self) -> None:
        for record in self._store.endpoints:
            if record.value.shown.async_inference and record.value.status in SERVING:
                line = self._lines.get(record.arn)
                size = len(line.waiting) + len(line.under_way) if line else 0
                self._observer.measure(Backlog(record.name, size, _instances(record)))

    def _advance(self, line: _Line) -> None:
        """Begin as many jobs as the endpoint has room for."""
        record = line.record
        if self._store.endpoints.find(record.name) is not record:
            if self._lines.get(record.arn) is line:
                del self._lines[record.arn]
            return
        config = record.value.shown.async_inference or {}
        each = config.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", _AT_ONCE_UNLESS_SET)
        while line.waiting and (self._expired(line) or self._has_room(line, each)):
            task = asyncio.create_task(self._finish(record, line.waiting.popleft()))
            line.under_way.add(task)
            task.add_done_callback(lambda done: self._done(line, done))

    def _line(self, record: Record[Endpoint]) -> _Line:
        """The endpoint's line; one of an endpoint of this name that is gone is not it."""
        line = self._lines.get(record.arn)
        if line is None or line.record is not record:
            line = self._lines[record.arn] = _Line(record)
        return line

    def _expired(self, line: _Line) -> bool:
        return line.waiting[0].has_expired(self._store.clock())

    def _has_room(self, line: _Line, each: int) -> bool:
        record = line.record
        served = record.value.status in SERVING and self._hosting.router(record.arn) is not None
        return served and len(line.under_way) < _instances(record) * each

    def _done(self, line: _Line, task: "asyncio.Task[None]") -> None:
        line.under_way.discard(task)
        if task.cancelled():
            return
        if error := task.exception():
            _log.error("an asynchronous invocation broke off", exc_info=error)
        self._advance(line)

    async def _finish(self, record: Record[Endpoint], queued: Job) -> None:
        """Do a job, store what comes of it, and tell."""
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
        self._observer.measure(Processed(queued.endpoint_name, bool(result.failure_reason), waited))
        await self._notify(queued, result)

    async def _result(self, record: Record[Endpoint], queued: Job) -> Result:
        if queued.has_expired(self._store.clock()):
            return _failed(f"The request expired: it waited for longer than {queued.ttl_seconds} seconds.")
        try:
            body = await self._body(queued)
            answer = await self._answer(record, queued, body)
        except (BotoCoreError, ClientError) as error:
            return _failed(f"The input at {queued.source!r} cannot be read: {error}")
        except errors.ServiceError as error:
            return _failed(error.message)
        if answer.ok:
            return Result(answer.body, answer.headers.get("Content-Type", "application/octet-stream"))
        told = model_error(self._store.account, queued.endpoint_name, answer)
        return _failed(told.message, answer.body)

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
        self._observer.note(record, server, exchange, time.perf_counter() - began)
        return answer

    async def _notify(self, queued: Job, result: Result) -> None:
        told = notification(queued, result, self._store.account.region, self._store.clock())
        if told is None:
            return
        topic, message = told
        try:
            await self._aws.call("sns", "publish", TopicArn=topic, Message=message)
        except (BotoCoreError, ClientError) as error:
            _log.warning("%s cannot be told of a result: %s", topic, error)


def _instances(record: Record[Endpoint]) -> int:
    return sum(variant.instance_count for variant in record.value.shown.variants)


def _failed(reason: str, body: bytes | None = None) -> Result:
    return Result(reason.encode() if body is None else body, _TEXT, reason)
