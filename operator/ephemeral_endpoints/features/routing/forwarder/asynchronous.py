"""Asynchronous inference: requests that SageMaker queues, and results that it writes to S3.

SageMaker does not report the progress of a request: the result, or a failure in its place, exists or it does not
(SageMaker AI developer guide, "Check prediction results"). If a role may not list the bucket, S3 returns 403 for a
missing object, as for a denied one: the forwarder's role needs ``s3:ListBucket``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.features.routing.forwarder.inference_id import InferenceId
from ephemeral_endpoints.features.routing.forwarder.invocation import (
    Context,
    Request,
    make_client,
    send,
    service_problem,
    unavailable,
)
from ephemeral_endpoints.features.routing.forwarder.messages import MAX_RESPONSE_BYTES, Answer, Problem, too_large
from ephemeral_endpoints.features.routing.forwarder.readiness import MAX_WORDS, expect_refusal, sample_refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    # Stubs exist only for the type checker.
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from types_boto3_sagemaker_runtime.type_defs import InvokeEndpointAsyncInputTypeDef

    from ephemeral_endpoints.features.routing.forwarder.config import AsyncConfig, Sample
    from ephemeral_endpoints.features.routing.forwarder.variants import Target

    T = TypeVar("T")

ENQUEUE_SECONDS = 8
"""Timeout of InvokeEndpointAsync: with two attempts at S3 before it, below API Gateway's timeout."""

PENDING_SECONDS = 21_600 + 3_600
"""How long a result may take: the longest time in the queue plus that on the instance
(SageMaker Runtime API reference, ``RequestTTLSeconds`` and ``InvocationTimeoutSeconds``)."""

RETRY_SECONDS = 2
"""When a caller may request a result again."""

_STORE_READ_SECONDS = 5
_STORE_ATTEMPTS = 2
_SAMPLE_SECONDS = 20
_SAMPLE_INTERVAL_SECONDS = 0.5
# For a read of S3 that began in time, and for the response.
_RESERVE_SECONDS = 4
_ABSENT = frozenset({"NoSuchKey", "404"})
# Of one byte: S3 refuses an empty object with it (Amazon S3 API reference, PutObject, ``Content-MD5``).
_WRONG_MD5 = base64.b64encode(hashlib.md5(b"x", usedforsecurity=False).digest()).decode()


def make_store(region: str) -> S3Client:
    """A client of S3. Creating it takes longer than a request, so it is created once per process."""
    client: S3Client = make_client("s3", region, _STORE_READ_SECONDS, attempts=_STORE_ATTEMPTS)
    return client


