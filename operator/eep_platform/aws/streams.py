"""Puts the strict Firehose in place of ministack's, and has metrics made of logs and extracted from them."""

import asyncio
import base64
import functools
import json
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from ministack import app
from ministack.core import iam_evaluator, responses
from ministack.core.responses import request_scope
from ministack.services import cloudwatch, cloudwatch_logs, firehose, lambda_svc, s3

from eep_platform.aws import ministack
from eep_platform.aws.firehose import Firehose, Location, embedded_metrics, showing_extension

_POLL_SECONDS = 0.2


def _place(destination: dict[str, Any], data: bytes) -> tuple[Location, bytes]:
    """Where a record goes, and what is written of it; what has no partition keys goes to the prefix of errors."""
    config = destination["config"]
    bucket, at = config["BucketARN"].rpartition(":")[2], time.gmtime()
    try:
        keys = firehose._metadata_extraction_keys(config, data)  # noqa: SLF001 - no call does it
        return (bucket, firehose._evaluate_prefix(config.get("Prefix", ""), at, keys, None)), data  # noqa: SLF001 - likewise
    except firehose._DeliveryError as error:  # noqa: SLF001 - likewise
        failed = {"errorCode": error.output_type, "errorMessage": error.message}
        line = json.dumps({**failed, "rawData": base64.b64encode(data).decode()}) + "\n"
        prefix = config.get("ErrorOutputPrefix", "")
        return (bucket, firehose._evaluate_prefix(prefix, at, error_type=error.output_type)), line.encode()  # noqa: SLF001 - likewise


def _write(stream: dict[str, Any], destination: dict[str, Any], location: Location, content: bytes) -> bool:
    """Write one file, if the role of the stream may and the bucket is there."""
    config, (bucket, prefix) = destination["config"], location
    at = time.strftime("%Y-%m-%d-%H-%M-%S", time.gmtime())
    name = f"{stream['name']}-{stream['version']}-{at}-{responses.new_uuid()}{config.get('FileExtension', '')}"
    if not _may_put(config["RoleARN"], f"arn:aws:s3:::{bucket}/{prefix}{name}"):
        return False
    headers = {
        "content-type": "application/octet-stream",
        "content-length": str(len(content)),
        "host": "s3.localhost",
    }
    answer = asyncio.run(s3.handle_request("PUT", f"/{bucket}/{prefix}{name}", headers, content, {}, internal=True))
    return bool(answer[0] == HTTPStatus.OK)


def _may_put(role_arn: str, resource: str) -> bool:
    policies = iam_evaluator._gather_role_policies(role_arn.rpartition("/")[2], ministack.ACCOUNT)  # noqa: SLF001 - likewise
    context = iam_evaluator.EvalContext(
        principal_arn=role_arn,
        principal_type="AssumedRole",
        principal_account=ministack.ACCOUNT,
        action="s3:PutObject",
        resource_arn=resource,
        region=ministack.REGION,
        source_ip="127.0.0.1",
        secure_transport=True,
    )
    return bool(iam_evaluator.evaluate(context, policies).decision == "Allow")


def _measure(name: str, age: float) -> None:
    data = {
        "MetricName": "DeliveryToS3.DataFreshness",
        "Dimensions": [{"Name": "DeliveryStreamName", "Value": name}],
        "Value": age,
        "Unit": "Seconds",
    }
    _put_metrics({"Namespace": "AWS/Firehose", "MetricData": [data]})


def _put_metrics(request: dict[str, Any]) -> None:
    cloudwatch._put_metric_data({}, request, is_cbor=False, is_json=True)  # noqa: SLF001 - likewise


def extracting_metrics(emit: Callable[..., None]) -> Callable[..., None]:
    """Write the log of a function, and put the metrics that are embedded in it."""

    def emit_and_extract(function: dict[str, Any], request_id: str, text: str, *rest: Any, **more: Any) -> None:  # noqa: ANN401 - ministack has no types
        emit(function, request_id, text, *rest, **more)
        for each in embedded_metrics(text):
            _put_metrics(each)

    return emit_and_extract


def counting(fan_out: Callable[..., None]) -> Callable[..., None]:
    """Pass the events that are written to a log group on, and count them as CloudWatch Logs does.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html.
    """

    def count_and_fan_out(group: str, stream: str, events: list[dict[str, Any]]) -> None:
        size, dimensions = sum(len(each["message"].encode()) for each in events), {"LogGroupName": group}
        cloudwatch.record_metric("AWS/Logs", "IncomingBytes", size, "Bytes", dimensions)
        cloudwatch.record_metric("AWS/Logs", "IncomingLogEvents", len(events), "None", dimensions)
        fan_out(group, stream, events)

    return count_and_fan_out


def _deliver_regularly(streams: Firehose) -> None:
    while True:
        time.sleep(_POLL_SECONDS)
        with request_scope(ministack.ACCOUNT, ministack.REGION):
            streams.deliver()


def install() -> None:
    """Replace what ministack does; call it before it serves."""
    streams = Firehose(
        firehose._streams,  # noqa: SLF001 - likewise
        _place,
        _write,
        _measure,
        functools.partial(responses.error_response_json, status=HTTPStatus.BAD_REQUEST),
        time.monotonic,
    )
    for operation, handle in list(firehose._HANDLERS.items()):  # noqa: SLF001 - likewise
        firehose._HANDLERS[operation] = streams.over(operation, handle)  # noqa: SLF001 - likewise
    app._reset_all_state = streams.before(app._reset_all_state)  # noqa: SLF001 - likewise
    firehose._deliver_records_to_s3 = streams.take  # noqa: SLF001 - likewise
    firehose._dest_description = showing_extension(firehose._dest_description)  # noqa: SLF001 - likewise
    lambda_svc._emit_lambda_logs = extracting_metrics(lambda_svc._emit_lambda_logs)  # noqa: SLF001 - likewise
    cloudwatch_logs._fanout_to_subscription_filters = counting(cloudwatch_logs._fanout_to_subscription_filters)  # noqa: SLF001 - likewise
    threading.Thread(target=_deliver_regularly, args=(streams,), daemon=True).start()
