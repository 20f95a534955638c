"""Asynchronous invocations: the request, the location of its result, and the notification; pure.

Sources: InvokeEndpointAsync in the SageMaker runtime API reference; "Check prediction results" of asynchronous
inference in the developer guide.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from eep_platform.sagemaker.calls import CUSTOM_ATTRIBUTES, INFERENCE_ID
from eep_platform.sagemaker.errors import validation_error

_TTL_SECONDS = 21_600
_TIMEOUT_SECONDS = 900
_MOST_INCLUDED_BYTES = 128 * 1024
_HEADERS = {"ContentType": "Content-Type", "Accept": "Accept", "CustomAttributes": CUSTOM_ATTRIBUTES}


@dataclass(frozen=True, slots=True)
class Job:
    """A queued request. `source` is its body or the URI of its body; `output` and `failure` are URIs of objects."""

    endpoint_name: str
    inference_id: str
    received: datetime
    headers: Mapping[str, str]
    source: str | bytes
    timeout_seconds: int
    ttl_seconds: int
    output: str
    failure: str | None
    output_config: Mapping[str, Any]

    def has_expired(self, now: datetime) -> bool:
        """Whether it has waited longer than its time to live."""
        return (now - self.received).total_seconds() > self.ttl_seconds


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a job: the container's answer, or the reason why there is none."""

    body: bytes
    content_type: str
    failure_reason: str = ""


def job(endpoint_name: str, request: Mapping[str, Any], output_config: Mapping[str, Any], now: datetime) -> Job:
    """The job for a request.

    Raises:
        ServiceError: `ValidationError` unless the request has either a body or an input location.
    """
    body, place = request["Body"], request.get("InputLocation")
    if bool(body) == bool(place):
        raise validation_error("Body and InputLocation are mutually exclusive. Provide exactly one of them.")
    if place and not place.startswith("s3://"):
        raise validation_error("Write InputLocation as s3://bucket/key: other URLs of S3 are not served here.")
    identity = str(uuid4())
    inference_id = request.get("InferenceId", identity)
    folder = str(output_config["S3OutputPath"]).rstrip("/")
    if "S3OutputPathExtension" in request:
        folder = f"{folder}/{request['S3OutputPathExtension'].strip('/')}"
    failures = output_config.get("S3FailurePath")
    return Job(
        endpoint_name=endpoint_name,
        inference_id=inference_id,
        received=now,
        headers={header: request[member] for member, header in _HEADERS.items() if member in request}
        | {INFERENCE_ID: inference_id},
        source=place or body,
        timeout_seconds=request.get("InvocationTimeoutSeconds", _TIMEOUT_SECONDS),
        ttl_seconds=request.get("RequestTTLSeconds", _TTL_SECONDS),
        output=f"{folder}/{request.get('Filename', f'{identity}.out')}",
        failure=f"{failures.rstrip('/')}/{identity}-error.out" if failures else None,
        output_config=output_config,
    )


def notification(job: Job, result: Result, region: str, now: datetime) -> tuple[str, str] | None:
    """The topic and message that announce a job's end; None if its endpoint has no topic for it."""
    config = job.output_config.get("NotificationConfig", {})
    failed = bool(result.failure_reason)
    topic = config.get("ErrorTopic" if failed else "SuccessTopic")
    if not topic:
        return None
    place = job.failure if failed else job.output
    asked = {
        "contentType": job.headers.get("Content-Type"),
        "accept": job.headers.get("Accept"),
        "customAttributes": job.headers.get(CUSTOM_ATTRIBUTES),
        "endpointName": job.endpoint_name,
        "inputLocation": job.source if isinstance(job.source, str) else None,
    }
    given: dict[str, Any] = {"contentType": result.content_type, "outputLocation": place}
    if ("ERROR" if failed else "SUCCESS") + "_NOTIFICATION_TOPIC" in config.get("IncludeInferenceResponseIn", ()):
        _include(given, result)
    message = {
        "awsRegion": region,
        "eventTime": _instant(now),
        "receivedTime": _instant(job.received),
        "invocationStatus": "Failed" if failed else "Completed",
        "failureReason": result.failure_reason or None,
        "requestParameters": _present(asked),
        "responseParameters": _present(given) if place else None,
        "inferenceId": job.inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    return str(topic), json.dumps(_present(message))


def _include(given: dict[str, Any], result: Result) -> None:
    if len(result.body) <= _MOST_INCLUDED_BYTES:
        given["responseBody"] = {"content": result.body.decode(errors="replace"), "encoding": "UTF-8"}


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _instant(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"
