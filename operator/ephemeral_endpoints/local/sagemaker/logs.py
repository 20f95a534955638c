"""What model servers print, on its way to CloudWatch Logs.

Source: "Log groups and streams that Amazon SageMaker AI sends to CloudWatch Logs" in the SageMaker developer guide. The
group is made when lines arrive and it does not exist, so it comes back when lines arrive after its deletion, as on AWS.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from botocore.exceptions import ClientError

from ephemeral_endpoints.local.sagemaker.aws import Aws

_MOST_EVENTS = 10_000
_MOST_BYTES = 1_048_576
_EVENT_OVERHEAD = 26
_MOST_MESSAGE_BYTES = 262_144 - _EVENT_OVERHEAD


def log_group(endpoint_name: str) -> str:
    """The log group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{endpoint_name}"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; `timestamp` in milliseconds since the epoch."""

    group: str
    stream: str
    timestamp: int
    message: str


@dataclass(slots=True)
class LogDelivery:
    """Sends lines to CloudWatch Logs."""

    aws: Aws

    async def __call__(self, lines: list[LogLine]) -> None:
        """Send lines, which may be of several groups and streams; raises botocore's errors."""
        by_stream = attrgetter("group", "stream")
        for (group, stream), of_stream in groupby(sorted(lines, key=by_stream), key=by_stream):
            for batch in batches(sorted(of_stream, key=attrgetter("timestamp"))):
                await self._put(group, stream, batch)

    async def _put(self, group: str, stream: str, batch: list[dict[str, int | str]]) -> None:
        target = {"logGroupName": group, "logStreamName": stream}
        try:
            await self.aws.call("logs", "put_log_events", **target, logEvents=batch)
        except self._missing():
            await self._ensure("create_log_group", logGroupName=group)
            await self._ensure("create_log_stream", **target)
            await self.aws.call("logs", "put_log_events", **target, logEvents=batch)

    async def _ensure(self, operation: str, **names: str) -> None:
        try:
            await self.aws.call("logs", operation, **names)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise

    def _missing(self) -> type[Exception]:
        return self.aws.error("logs", "ResourceNotFoundException")


def batches(lines: list[LogLine]) -> Iterator[list[dict[str, int | str]]]:
    """The events of a stream in batches that PutLogEvents takes; lines without text are none."""
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