@dataclass(frozen=True, slots=True)
class Queue:
    """An endpoint for asynchronous inference with its S3 folders."""

    runtime: SageMakerRuntimeClient
    target: Target
    folders: AsyncConfig
    open_store: Callable[[], S3Client]

    @property
    def store(self) -> S3Client:
        """S3, opened when it is used first: a readiness probe or a document does not wait for it."""
        return self.open_store()

    def submit(self, context: Context, request: Request) -> InferenceId:
        """Queue a request; raises Problem 502 or 503 on failure."""
        name = str(uuid.uuid4())
        location = self.folders.input_s3_uri + name
        bucket, key = _split(location)
        self._stored(lambda: self.store.put_object(Bucket=bucket, Key=key, Body=request.body))
        arguments: InvokeEndpointAsyncInputTypeDef = {
            "InferenceId": name,
            **request.parameters,  # type: ignore[typeddict-item]  # by their names, which ``parameters`` declares
            "EndpointName": self.target.endpoint_name,
            "InputLocation": location,
        }
        return self._enqueue(context, arguments)

    def result(self, inference: InferenceId) -> Answer | None:
        """The model's answer, None while it is pending; raises Problem 404 or 502 if it will never arrive.

        Also raises Problem 502 if it is larger than Lambda can return; it then stays in S3.
        """
        answer = self._answer(inference)
        if answer:
            return answer
        if self._is_there(self._failure(inference)):
            detail = "The model failed on this request; see the log of the model."
            raise Problem(HTTPStatus.BAD_GATEWAY, "model-error", detail)
        if time.time() - inference.submitted > PENDING_SECONDS:
            raise unknown_inference()
        return None

    def pending(self, inference: InferenceId, location: str) -> Answer:
        """The response about a queued request; ``location`` is a reference to its result."""
        body = json.dumps({"inferenceId": str(inference), "status": "Pending"}).encode()
        headers = {"location": location, "retry-after": str(RETRY_SECONDS)}
        return Answer(HTTPStatus.ACCEPTED, "application/json", body, self.target.variant, headers)

    def prove(self, context: Context) -> None:
        """Check that requests can be stored and queued, and results read; raises Problem 502 or 503 if not.

        Nothing is stored or queued: S3 refuses the object for its digest, and SageMaker the request, which has neither
        of ``Body`` and ``InputLocation``, both behind their permission checks.
        """
        name = str(uuid.uuid4())
        self._prove_storage(name)
        for place in (self.folders.output_s3_uri, self.folders.failures):
            self._is_there(place + name)
        runtime, endpoint = self.runtime, self.target.endpoint_name
        expect_refusal(lambda: runtime.invoke_endpoint_async(EndpointName=endpoint), context, ENQUEUE_SECONDS)

    def send_sample(self, context: Context, sample: Sample, *, tell: bool) -> None:
        """Queue the sample and wait for its result for about 20 s; raises Problem 502 or 503 without one.

        With ``tell`` the Problem repeats what SageMaker stored about a failure.
        """
        request = Request(sample.request.encode(), {"ContentType": sample.content_type})
        inference = self.submit(context, request)
        output, failure = self.folders.output_s3_uri + inference.output, self._failure(inference)
        remaining = context.get_remaining_time_in_millis() / 1000 - _RESERVE_SECONDS
        deadline = time.monotonic() + min(_SAMPLE_SECONDS, remaining)
        while not self._is_there(output):
            if self._is_there(failure):
                raise sample_refused(sample, None, self._words(failure) if tell else "")
            if time.monotonic() + _SAMPLE_INTERVAL_SECONDS > deadline:
                raise unavailable("model-not-ready", "The model has not answered the sample yet.", retry_after=5)
            time.sleep(_SAMPLE_INTERVAL_SECONDS)

    def _prove_storage(self, name: str) -> None:
        bucket, key = _split(self.folders.input_s3_uri + name)
        try:
            self.store.put_object(Bucket=bucket, Key=key, Body=b"", ContentMD5=_WRONG_MD5)
        except ClientError as error:
            if error.response["Error"].get("Code") != "BadDigest":
                raise _store_problem(error) from error
        except BotoCoreError as error:
            raise unavailable("service-unavailable", "S3 could not be reached.", retry_after=5) from error

    def _words(self, location: str) -> str:
        bucket, key = _split(location)

        def read() -> str:
            with closing(self.store.get_object(Bucket=bucket, Key=key)["Body"]) as body:
                return body.read(4 * MAX_WORDS).decode(errors="replace")

        return self._stored(read) or ""

    def _enqueue(self, context: Context, arguments: InvokeEndpointAsyncInputTypeDef) -> InferenceId:
        try:
            queued = send(lambda: self.runtime.invoke_endpoint_async(**arguments), context, ENQUEUE_SECONDS)
            output, failure = queued.get("OutputLocation", ""), queued.get("FailureLocation", "")
            return InferenceId.of(self.folders, time.time(), output, failure)
        except ClientError as error:
            raise service_problem(error) from error
        except BotoCoreError as error:
            raise unavailable("service-unavailable", "SageMaker could not be reached.", retry_after=5) from error
        except ValueError as error:
            detail = "SageMaker stores the result in a location that the forwarder cannot read."
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
        """The result of an S3 call, None if the object does not exist; raises Problem 502 or 503."""
        try:
            return call()
        except ClientError as error:
            if error.response["Error"].get("Code") in _ABSENT:
                return None
            raise _store_problem(error) from error
        except BotoCoreError as error:
            raise unavailable("service-unavailable", "S3 could not be reached.", retry_after=5) from error


def unknown_inference() -> Problem:
    """The Problem for an id that will never have a result."""
    return Problem(
        HTTPStatus.NOT_FOUND, "unknown-inference", "The inference does not exist, or its result was deleted."
    )


def _split(location: str) -> tuple[str, str]:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return bucket, key


def _store_problem(error: ClientError) -> Problem:
    if error.response["ResponseMetadata"].get("HTTPStatusCode", 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unavailable("service-unavailable", "S3 failed; try again.", retry_after=5)
    return Problem(HTTPStatus.BAD_GATEWAY, "storage-refused", "S3 denied access to the request or its result.")
