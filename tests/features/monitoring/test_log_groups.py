import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from tests.aws.cloud import Cloud

from ephemeral_endpoints.engine.names import endpoint_logs
from ephemeral_endpoints.features.monitoring.log_groups import last_lines
from ephemeral_endpoints.features.monitoring.policy import Attempt


class Logs:
    """The log group of an endpoint."""

    def __init__(self, cloud: Cloud) -> None:
        self._client = cloud.clients.logs
        self.group = endpoint_logs(cloud.names.base)
        self._client.create_log_group(logGroupName=self.group)

    def begin(self, stream: str) -> None:
        self._client.create_log_stream(logGroupName=self.group, logStreamName=stream)

    def begun_at(self, stream: str) -> datetime:
        [found] = self._client.describe_log_streams(logGroupName=self.group, logStreamNamePrefix=stream)["logStreams"]
        return datetime.fromtimestamp(found["creationTime"] / 1000, UTC)

    def say(self, stream: str, lines: Sequence[str]) -> None:
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines]
        self._client.put_log_events(logGroupName=self.group, logStreamName=stream, logEvents=events)  # type: ignore[arg-type]  # as the client takes them


@pytest.fixture
def logs(cloud: Cloud) -> Logs:
    return Logs(cloud)


async def read(cloud: Cloud, logs: Logs, attempt: Attempt) -> tuple[str, ...]:
    return await last_lines(cloud.calls, cloud.clients.logs, logs.group, attempt, count=2)


async def test_the_words_of_the_container_that_served_before_are_not_told(cloud: Cloud, logs: Logs) -> None:
    logs.begin("main/i-old")
    logs.say("main/i-old", ["serving"])
    attempt = Attempt(logs.begun_at("main/i-old") + timedelta(milliseconds=1))
    assert await read(cloud, logs, attempt) == (), "the new one has logged nothing"
    logs.begin("main/i-new")
    logs.say("main/i-new", ["ValueError: no weights", "bye"])
    logs.say("main/i-old", ["still serving"])
    assert await read(cloud, logs, attempt) == ("ValueError: no weights", "bye")


async def test_a_group_that_is_gone_has_no_lines(cloud: Cloud) -> None:
    assert await last_lines(cloud.calls, cloud.clients.logs, "/absent", Attempt(), count=2) == ()
