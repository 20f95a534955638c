"""Delivery of log lines to CloudWatch Logs.

A log group that does not exist is created when lines arrive, so a deleted group comes back with late lines, as on AWS.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter

from botocore.exceptions import ClientError

from eep_platform.emulation.aws import Aws

_MOST_EVENTS = 10_000
_MOST_BYTES = 1_048_576
_EVENT_OVERHEAD = 26
_MOST_MESSAGE_BYTES = 262_144 - _EVENT_OVERHEAD


@dataclass(frozen=True, slots=True)
class LogLine:
    """A log line; `timestamp` is in milliseconds since the epoch."""

    group: str
    stream: str
    timestamp: int
    message: str


async def deliver_lines(aws: Aws, lines: list[LogLine]) -> None:
    """Send lines of any groups and streams to CloudWatch Logs; raises botocore's errors."""
    by_stream = attrgetter("group", "stream")
    for (group, stream), of_stream in groupby(sorted(lines, key=by_stream), key=by_stream):
        for batch in batches(sorted(of_stream, key=attrgetter("timestamp"))):
            await _put(aws, group, stream, batch)


async def _put(aws: Aws, group: str, stream: str, batch: list[dict[str, int | str]]) -> None:
    target = {"logGroupName": group, "logStreamName": stream}
    put = partial(aws.call, "logs", "put_log_events", **target, logEvents=batch)
    try:
        await put()
    except aws.error("logs", "ResourceNotFoundException"):
        await _ensure(aws, "create_log_group", logGroupName=group)
        await _ensure(aws, "create_log_stream", **target)
        await put()


async def _ensure(aws: Aws, operation: str, **names: str) -> None:
    try:
        await aws.call("logs", operation, **names)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise


def batches(lines: list[LogLine]) -> Iterator[list[dict[str, int | str]]]:
    """The events of a stream in batches that PutLogEvents accepts; lines without text are left out."""
    batch: list[dict[str, int | str]] = []
    size = 0
    for line in lines:
        message = line.message.encode()[:_MOST_MESSAGE_BYTES].decode(errors="ignore")
        if not message:
            continue
        cost = len(message.encode()) + _EVENT_OVERHEAD
        if batch and (len(batch) == _MOST_EVENTS or size + cost > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append({"timestamp": line.timestamp, "message": message})
        size += cost
    if batch:
        yield batch
