"""Asynchronous inference: requests that SageMaker queues, and results that it leaves in S3.

SageMaker tells nobody how far a request is: the result, or the failure in its place, is there or it is not (SageMaker
AI developer guide, "Check prediction results"). Where a role may not list the bucket, S3 answers 403 for an object that
is not there yet, which cannot be told from a denial: the forwarder's role needs ``s3:ListBucket``.
"""

from __future__ import annotations

import json
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.forwarder.inference_id import InferenceId
from ephemeral_endpoints.forwarder.invocation import CONNECT_SECONDS, PROBE, Context, send, service_problem, unavailable
from ephemeral_endpoints.forwarder.messages import MAX_RESPONSE_BYTES, Answer, Problem, too_large

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    # Stubs, which are there for the type checker only.
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from types_boto3_sagemaker_runtime.type_defs import InvokeEndpointAsyncInputTypeDef

    from ephemeral_endpoints.forwarder.config import AsyncConfig
    from ephemeral_endpoints.forwarder.invocation import Request
    from ephemeral_endpoints.forwarder.variants import Target

    T = TypeVar("T")

ENQUEUE_SECONDS = 8
"""How long InvokeEndpointAsync may take: with both attempts at S3 before it, within what API Gateway waits."""

PENDING_SECONDS = 21_600 + 900
"""How long a result can be awaited: the time in the queue and that on the instance, where the request sets neither
(SageMaker Runtime API reference, ``RequestTTLSeconds`` and ``InvocationTimeoutSeconds``)."""

RETRY_SECONDS = 2
"""How soon a caller may ask again for a result."""

_STORE_READ_SECONDS = 5
_STORE_ATTEMPTS = 2
_PROBE_SECONDS = 20
_PROBE_INTERVAL_SECONDS = 0.5
# For a look at S3 that began in time, and for the answer.
_RESERVE_SECONDS = 4
_ABSENT = frozenset({"NoSuchKey", "404"})


def make_store(region: str) -> S3Client:
    """A client of S3; takes longer than answering a request, so it is made once per process."""
    return boto3.client(
        "s3",
        region_name=region,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=_STORE_READ_SECONDS,
            retries={"total_max_attempts": _STORE_ATTEMPTS, "mode": "standard"},
            tcp_keepalive=True,
        ),
    )


@dataclass(frozen=True, slots=True)
class Queue:
    """An endpoint for asynchronous inference with its folders in S3."""

    runtime: SageMakerRuntimeClient
    store: S3Client
    target: Target
    folders: AsyncConfig

    def submit(self, context: Context, request: Request) -> InferenceId:
        """Queue a request; raises Problem 502 or 503 if it could not be."""
        name = str(uuid.uuid4())
        location = self.folders.input_s3_uri + name
        bucket, key = _split(location)
        self._stored(lambda: self.store.put_object(Bucket=bucket, Key=key, Body=request.body))
        arguments: InvokeEndpointAsyncInputTypeDef = {
            "EndpointName": self.target.endpoint_name,
            "InputLocation": location,
            "InferenceId": name,
        }
        if request.content_type:
            arguments["ContentType"] = request.content_type
        if request.accept:
            arguments["Accept"] = request.accept
        return self._enqueue(context, arguments)

    def result(self, inference: InferenceId) -> Answer | None:
        """The model's answer, None while it has not come; raises Problem 404 or 502 if it never will.

        Also Problem 502 if it is larger than Lambda can return: it stays in S3 then.
        """
        answer = self._answer(inference)
        if answer:
            return answer
        if self._is_there(self._failure(inference)):
            detail = "The model failed on this request; see its log."
            raise Problem(HTTPStatus.BAD_GATEWAY, "model-error", detail)
        if time.time() - inference.submitted > PENDING_SECONDS:
            raise unknown_inference()
        return None

    def pending(self, inference: InferenceId) -> Answer:
        """What is told of a request that is queued."""
        body = json.dumps({"inferenceId": str(inference), "status": "Pending"}).encode()
        # Relative to what was asked: neither the stage nor a domain's base path is known here (RFC 9110, 10.2.2).
        headers = {"location": f"?inference={inference}", "retry-after": str(RETRY_SECONDS)}
        return Answer(HTTPStatus.ACCEPTED, "application/json", body, self.target.variant, headers)

    def probe(self, context: Context) -> None:
        """Have the model answer, be it by a failure; raises Problem 503 if it does not within about 20 s."""
        inference = self.submit(context, PROBE)
        places = (self.folders.output_s3_uri + inference.output, self._failure(inference))
        remaining = context.get_remaining_time_in_millis() / 1000 - _RESERVE_SECONDS
        deadline = time.monotonic() + min(_PROBE_SECONDS, remaining)
        while not any(self._is_there(place) for place in places):
            if time.monotonic() + _PROBE_INTERVAL_SECONDS > deadline:
                raise unavailable("model-not-ready", "The model has not answered yet.", retry_after=5)
            time.sleep(_PROBE_INTERVAL_SECONDS)

    def _enqueue(self, context: Context, arguments: InvokeEndpointAsyncInputTypeDef) -> InferenceId:
        try:
            told = send(lambda: self.runtime.invoke_endpoint_async(**arguments), context, ENQUEUE_SECONDS)
            output, failure = told.get("OutputLocation", ""), told.get("FailureLocation", "")
            return InferenceId.of(self.folders, time.time(), output, failure)
        except ClientError as error:
            raise service_problem(error) from error
        except BotoCoreError as error:
            raise unavailable("service-unavailable", "SageMaker could not be reached.", retry_after=5) from error
        except ValueError as error:
            detail = "SageMaker will put the result where it cannot be fetched from."
            raise Problem(HTTPStatus.BAD_GATEWAY, "result-unreachable", detail) from error

    def _failure(self, inference: InferenceId) -> str:
        return self.folders.failures + inference.failure

    def _answer(self, inference: InferenceId) -> Answer | None:
        bucket, key = _split(self.folders.output_s3_uri + inference.output)

        def read() -> Answer:
            found = self.store.get_object(Bucket=bucket, Key=key)
            with closing(found["Body"]) as body:
                if found["ContentLength"] > MAX_RESPONSE_BYTES:
                    raise too_large(self.target.variant)
                return Answer(HTTPStatus.OK, found.get("ContentType", ""), body.read(), self.target.variant)

        return self._stored(read)

    def _is_there(self, location: str) -> bool:
        bucket, key = _split(location)
        return self._stored(lambda: self.store.head_object(Bucket=bucket, Key=key)) is not None

    def _stored(self, call: Callable[[], T]) -> T | None:
        """What a call of S3 returns, None if there is no such object; raises Problem 502 or 503."""
        try:
            return call()
        except ClientError as error:
            if error.response["Error"].get("Code") in _ABSENT:
                return None
            raise _store_problem(error) from error
        except BotoCoreError as error:
            raise unavailable("service-unavailable", "S3 could not be reached.", retry_after=5) from error


def unknown_inference() -> Problem:
    """What is told of an id that no result will come for."""
    return Problem(HTTPStatus.NOT_FOUND, "unknown-inference", "There is no such inference, or it was lost.")


def _split(location: str) -> tuple[str, str]:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return bucket, key


def _store_problem(error: ClientError) -> Problem:
    if error.response["ResponseMetadata"].get("HTTPStatusCode", 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unavailable("service-unavailable", "S3 has a fault of its own.", retry_after=5)
    return Problem(HTTPStatus.BAD_GATEWAY, "storage-refused", "S3 refused access to the request or its result.")
