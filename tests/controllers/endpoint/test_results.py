"""Published results: one alarm for a class, made with the first object that publishes and gone with the last."""

from tests.controllers.endpoint.test_capture import TRIES, alarms, reason
from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack

TOPIC = f"arn:aws:sns:{ministack.REGION}:{ministack.ACCOUNT}:results"


async def test_the_alarm_comes_with_the_first_object_and_goes_with_the_last(env: Environment, fresh_aws: Aws) -> None:
    kind = env.make_class(results={"topicArn": TOPIC})
    key = env.make(monitoring={"alarms": {"enabled": False}})
    await env.ready(key)
    await env.until(lambda: reason(env, kind, "ResultsDelivered") == "NothingPublished", "told by the class")
    assert alarms(fresh_aws) == []
    env.api.change(key, {"spec": {"results": {}}})
    await env.until(lambda: alarms(fresh_aws) == ["results"], "an alarm")
    await env.until(lambda: reason(env, kind, "ResultsDelivered") == "ResultsPublished", "told by the class")
    await env.ready(key)
    fresh_aws.control.reset_meter()
    await env.refresh(key)
    assert "PutMetricAlarm" not in fresh_aws.control.calls().get("cloudwatch", {}), "it is made once"
    env.api.change(key, {"spec": {"results": None}})
    await env.until(lambda: alarms(fresh_aws) == [], "no alarm")


async def test_lost_results_are_told_by_the_class(env: Environment, fresh_aws: Aws) -> None:
    kind = env.make_class(results={"topicArn": TOPIC})
    key = env.make(results={}, monitoring={"alarms": {"enabled": False}})
    await env.ready(key)
    await env.until(lambda: alarms(fresh_aws) == ["results"], "an alarm")
    [alarm] = fresh_aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    for _ in range(TRIES):
        # The embedded CloudWatch, which knows of nothing that would set it off, ends it within seconds.
        fresh_aws.client("cloudwatch").set_alarm_state(
            AlarmName=alarm["AlarmName"], StateValue="ALARM", StateReason="a test"
        )
        await env.snapshot()
        await env.refresh(kind)
        if reason(env, kind, "ResultsDelivered") == "ResultsLost":
            break
    assert reason(env, kind, "ResultsDelivered") == "ResultsLost"
    assert reason(env, kind, "Ready") == "Connected", "objects serve all the same"
