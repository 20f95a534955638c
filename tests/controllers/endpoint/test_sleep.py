"""Objects that sleep: nothing runs, all else stays, and nothing but what wakes them changes that."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.controllers.endpoint.test_controls import changes
from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from ephemeral_endpoints.api import SLEEP_ANNOTATION, WAKE_ANNOTATION
from ephemeral_endpoints.engine.clocks import Clocks
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.serving.notices import Notice
from ephemeral_endpoints.kube.cache import ObjectKey

TYPE = "ml.m5.large"
ON_INSTANCES: Any = {"serving": {"instances": {"type": TYPE}}, "sleep": {"wakeOn": "Command"}}
IDLE: Any = {**ON_INSTANCES, "sleep": {"idleTimeout": "2h"}}
PROVISIONED: Any = {
    "serving": {"serverless": {"memorySizeMB": 1024, "maxConcurrency": 2, "provisionedConcurrency": 1}},
    "sleep": {"idleTimeout": "2h"},
}
QUEUE: Any = {"events": {"queueName": "eep-events"}}
SCALED: Any = {
    "serving": {
        "instances": {"type": TYPE, "autoscaling": {"minCount": 1, "maxCount": 2, "invocationsPerInstance": 100}}
    }
}


@pytest.fixture(autouse=True)
def _time_passes_for_aws_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers of the embedded AWS tell the real time, by which the operator's clock would be ahead."""
    monkeypatch.setattr(Clocks, "note", lambda *_: None)


def annotate(env: Environment, key: ObjectKey, annotation: str, at: datetime | None = None) -> None:
    moment = timestamp(at or datetime.now(UTC) + env.ahead + timedelta(seconds=1))
    env.api.change(key, {"metadata": {"annotations": {annotation: moment}}})


def kinds(env: Environment, key: ObjectKey) -> set[str]:
    """The kinds of AWS resources that the status lists."""
    return {each["kind"] for each in env.api.kept[key]["status"]["resources"]}


async def asleep(env: Environment, key: ObjectKey, aws: Aws) -> None:
    """Wait until the object is asleep and its endpoint is gone; calls are counted from then on."""
    await env.reason(key, "Asleep", "Active")
    await env.until(lambda: "Endpoint" not in kinds(env, key), "the endpoint gone")
    await env.rest()
    aws.control.reset_meter()


def tell(env: Environment, key: ObjectKey, kind: str) -> None:
    """What a forwarder of the class tells now."""
    notice = Notice(kind, env.api.kept[key]["metadata"]["uid"], datetime.now(UTC) + env.ahead)
    env.operator.calls.noticed("default", notice)


async def awake(env: Environment, key: ObjectKey) -> None:
    await env.reason(key, "Awake", "Active")
    await env.reason(key, "Serving")


async def test_a_command_deletes_the_endpoint_alone_and_another_one_creates_it_again(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make(**ON_INSTANCES)
    before = (await env.ready(key))["status"]
    fresh_aws.control.reset_meter()
    annotate(env, key, SLEEP_ANNOTATION)
    await env.reason(key, "Asleep", "Active")
    await env.until(lambda: changes(fresh_aws) == ["DeleteEndpoint"], "one call")
    await asleep(env, key, fresh_aws)
    status = env.api.kept[key]["status"]
    assert env.condition(key)["status"] == "True"
    assert env.condition(key)["reason"] == "Asleep"
    assert f"`eep wake {key.name}`" in env.condition(key)["message"]
    assert [env.condition(key, each)["status"] for each in ("EndpointReady", "RouteReady", "Stalled")] == [
        "True",
        "True",
        "False",
    ]
    assert status["cost"]["hourlyUSD"] == "0.00"
    assert {each["kind"] for each in before["resources"]} - kinds(env, key) == {"Endpoint"}
    writes, answered = env.api.written[key], env.urls.requests
    await env.refresh(key)
    await env.restart()
    await env.refresh(key)
    assert (changes(fresh_aws), env.api.written[key], env.urls.requests) == ([], writes, answered)

    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"create_seconds": 3600}})
    annotate(env, key, WAKE_ANNOTATION)
    await env.reason(key, "Waking", "Active")
    await env.reason(key, "Creating")
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"create_seconds": 0}})
    await awake(env, key)
    assert changes(fresh_aws) == ["CreateEndpoint"]
    after = env.api.kept[key]["status"]
    assert {name: after[name] for name in ("url", "endpointName", "image", "resources")} == {
        name: before[name] for name in ("url", "endpointName", "image", "resources")
    }
    assert env.urls.requests > answered, "that it serves again is proven"
    assert [each.reason for each in env.api.events if each.reason == "DriftRepaired"] == []


