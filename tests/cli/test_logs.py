"""The logs of an endpoint, as an embedded CloudWatch has them."""

import time
from dataclasses import replace

import click
import pytest
from tests.engine.objects import endpoint
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.cli.log_groups import Follower, Group, Line, LogsUnavailable, groups_of, last_lines, new_lines
from ephemeral_endpoints.cli.logs import rendered

REGION, ACCOUNT = ministack.REGION, ministack.ACCOUNT
MODEL, FORWARDER = "/aws/sagemaker/Endpoints/eep-c1", "/aws/lambda/eep-c1"


def group(name: str = MODEL, source: str = "model") -> Group:
    return Group(name, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}", REGION, ACCOUNT, source)


class Log:
    """What writes to a log group."""

    def __init__(self, clients: Clients, name: str, begin_ms: int) -> None:
        self._client = clients.logs
        self._name = name
        self._begin_ms = begin_ms
        self._client.create_log_group(logGroupName=name)
        self._client.create_log_stream(logGroupName=name, logStreamName="s")

    def write(self, *lines: tuple[int, str]) -> None:
        """Lines, each with the milliseconds after the beginning."""
        events = [{"timestamp": self._begin_ms + after, "message": text} for after, text in lines]
        self._client.put_log_events(logGroupName=self._name, logStreamName="s", logEvents=events)  # type: ignore[arg-type]  # as the client takes them


@pytest.mark.usefixtures("fresh_aws")
def test_each_line_of_all_logs_is_read_once_in_its_order(clients: Clients) -> None:
    begin = int(time.time() * 1000) - 60_000
    model, forwarder = Log(clients, MODEL, begin), Log(clients, FORWARDER, begin)
    followers = [Follower(group(), 0), Follower(group(FORWARDER, "forwarder"), 0)]
    model.write((0, "loading\n"), (30, "ready\x1b[2J"))
    forwarder.write((20, "START"))
    assert [(each.source, each.text) for each in new_lines(followers)] == [
        ("model", "loading"),
        ("forwarder", "START"),
        ("model", "ready [2J"),
    ]
    assert new_lines(followers) == []
    model.write((40, "predicted"))
    forwarder.write((30, "END"))
    assert [each.text for each in new_lines(followers)] == ["END", "predicted"]
    assert last_lines(group(), 2) == ["ready [2J", "predicted"]


def test_lines_that_arrive_late_are_read_and_old_ones_forgotten() -> None:
    follower = Follower(group(), 0)
    assert [each.at for each in follower.unknown([("a", 100_000, "a"), ("b", 200_000, "b")])] == [100_000, 200_000]
    assert [each.text for each in follower.unknown([("b", 200_000, "b"), ("c", 190_000, "late")])] == ["late"]
    # What is asked for from now on begins half a minute before the last line: the first one is not returned again.
    assert follower.since_ms == 170_000


@pytest.mark.usefixtures("fresh_aws", "clients")
@pytest.mark.parametrize(
    ("changed", "reported"),
    [
        (
            {"account": "210987654321"},
            f"your AWS credentials are of the account {ACCOUNT}, and the logs are in 210987654321",
        ),
        ({"name": "/aws/lambda/none"}, "does not exist"),
    ],
)
def test_logs_that_cannot_be_read_say_what_is_missing(changed: dict[str, str], reported: str) -> None:
    for read in (lambda it: last_lines(it, 1), lambda it: Follower(it, 0).new()):
        with pytest.raises(LogsUnavailable, match=reported):
            read(replace(group(), **changed))


@pytest.mark.usefixtures("fresh_aws", "clients")
def test_the_missing_rights_are_named(fresh_aws: Aws) -> None:
    error = FaultError(code="AccessDeniedException", message="not you", status=400)
    fresh_aws.control.add_faults(Fault(service="logs", operation="FilterLogEvents", error=error))
    with pytest.raises(
        LogsUnavailable, match=r"logs:FilterLogEvents, logs:DescribeLogStreams and logs:GetLogEvents on arn:"
    ):
        Follower(group(), 0).new()


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        ({"kind": "LogGroup", "name": MODEL, "arn": group().arn}, [group()]),
        ({"kind": "LogGroup", "name": MODEL}, []),
        ({"kind": "Alarm", "name": MODEL, "arn": group().arn}, []),
        ({"kind": "LogGroup", "name": "/payroll", "arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/payroll"}, []),
        ({"kind": "LogGroup", "name": MODEL, "arn": f"arn:aws:logs:evil.example/:{ACCOUNT}:log-group:{MODEL}"}, []),
    ],
)
def test_only_logs_of_endpoints_are_read(resource: dict[str, str], found: list[Group]) -> None:
    assert groups_of(endpoint({"status": {"resources": [resource]}})) == found


def test_a_line_has_its_time_and_source() -> None:
    assert click.unstyle(rendered(Line(1_764_417_600_000, "model", "ready"))) == "2025-11-29T12:00:00Z model     ready"
