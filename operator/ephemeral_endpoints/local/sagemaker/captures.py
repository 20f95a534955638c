"""Data capture: requests and answers of an endpoint, on their way to S3 as files of JSON lines.

Source: "Capture data from real-time endpoint" in the SageMaker developer guide, and `DataCaptureConfig` in the API
reference. Files lie at DESTINATION/ENDPOINT/VARIANT/yyyy/mm/dd/hh/, named by minute, second, millisecond and a UUID.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import uuid4

from ephemeral_endpoints.local.sagemaker import s3
from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.calls import CUSTOM_ATTRIBUTES, INFERENCE_ID, Answer

_DEFAULT_TYPE = "application/octet-stream"
_BOTH = "InputAndOutput"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as the container got it, with its answer."""

    time: datetime
    headers: Mapping[str, str]
    body: bytes
    answer: Answer


@dataclass(frozen=True, slots=True)
class Capture:
    """An exchange to be kept: where, and how by `DataCaptureConfig`."""

    endpoint_name: str
    variant_name: str
    config: Mapping[str, Any]
    exchange: Exchange

    @property
    def folder(self) -> str:
        """The URI of the folder that it goes to."""
        base = str(self.config["DestinationS3Uri"]).rstrip("/")
        return f"{base}/{self.endpoint_name}/{self.variant_name}/{self.exchange.time:%Y/%m/%d/%H}"


def is_captured(config: Mapping[str, Any], number: int) -> bool:
    """Whether the request of this number, counted from 1, is among the percentage to capture; exact over time."""
    percent = int(config["InitialSamplingPercentage"]) if config.get("EnableCapture", True) else 0
    return number * percent // 100 > (number - 1) * percent // 100


@dataclass(slots=True)
class CaptureDelivery:
    """Writes captures to S3, one file for each folder."""

    aws: Aws

    async def __call__(self, captures: list[Capture]) -> None:
        """Write captures, which may be of several endpoints; raises botocore's errors."""
        for folder, group in groupby(sorted(captures, key=_place), key=_place):
            of_folder = list(group)
            first = of_folder[0]
            began = first.exchange.time
            name = f"{began:%M-%S}-{began.microsecond // 1000:03}-{uuid4()}.jsonl"
            body = "".join(f"{line(capture)}\n" for capture in of_folder).encode()
            content = s3.Content(body, "application/jsonl", first.config.get("KmsKeyId"))
            await s3.put(self.aws, f"{folder}/{name}", content)


def line(capture: Capture) -> str:
    """The JSON of one captured exchange; pure but for the event's identity."""
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
    """Data and encoding as `CaptureContentTypeHeader` has it: text for the types that it names, else base 64; pure."""
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


def _place(capture: Capture) -> str:
    return capture.folder