async def test_autoscaling_goes_with_the_endpoint_and_comes_back_with_it(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(**SCALED)
    await env.ready(key)
    fresh_aws.control.reset_meter()
    annotate(env, key, SLEEP_ANNOTATION)
    await env.until(lambda: "DeleteEndpoint" in changes(fresh_aws), "the deletion")
    assert changes(fresh_aws) == ["DeleteEndpoint", "DeregisterScalableTarget"]
    await asleep(env, key, fresh_aws)
    annotate(env, key, WAKE_ANNOTATION)
    await awake(env, key)
    assert changes(fresh_aws) == ["CreateEndpoint", "PutScalingPolicy", "RegisterScalableTarget"]


async def test_what_nobody_uses_sleeps_and_a_change_wakes_it_for_as_long(env: Environment, fresh_aws: Aws) -> None:
    env.make_class(**QUEUE)
    key = env.make(**IDLE)
    await env.ready(key)
    env.ahead = timedelta(hours=1, minutes=59)
    await env.refresh(key)
    assert env.condition(key, "Active")["reason"] == "Awake"
    env.ahead = timedelta(hours=2, minutes=1)
    env.operator.enqueue(key)
    await asleep(env, key, fresh_aws)
    assert "not used for 2h" in env.condition(key, "Active")["message"]
    env.api.change(key, {"spec": {"model": {"environment": {"REVISION": "2"}}}})
    await awake(env, key)
    env.ahead = timedelta(hours=4)
    await env.refresh(key)
    assert env.condition(key, "Active")["reason"] == "Awake"
    env.ahead = timedelta(hours=4, minutes=3)
    env.operator.enqueue(key)
    await asleep(env, key, fresh_aws)


async def test_use_keeps_an_object_awake_and_a_request_wakes_it(env: Environment, fresh_aws: Aws) -> None:
    env.make_class(**QUEUE)
    key = env.make(**IDLE)
    await env.ready(key)
    for minutes in (90, 110):  # less than an hour apart, so that the status does not tell the second one
        env.ahead = timedelta(minutes=minutes)
        tell(env, key, "used")
        await env.rest()
    env.ahead = timedelta(minutes=229)
    tell(env, key, "wake")  # late, from before a rollout: it is awake
    await env.refresh(key)
    assert env.condition(key, "Active")["reason"] == "Awake"
    env.ahead = timedelta(minutes=350)
    env.operator.enqueue(key)
    await asleep(env, key, fresh_aws)
    assert "a request to the URL" in env.condition(key)["message"]
    tell(env, key, "used")
    await env.refresh(key)
    assert env.condition(key, "Active")["reason"] == "Asleep"
    tell(env, key, "wake")
    await awake(env, key)
    assert changes(fresh_aws) == ["CreateEndpoint"]
    await env.restart()
    await env.refresh(key)
    assert env.condition(key, "Active")["reason"] == "Awake"


async def test_an_object_that_is_asleep_wakes_when_its_hours_begin(env: Environment, fresh_aws: Aws) -> None:
    now = datetime.now(UTC)
    env.ahead = now.replace(hour=20, minute=0) + timedelta(days=1) - now  # no hours begin or end during the test
    key = env.make(serving=ON_INSTANCES["serving"])
    await env.ready(key)
    annotate(env, key, SLEEP_ANNOTATION)
    await asleep(env, key, fresh_aws)
    env.ahead += timedelta(seconds=3)
    hours = {"wakeOn": "Command", "schedule": {"awake": ["Mon-Sun 08:00-19:00"]}}
    env.api.change(key, {"spec": {"sleep": hours}})
    await awake(env, key)  # a change of the spec has woken it
    annotate(env, key, SLEEP_ANNOTATION)
    await asleep(env, key, fresh_aws)
    assert "at the latest at " in env.condition(key, "Active")["message"]
    env.ahead += timedelta(hours=16)
    env.operator.enqueue(key)
    await env.reason(key, "Awake", "Active")


async def test_who_wakes_takes_its_turn_for_capacity_and_says_so(env: Environment, fresh_aws: Aws) -> None:
    fresh_aws.control.patch_sagemaker_settings({"quotas": {"instances": {TYPE: 1}}})
    sleeper = env.make("sleeper", **ON_INSTANCES)
    await env.ready(sleeper)
    other = env.make("other", **ON_INSTANCES)
    await env.reason(other, "QuotaExceeded", saying="1st of 1 waiting")
    annotate(env, sleeper, SLEEP_ANNOTATION)
    await env.ready(other)
    annotate(env, sleeper, WAKE_ANNOTATION)
    await env.reason(sleeper, "QuotaExceeded", saying="1st of 1 waiting")
    assert env.condition(sleeper, "Active")["reason"] == "Waking"
    annotate(env, other, SLEEP_ANNOTATION)
    await awake(env, sleeper)


async def test_what_is_asleep_is_deleted(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(**ON_INSTANCES)
    await env.ready(key)
    annotate(env, key, SLEEP_ANNOTATION)
    await asleep(env, key, fresh_aws)
    env.api.remove(key)
    await env.gone(key)
    assert not fresh_aws.client("sagemaker").list_models()["Models"]


async def test_a_change_of_what_is_not_the_endpoint_reaches_aws_asleep(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(**ON_INSTANCES)
    await env.ready(key)
    annotate(env, key, SLEEP_ANNOTATION)
    await asleep(env, key, fresh_aws)
    env.api.change(key, {"metadata": {"annotations": {"ephemeral-endpoints.io/extend-until": "2026-12-24T00:00:00Z"}}})
    await env.refresh(key)
    assert env.condition(key, "Active")["reason"] == "Asleep"
    assert "CreateEndpoint" not in changes(fresh_aws)


@pytest.mark.parametrize("spec", [{"sleep": {}, "serving": ON_INSTANCES["serving"]}])
async def test_a_class_without_queue_refuses_sleep_that_no_request_could_end(
    env: Environment, spec: dict[str, Any]
) -> None:
    key = env.make(**spec)
    await env.reason(key, "NotAllowed", saying="set spec.sleep.wakeOn to Command")


def serverless(aws: Aws) -> dict[str, Any]:
    """The capacity of the endpoint that SageMaker shows."""
    client = aws.client("sagemaker")
    [endpoint] = client.list_endpoints()["Endpoints"]
    name = client.describe_endpoint(EndpointName=endpoint["EndpointName"])["EndpointConfigName"]
    [variant] = client.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
    return dict(variant["ServerlessConfig"])


async def test_provisioned_concurrency_is_given_up_while_the_endpoint_answers_on(
    env: Environment, fresh_aws: Aws
) -> None:
    env.make_class(**QUEUE, endpoints={"creationTimeout": "3h"})
    key = env.make(**PROVISIONED)
    before = (await env.ready(key))["status"]
    conditions = {each: env.condition(key, each) for each in ("Ready", "EndpointReady", "RouteReady")}
    answered = env.urls.requests
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"update_seconds": 3600}})
    fresh_aws.control.reset_meter()
    env.ahead = timedelta(hours=2, minutes=1)
    env.operator.enqueue(key)
    message = await env.reason(key, "Asleep", "Active")
    assert "not used for 2h; it answers with cold starts" in message
    assert "gets that back by a request to the URL, `eep wake pr` or a change" in message
    await env.until(lambda: "UpdateEndpoint" in changes(fresh_aws), "the update")
    await env.refresh(key)
    assert {each: env.condition(key, each) for each in conditions} == conditions, "it serves all the while"
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"update_seconds": 0}})
    await env.until(
        lambda: env.api.kept[key]["status"]["cost"].get("hourlyUSD") == "0.00", "nothing charged by the hour"
    )
    await env.until(lambda: len(fresh_aws.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]) == 1, "one")
    assert serverless(fresh_aws) == {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
    assert changes(fresh_aws) == ["CreateEndpointConfig", "DeleteEndpointConfig", "UpdateEndpoint"]
    await env.rest()
    fresh_aws.control.reset_meter()
    await env.restart()
    writes = env.api.written[key]
    await env.refresh(key)
    assert (changes(fresh_aws), env.api.written[key]) == ([], writes), "at rest"
    assert {each: env.condition(key, each) for each in conditions} == conditions

    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"update_seconds": 3600}})
    tell(env, key, "used")
    await env.reason(key, "Waking", "Active", saying="getting its provisioned concurrency back")
    assert {each: env.condition(key, each) for each in conditions} == conditions
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"update_seconds": 0}})
    await env.reason(key, "Awake", "Active")
    await env.until(lambda: len(fresh_aws.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]) == 1, "one")
    await env.rest()
    assert serverless(fresh_aws) == {"MemorySizeInMB": 1024, "MaxConcurrency": 2, "ProvisionedConcurrency": 1}
    after = env.api.kept[key]["status"]
    assert {each: env.condition(key, each) for each in conditions} == conditions
    assert (after["url"], after["resources"]) == (before["url"], before["resources"])
    assert after["cost"]["unpriced"] == before["cost"]["unpriced"] == ["provisioned concurrency"], "it costs again"
    assert changes(fresh_aws) == ["CreateEndpointConfig", "DeleteEndpointConfig", "UpdateEndpoint"]
    assert env.urls.requests == answered, "that it serves needs no new proof"


