import json
import logging
import platform
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.test_utils import TestClient, TestServer

from ephemeral_endpoints import __version__
from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.api.v1alpha1.feedback import VariantVotes
from ephemeral_endpoints.engine.clocks import Source
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.telemetry.logs import JsonFormatter, configure_logging
from ephemeral_endpoints.telemetry.metrics import Metrics
from ephemeral_endpoints.telemetry.server import http_app
from ephemeral_endpoints.telemetry.summary import Summary

Client = TestClient[web.Request, web.Application]


class Watch:
    is_up = False


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def client(metrics: Metrics, watch: Watch) -> AsyncIterator[Client]:
    async with TestClient(TestServer(http_app(metrics, lambda: watch.is_up))) as each:
        yield each


async def read(client: Client, path: str) -> tuple[int, str]:
    async with client.get(path) as answer:
        return answer.status, await answer.text()


async def test_the_process_is_healthy_while_it_answers(client: Client) -> None:
    assert await read(client, "/healthz") == (200, "ok")


async def test_the_operator_is_ready_once_it_watches(client: Client, watch: Watch) -> None:
    status, text = await read(client, "/readyz")
    assert (status, "watch" in text) == (503, True)
    watch.is_up = True
    assert await read(client, "/readyz") == (200, "ok")


async def test_metrics_count_calls_and_objects(client: Client, metrics: Metrics) -> None:
    there = 3
    metrics.count_objects(lambda kind: there if kind is ENDPOINT else 1, lambda: 2)
    for seconds in (0.02, 40.0):
        metrics.aws_call("sagemaker", "CreateModel", "ok", seconds)
    metrics.aws_call("sagemaker", "CreateModel", "Throttled", 0.02)
    metrics.reconciled("EphemeralEndpoint", "done", 0.2)
    _, text = await read(client, "/metrics")
    lines = text.splitlines()
    assert [
        line
        for line in (
            'eep_aws_calls_total{operation="CreateModel",outcome="ok",service="sagemaker"} 2.0',
            'eep_aws_calls_total{operation="CreateModel",outcome="Throttled",service="sagemaker"} 1.0',
            'eep_aws_call_duration_seconds_bucket{le="0.025",service="sagemaker"} 2.0',
            'eep_aws_call_duration_seconds_bucket{le="+Inf",service="sagemaker"} 3.0',
            'eep_reconciliations_total{kind="EphemeralEndpoint",outcome="done"} 1.0',
            'eep_objects{kind="EphemeralEndpoint"} 3.0',
            'eep_objects{kind="EphemeralEndpointClass"} 1.0',
            "eep_endpoints_ready 2.0",
        )
        if line not in lines
    ] == []
    there = 4
    _, text = await read(client, "/metrics")
    assert 'eep_objects{kind="EphemeralEndpoint"} 4.0' in text.splitlines()


async def test_metrics_say_in_which_format_they_are(client: Client) -> None:
    async with client.get("/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")


def test_each_operator_counts_for_itself() -> None:
    one, two = Metrics(), Metrics()
    one.reconciled("EphemeralEndpoint", "done", 0.2)
    labels = {"kind": "EphemeralEndpoint", "outcome": "done"}
    assert one.registry.get_sample_value("eep_reconciliations_total", labels) == 1.0
    assert two.registry.get_sample_value("eep_reconciliations_total", labels) is None


def line_of(message: str = "hello", *arguments: object, **extra: Any) -> dict[str, Any]:  # noqa: ANN401 - members of many types
    record = logging.getLogger("eep.test").makeRecord(
        "eep.test", logging.WARNING, "here.py", 1, message, arguments, extra.pop("exc_info", None), extra=extra
    )
    record.created = 1793534400.25
    text = JsonFormatter().format(record)
    assert "\n" not in text
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_a_log_line_is_one_json_object() -> None:
    assert line_of("%s is %d", "it", 2) == {
        "time": "2026-11-01T12:00:00.250+00:00",
        "level": "WARNING",
        "logger": "eep.test",
        "message": "it is 2",
    }


def test_plain_extras_are_members_and_others_are_left_out() -> None:
    found = line_of(uid="u-1", count=2, ratio=0.5, done=True, secret=object(), many=["a"])
    assert {key: found[key] for key in ("uid", "count", "ratio", "done")} == {
        "uid": "u-1",
        "count": 2,
        "ratio": 0.5,
        "done": True,
    }
    assert not {"secret", "many", "args", "taskName", "pathname"} & found.keys()


def test_what_a_message_contains_cannot_begin_another_line() -> None:
    hostile = 'a"}\n{"level": "INFO", "message": "forged'
    found = line_of("%s", hostile, branch=hostile)
    assert found["message"] == found["branch"] == hostile
    assert found["level"] == "WARNING"


def test_an_exception_is_logged_with_its_traceback() -> None:
    try:
        json.loads("broken")
    except ValueError:
        found = line_of(exc_info=sys.exc_info())
    assert "JSONDecodeError: Expecting value" in found["exception"]
    assert "Traceback" in found["exception"]


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root, noisy = logging.getLogger(), ("aiohttp.access", "kopf", "botocore", "kubernetes", "urllib3")
    handlers, level, levels = root.handlers[:], root.level, [logging.getLogger(name).level for name in noisy]
    root.handlers = []
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name, each in zip(noisy, levels, strict=True):
        logging.getLogger(name).setLevel(each)


@pytest.mark.usefixtures("_logging_as_before")
def test_logs_go_to_standard_error_from_the_level_on_and_libraries_are_quiet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO")
    logging.getLogger("eep.test").debug("too fine")
    logging.getLogger("eep.test").info("reported", extra={"uid": "u-1"})
    logging.getLogger("botocore").info("chatter")
    logging.getLogger("aiohttp.server").error("a stranger's", exc_info=BadHttpMessage("no request of HTTP"))
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert output.out == ""
    assert (json.loads(line)["message"], json.loads(line)["uid"]) == ("reported", "u-1")


