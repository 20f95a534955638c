"""Data capture: delivers requests and answers of an endpoint to S3 as files of JSON lines.

Source: "Capture data from real-time endpoint" in the SageMaker developer guide, and `DataCaptureConfig` in the API
reference. Files lie at DESTINATION/ENDPOINT/VARIANT/yyyy/mm/dd/hh/, named by minute, second, millisecond and a UUID.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import uuid4

from eep_platform.emulation.aws import Aws
from eep_platform.sagemaker import s3
from eep_platform.sagemaker.calls import CUSTOM_ATTRIBUTES, INFERENCE_ID, Answer

_DEFAULT_TYPE = "application/octet-stream"
_BOTH = "InputAndOutput"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as the container received it, with its answer."""

    time: datetime
    headers: Mapping[str, str]
    body: bytes
    answer: Answer


@dataclass(frozen=True, slots=True)
class Capture:
    """An exchange to store; `config` is `DataCaptureConfig`."""

    endpoint_name: str
    variant_name: str
    config: Mapping[str, Any]
    exchange: Exchange

    @property
    def folder(self) -> str:
        """The URI of the folder for its file."""
        base = str(self.config["DestinationS3Uri"]).rstrip("/")
        return f"{base}/{self.endpoint_name}/{self.variant_name}/{self.exchange.time:%Y/%m/%d/%H}"


def is_captured(config: Mapping[str, Any], number: int) -> bool:
    """Whether to capture the request of this number, counted from 1; meets the percentage exactly over time."""
    percent = int(config["InitialSamplingPercentage"]) if config.get("EnableCapture", True) else 0
    return number * percent // 100 > (number - 1) * percent // 100


async def deliver_captures(aws: Aws, captures: list[Capture]) -> None:
    """Write captures of any endpoints to S3, one file for each folder; raises botocore's errors."""
    by_folder = attrgetter("folder")
    for folder, group in groupby(sorted(captures, key=by_folder), key=by_folder):
        of_folder = list(group)
        first = of_folder[0]
        began = first.exchange.time
        name = f"{began:%M-%S}-{began.microsecond // 1000:03}-{uuid4()}.jsonl"
        body = "".join(f"{line(capture)}\n" for capture in of_folder).encode()
        content = s3.Content(body, "application/jsonl", first.config.get("KmsKeyId"))
        await s3.put(aws, f"{folder}/{name}", content)


def line(capture: Capture) -> str:
    """The JSON of a captured exchange; pure except for the event's ID."""
    exchange, config = capture.exchange, capture.config
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    data: dict[str, Any] = {}
    if modes & {"Input", _BOTH}:
        data["endpointInput"] = _part("INPUT", exchange.headers, exchange.body, config)
    if modes & {"Output", _BOTH}:
        data["endpointOutput"] = _part("OUTPUT", exchange.answer.headers, exchange.answer.body, config)
    metadata: dict[str, Any] = {"eventId": str(uuid4()), "inferenceTime": f"{exchange.time:%Y-%m-%dT%H:%M:%SZ}"}
    if INFERENCE_ID in exchange.headers:
        metadata["inferenceId"] = exchange.headers[INFERENCE_ID]
    if CUSTOM_ATTRIBUTES in exchange.headers:
        metadata["customAttributes"] = [exchange.headers[CUSTOM_ATTRIBUTES]]
    return json.dumps({"captureData": data, "eventMetadata": metadata, "eventVersion": "0"})


def encoded(body: bytes, content_type: str, textual: Mapping[str, list[str]]) -> tuple[str, str]:
    """The data and its encoding: text for the types in `CaptureContentTypeHeader`, otherwise base64; pure."""
    kind = content_type.partition(";")[0].strip().lower()
    for member, encoding in (("CsvContentTypes", "CSV"), ("JsonContentTypes", "JSON")):
        if kind in {listed.lower() for listed in textual.get(member, ())}:
            try:
                return body.decode(), encoding
            except UnicodeDecodeError:
                break
    return base64.b64encode(body).decode(), "BASE64"


def _part(mode: str, headers: Mapping[str, str], body: bytes, config: Mapping[str, Any]) -> dict[str, str]:
    content_type = headers.get("Content-Type", _DEFAULT_TYPE)
    data, encoding = encoded(body, content_type, config.get("CaptureContentTypeHeader", {}))
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}
