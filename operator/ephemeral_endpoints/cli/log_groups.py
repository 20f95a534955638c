"""The logs of an endpoint in CloudWatch, read with the AWS credentials of this shell."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.cli.credentials import CONFIG, mismatch
from ephemeral_endpoints.engine.names import ENDPOINT_LOG_PREFIX, LAMBDA_LOG_PREFIX
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_logs.type_defs import FilteredLogEventTypeDef

_SOURCES: Final = {ENDPOINT_LOG_PREFIX: "model", LAMBDA_LOG_PREFIX: "forwarder"}
_ARN: Final = re.compile(r"arn:[a-z-]+:logs:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):log-group:.+")
_LATE_MS: Final = 30_000
"""How much later than others an event may arrive."""


class LogsUnavailable(Exception):  # noqa: N818 - what it is about
    """The logs cannot be read; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Group:
    """A log group; ``source`` says what writes to it."""

    name: str
    arn: str
    region: str
    account: str
    source: str


@dataclass(frozen=True, slots=True)
class Line:
    """An event of a log. ``at`` is in milliseconds since 1970."""

    at: int
    source: str
    text: str


def groups_of(endpoint: EphemeralEndpoint) -> list[Group]:
    """The log groups that an object's status names, with the region and account of the class. Pure."""
    found = []
    for each in endpoint.status.resources:
        parts = _ARN.fullmatch(each.arn or "") if each.kind == LOG_GROUP.name else None
        source = next((source for prefix, source in _SOURCES.items() if each.name.startswith(prefix)), None)
        if parts and source and each.arn:
            found.append(Group(each.name, each.arn, parts["region"], parts["account"], source))
    return found


def last_lines(group: Group, count: int) -> list[str]:
    """The last lines of the newest log stream, the oldest first. Blocks; raises LogsUnavailable."""
    try:
        client = _client(group.region, group.account)
        streams = client.describe_log_streams(
            logGroupName=group.name, orderBy="LastEventTime", descending=True, limit=1
        )["logStreams"]
        if not streams:
            return []
        answer = client.get_log_events(
            logGroupName=group.name, logStreamName=streams[0]["logStreamName"], limit=count, startFromHead=False
        )
    except (BotoCoreError, ClientError) as error:
        raise _unavailable(error, group) from error
    return [_printable(each["message"]) for each in answer["events"]]


class Follower:
    """Reads a log group again and again, and returns each event once."""

    def __init__(self, group: Group, since_ms: int) -> None:
        self._group = group
        self.since_ms = since_ms
        self._known: dict[str, int] = {}

    def new(self) -> list[Line]:
        """The events that were not returned yet. Blocks; raises LogsUnavailable."""
        try:
            client = _client(self._group.region, self._group.account)
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=self._group.name, startTime=self.since_ms
            )
            found = [event for page in pages for event in page["events"]]
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error, self._group) from error
        return self.unknown((_identity(each), each["timestamp"], each["message"]) for each in found)

    def unknown(self, events: Iterable[tuple[str, int, str]]) -> list[Line]:
        """Those of the events, by id, time and message, that were not known; they are from now on. Pure beside that."""
        new = [each for each in events if each[0] not in self._known]
        self._known |= {identity: at for identity, at, _ in new}
        if self._known:
            self.since_ms = max(self.since_ms, max(self._known.values()) - _LATE_MS)
            self._known = {identity: at for identity, at in self._known.items() if at >= self.since_ms}
        return [Line(at, self._group.source, _printable(text)) for _, at, text in new]


def _identity(event: "FilteredLogEventTypeDef") -> str:
    """What tells an event from others; AWS promises no eventId."""
    return event.get("eventId") or f"{event.get('logStreamName')} {event['timestamp']} {event['message']}"


def new_lines(followers: Sequence[Follower]) -> list[Line]:
    """What was written since the last time, in its order. Blocks; raises LogsUnavailable."""
    return sorted(chain.from_iterable(each.new() for each in followers), key=lambda line: line.at)


@cache
def _client(region: str, account: str) -> "CloudWatchLogsClient":
    session = boto3.Session(region_name=region)
    if wrong := mismatch(session, account, "the logs are"):
        raise LogsUnavailable(wrong)
    return session.client("logs", config=CONFIG)


def _unavailable(error: Exception, group: Group) -> LogsUnavailable:
    if isinstance(error, ClientError) and "AccessDenied" in error.response["Error"]["Code"]:
        return LogsUnavailable(
            f"{error.response['Error'].get('Message', 'AWS refuses access')}. Ask whoever administers the account for "
            f"logs:FilterLogEvents, logs:DescribeLogStreams and logs:GetLogEvents on {group.arn}:*"
        )
    return LogsUnavailable(
        f"{error}. They are read with the AWS credentials of this shell: log in, for example with `aws sso login`, or "
        "set AWS_PROFILE"
    )


def _printable(text: str) -> str:
    kept = (each if each.isprintable() or each == "\t" else " " for each in text.rstrip())
    return "".join(kept)
