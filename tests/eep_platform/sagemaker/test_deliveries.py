"""What the side channels make of items, and that they never hold up who hands one in."""

import asyncio
import json
from datetime import UTC, datetime

from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.emulation.logs import LogLine, batches
from eep_platform.emulation.outbox import Outbox
from eep_platform.sagemaker.endpoints import creating, deployment
from eep_platform.sagemaker.events import state_change
from eep_platform.sagemaker.metrics import Invocation, metric_data

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_what_cannot_be_delivered_is_counted_and_dropped() -> None:
    delivered: list[list[int]] = []
    down = True

    async def deliver(batch: list[int]) -> None:
        if down:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
        delivered.append(batch)

    outbox = Outbox("test", deliver)
    outbox.put(1)
    await outbox.flush()
    down = False
    outbox.put(2)
    outbox.put(3)
    await outbox.flush()
    await outbox.flush()
    assert delivered == [[2, 3]]
    assert (outbox.delivered.sent, outbox.delivered.lost) == (2, 1)
    assert "127.0.0.1:1" in outbox.delivered.last_error


async def test_a_flush_waits_for_a_delivery_that_is_under_way() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    delivered: list[int] = []

    async def deliver(batch: list[int]) -> None:
        begun.set()
        await may_end.wait()
        delivered.extend(batch)

    outbox = Outbox("test", deliver)
    outbox.put(1)
    regular = asyncio.create_task(outbox.flush())
    await begun.wait()
    asked_for = asyncio.create_task(outbox.flush())
    await asyncio.sleep(0)
    assert not asked_for.done()
    may_end.set()
    await asked_for
    assert delivered == [1]
    await regular


@given(st.lists(st.text(max_size=20) | st.just("ä" * 200_000), max_size=12))
def test_log_batches_hold_every_line_within_the_limits_of_put_log_events(texts: list[str]) -> None:
    made = list(batches([LogLine("g", "s", number, text) for number, text in enumerate(texts)]))
    events = [event for batch in made for event in batch]
    assert [event["timestamp"] for event in events] == [number for number, text in enumerate(texts) if text]
    for batch in made:
        sizes = [len(str(event["message"]).encode()) + 26 for event in batch]
        assert 0 < sum(sizes) <= 1_048_576
        assert max(sizes) <= 262_144


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=400))
def test_metric_data_keep_every_latency(latencies: list[int]) -> None:
    data = list(metric_data([Invocation("e", "v", 200, latency, 5) for latency in latencies]))
    latency_data = [datum for datum in data if datum["MetricName"] == "ModelLatency"]
    assert all(len(datum["Values"]) <= 150 for datum in data)
    pairs = [pair for datum in latency_data for pair in zip(datum["Values"], datum["Counts"], strict=True)]
    assert sorted(value for value, count in pairs for _ in range(int(count))) == sorted(latencies)
    [invocations] = [datum for datum in data if datum["MetricName"] == "Invocations"]
    assert (invocations["Values"], invocations["Counts"], invocations["Unit"]) == ([1.0], [len(latencies)], "Count")


def test_metrics_on_instances_distinguish_the_old_fleet_from_the_new_one() -> None:
    pairs = [("old", 500), ("new", 200), ("new", 200)]
    invocations = [Invocation("e", "v", status, 1, 1, instances=2, config_name=config) for config, status in pairs]
    errors = {
        tuple(dimension["Value"] for dimension in datum["Dimensions"]): dict(
            zip(datum["Values"], datum["Counts"], strict=True)
        )
        for datum in metric_data(invocations)
        if datum["MetricName"] == "Invocation5XXErrors"
    }
    assert errors == {("e", "v"): {1.0: 1, 0.0: 2}, ("e", "v", "old"): {1.0: 1}, ("e", "v", "new"): {0.0: 2}}


def test_metrics_per_instance_are_divided_by_the_instances() -> None:
    data = metric_data([Invocation("e", "v", 200, 1, 1, instances=4)])
    assert [datum["Values"] for datum in data if datum["MetricName"] == "InvocationsPerInstance"] == [[0.25]] * 2


def test_asynchronous_endpoints_have_no_metrics_of_requests_that_wait() -> None:
    names = {datum["MetricName"] for datum in metric_data([Invocation("e", "v", 200, 1, 1, instances=1, queued=True)])}
    assert names == {"Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors", "ModelLatency"}


def test_the_event_of_a_state_has_the_documented_detail() -> None:
    config = {"ProductionVariants": [{"VariantName": "V", "ModelName": "m", "InitialInstanceCount": 1}]}
    endpoint = creating("E", "arn", deployment("c", config, NOW), {}).failed("why", NOW)
    entry = state_change(endpoint, {"k": "v"})
    assert (entry["Source"], entry["DetailType"]) == ("aws.sagemaker", "SageMaker Endpoint State Change")
    assert json.loads(entry["Detail"]) == {
        "EndpointName": "E",
        "EndpointArn": "arn",
        "EndpointConfigName": "c",
        "ProductionVariants": [{"VariantName": "V", "DesiredWeight": 1.0, "DesiredInstanceCount": 1.0}],
        "EndpointStatus": "FAILED",
        "CreationTime": 1767225600000.0,
        "LastModifiedTime": 1767225600000.0,
        "Tags": {"k": "v"},
        "FailureReason": "why",
    }
