"""Captured requests: one stream for a class, made with the first object that captures and gone with the last."""

from typing import Any

import pytest
from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError

POLICY = {
    "s3Uri": "s3://captures/records",
    "deliveryRoleArn": f"arn:aws:iam::{ministack.ACCOUNT}:role/any",
    "redact": ["/email"],
}
TRIES = 20
DENIED = FaultError(code="AccessDeniedException", message="not authorized", status=400)


def streams(aws: Aws) -> list[str]:
    names: list[str] = aws.client("firehose").list_delivery_streams(Limit=100)["DeliveryStreamNames"]
    return names


def alarms(aws: Aws) -> list[str]:
    found = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    return sorted(each["AlarmName"].rpartition(":")[2] for each in found if "-capture-" in each["AlarmName"])


def reason(env: Environment, key: Any, type_: str) -> str | None:  # noqa: ANN401 - a key
    return env.condition(key, type_).get("reason")


async def settle(env: Environment, aws: Aws, count: int) -> None:
    await env.until(lambda: len(streams(aws)) == count, f"{count} streams")
    await env.snapshot()


async def test_the_stream_comes_with_the_first_object_and_goes_with_the_last(env: Environment, fresh_aws: Aws) -> None:
    kind = env.make_class(capture=POLICY)
    first = env.make("first", monitoring={"alarms": {"enabled": False}})
    await env.ready(first)
    assert streams(fresh_aws) == []
    env.api.change(first, {"spec": {"capture": {"samplingPercent": 10}}})
    second = env.make("second", capture={}, monitoring={"alarms": {"enabled": False}})
    await env.ready(second)
    await settle(env, fresh_aws, 1)
    await env.until(lambda: reason(env, second, "Captured") == "Capturing", "captured")
    await env.until(lambda: reason(env, kind, "CaptureDelivered") == "RecordsDelivered", "told by the class")
    assert alarms(fresh_aws) == ["lost", "stale"]
    [name] = streams(fresh_aws)
    tags = fresh_aws.client("firehose").list_tags_for_delivery_stream(DeliveryStreamName=name)["Tags"]
    assert {"Key": "ephemeral-endpoints.io/name", "Value": "default"} in tags
    env.api.change(first, {"spec": {"capture": None}})
    await env.refresh(kind)
    assert streams(fresh_aws) == [name]
    env.api.change(second, {"spec": {"capture": None}})
    await env.until(lambda: streams(fresh_aws) == [], "no stream")
    await env.until(lambda: alarms(fresh_aws) == [], "no alarms")


async def test_an_object_serves_and_says_so_where_firehose_is_denied(env: Environment, fresh_aws: Aws) -> None:
    fresh_aws.control.add_faults(Fault(service="firehose", operation="CreateDeliveryStream", error=DENIED))
    kind = env.make_class(capture=POLICY)
    key = env.make(capture={})
    await env.ready(key)
    await env.until(lambda: reason(env, kind, "CaptureDelivered") == "StreamFailed", "told by the class")
    assert reason(env, kind, "Ready") == "Connected", "nothing else waits for it"
    assert env.condition(key, "Captured")["status"] == "False"


async def test_an_object_serves_and_says_so_where_its_class_captures_nothing(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(capture={})
    await env.ready(key)
    assert reason(env, key, "Captured") == "NoCaptureDestination"
    assert streams(fresh_aws) == []


@pytest.mark.parametrize("policy", [{"deliveryStream": "theirs"}, {"kinesisStream": "theirs"}], ids=str)
async def test_a_stream_that_the_class_names_is_left_alone(
    env: Environment, fresh_aws: Aws, policy: dict[str, str]
) -> None:
    env.make_class(capture=policy)
    key = env.make(capture={}, monitoring={"alarms": {"enabled": False}})
    await env.ready(key)
    await env.until(lambda: alarms(fresh_aws) == ["lost"], "an alarm on what is lost")
    assert reason(env, key, "Captured") == "Capturing"
    assert streams(fresh_aws) == []


async def test_a_bucket_that_takes_nothing_is_told_by_the_class(env: Environment, fresh_aws: Aws) -> None:
    kind = env.make_class(capture=POLICY)
    key = env.make(capture={})
    await env.ready(key)
    await settle(env, fresh_aws, 1)
    await env.until(lambda: reason(env, kind, "CaptureDelivered") == "RecordsDelivered", "at first it does")
    [name] = streams(fresh_aws)
    for alarm, told in (("lost", "RecordsLost"), ("stale", "DeliveryFailing")):
        change = {"AlarmName": f"{name}:{alarm}", "StateValue": "ALARM", "StateReason": "a test"}
        for _ in range(TRIES):
            # The embedded CloudWatch, which knows of nothing that would set it off, ends it within seconds.
            fresh_aws.client("cloudwatch").set_alarm_state(**change)
            await env.snapshot()
            await env.refresh(kind)
            if reason(env, kind, "CaptureDelivered") == told:
                break
        assert reason(env, kind, "CaptureDelivered") == told


async def test_at_rest_a_stream_costs_a_list_and_a_description(env: Environment, fresh_aws: Aws) -> None:
    env.make_class(capture=POLICY)
    key = env.make(capture={})
    await env.ready(key)
    await settle(env, fresh_aws, 1)
    await env.until(lambda: reason(env, key, "Captured") == "Capturing", "captured")
    await env.rest()
    writes = env.api.writes
    fresh_aws.control.reset_meter()
    await env.snapshot()
    await env.refresh(key)
    assert fresh_aws.control.calls().get("firehose") == {"DescribeDeliveryStream": 1, "ListDeliveryStreams": 1}
    assert env.api.writes == writes