async def test_a_request_that_may_not_wake_gives_no_provisioned_concurrency_back_and_a_new_commit_does(
    env: Environment, fresh_aws: Aws
) -> None:
    env.make_class(**QUEUE)
    key = env.make(serving=PROVISIONED["serving"], sleep={"wakeOn": "Command"})
    await env.ready(key)
    annotate(env, key, SLEEP_ANNOTATION)
    await env.reason(key, "Asleep", "Active")
    await env.until(lambda: "ProvisionedConcurrency" not in serverless(fresh_aws), "it given up")
    env.ahead = timedelta(seconds=3)
    tell(env, key, "used")
    await env.refresh(key)
    assert env.condition(key, "Active")["reason"] == "Asleep"
    env.api.change(key, {"spec": {"model": {"environment": {"REVISION": "2"}}}})
    await awake(env, key)
    assert serverless(fresh_aws)["ProvisionedConcurrency"] == 1


async def test_what_cannot_give_its_provisioned_concurrency_up_says_so(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(serving=PROVISIONED["serving"])
    await env.ready(key)
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"update_failure": "no such luck"}})
    annotate(env, key, SLEEP_ANNOTATION)
    await env.reason(key, "RolledBack", saying="no such luck")
    assert env.condition(key, "Active")["reason"] == "Asleep"
    assert env.api.kept[key]["status"]["cost"]["unpriced"] == ["provisioned concurrency"], "it costs on"