async def test_metrics_show_whether_this_replica_leads(client: Client, metrics: Metrics) -> None:
    assert 'eep_leader{shard="0"} 1.0' in (await read(client, "/metrics"))[1], "who is alone leads"
    metrics.leads(lambda: False)
    assert 'eep_leader{shard="0"} 0.0' in (await read(client, "/metrics"))[1]


def test_metrics_show_the_shard_and_the_number_of_shards() -> None:
    registry = Metrics(Shard(2, 4)).registry
    assert registry.get_sample_value("eep_leader", {"shard": "2"}) == 1.0
    assert registry.get_sample_value("eep_shards") == 4.0


async def test_metrics_sum_up_the_current_statuses_of_objects(client: Client, metrics: Metrics) -> None:
    taken = [Summary()]
    metrics.watch_summary(lambda: taken[-1])
    ready, budgets = {"default": True, "other": False}, {("default", "namespace"): (4.5, 100.0)}
    taken.append(Summary({"Stuck": 2}, 90.0, {"default": 1.5}, {"default": 7.25}, ready, budgets))
    lines = (await read(client, "/metrics"))[1].splitlines()
    assert {
        'eep_endpoints_not_ready{reason="Stuck"} 2.0',
        "eep_terminating_seconds 90.0",
        'eep_hourly_cost_usd{class="default"} 1.5',
        'eep_accrued_cost_usd{class="default"} 7.25',
        'eep_budget_spent_usd{class="default",scope="namespace"} 4.5',
        'eep_budget_limit_usd{class="default",scope="namespace"} 100.0',
        'eep_class_ready{class="default"} 1.0',
        'eep_class_ready{class="other"} 0.0',
    } <= set(lines)


async def test_the_age_of_what_is_known_of_each_account_is_read_when_it_is_scraped(
    client: Client, metrics: Metrics
) -> None:
    ages = {("123456789012", "us-east-1", ""): 7.5}
    metrics.watch_ages(lambda: ages)
    ages["210987654321", "eu-central-1", "arn:aws:iam::210987654321:role/eep"] = 900.0
    _, text = await read(client, "/metrics")
    lines = [line for line in text.splitlines() if line.startswith("eep_inventory_age_seconds{")]
    role = "arn:aws:iam::210987654321:role/eep"
    assert lines == [
        'eep_inventory_age_seconds{account="123456789012",region="us-east-1",role=""} 7.5',
        f'eep_inventory_age_seconds{{account="210987654321",region="eu-central-1",role="{role}"}} 900.0',
    ]


async def test_the_differences_of_clocks_and_held_objects_are_read_when_they_are_scraped(
    client: Client, metrics: Metrics
) -> None:
    metrics.watch_clocks(lambda: {Source.AWS: timedelta(days=-15)}, lambda: {"clock": 3, "share": 0})
    _, text = await read(client, "/metrics")
    assert [line for line in text.splitlines() if line.startswith(("eep_clock_skew", "eep_expiry"))] == [
        'eep_clock_skew_seconds{source="AWS"} -1296000.0',
        'eep_expiry_held{reason="clock"} 3.0',
        'eep_expiry_held{reason="share"} 0.0',
    ]


async def test_metrics_show_the_build_and_the_process_and_no_series_about_series(
    client: Client, metrics: Metrics
) -> None:
    metrics.aws_call("logs", "CreateLogGroup", "ok", 0.1)
    _, text = await read(client, "/metrics")
    python = ".".join(map(str, sys.version_info[:3]))
    assert (
        f'eep_build_info{{architecture="{platform.machine()}",python="{python}",version="{__version__}"}} 1.0' in text
    )
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"} <= {
        line.partition(" ")[0] for line in text.splitlines()
    }
    assert "_created" not in text


async def test_metrics_show_the_work_queue_and_what_it_cost(client: Client, metrics: Metrics) -> None:
    metrics.watch_queue(lambda: 3, lambda: 2, lambda: 7.5)
    metrics.waited("EphemeralEndpoint", 0.3)
    metrics.reconciled("EphemeralEndpoint", "done", 3.0)
    lines = set((await read(client, "/metrics"))[1].splitlines())
    kind = 'kind="EphemeralEndpoint"'
    assert {
        "eep_queue_depth 3.0",
        "eep_queue_running 2.0",
        "eep_queue_longest_running_seconds 7.5",
        f'eep_queue_wait_seconds_bucket{{{kind},le="0.25"}} 0.0',
        f'eep_queue_wait_seconds_bucket{{{kind},le="0.5"}} 1.0',
        f"eep_reconciliation_duration_seconds_sum{{{kind}}} 3.0",
    } <= lines


async def test_objects_have_a_metric_each_on_request_only(client: Client, metrics: Metrics) -> None:
    assert "eep_endpoint_ready" not in (await read(client, "/metrics"))[1]
    voted = VariantVotes(variant="main", up=2, down=1)
    metrics.watch_objects(lambda: [("nlp", "pr-1", True), ("nlp", "pr-2", False)], lambda: [("nlp", "pr-1", voted)])
    lines = set((await read(client, "/metrics"))[1].splitlines())
    assert {
        'eep_endpoint_ready{name="pr-1",namespace="nlp"} 1.0',
        'eep_endpoint_ready{name="pr-2",namespace="nlp"} 0.0',
        'eep_feedback_votes{name="pr-1",namespace="nlp",variant="main",vote="up"} 2.0',
        'eep_feedback_votes{name="pr-1",namespace="nlp",variant="main",vote="down"} 1.0',
    } <= lines
