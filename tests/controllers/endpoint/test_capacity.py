"""Instances that are scarce: quotas that leave no room for a second one, and types of which AWS has none."""

from typing import Any

from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from ephemeral_endpoints.kube.cache import ObjectKey

TYPE = "ml.g5.xlarge"
ON_INSTANCES: Any = {"serving": {"instances": {"type": TYPE}}}
PUSHED = {"spec": {"model": {"environment": {"REVISION": "2"}}}}


def limit(fresh_aws: Aws, instances: int, **behaviour: Any) -> None:  # noqa: ANN401 - fields of several types
    fresh_aws.control.patch_sagemaker_settings({"quotas": {"instances": {TYPE: instances}}, "behaviour": behaviour})


def calls(fresh_aws: Aws) -> list[str]:
    """The changes of endpoints that AWS was asked for."""
    asked = ("CreateEndpoint", "UpdateEndpoint", "DeleteEndpoint")
    return [each.operation for each in fresh_aws.control.log() if each.operation in asked]


async def served(env: Environment, key: ObjectKey, fresh_aws: Aws) -> str:
    """The revision that the object's endpoint serves, once it is ready."""
    name = (await env.ready(key))["status"]["endpointName"]
    sagemaker = fresh_aws.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    [variant] = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    return str(model["PrimaryContainer"].get("Environment", {}).get("REVISION", "1"))


async def test_who_holds_all_the_quota_is_recreated_instead_of_waiting_for_itself(
    env: Environment, fresh_aws: Aws
) -> None:
    limit(fresh_aws, 1)
    key = env.make(**ON_INSTANCES)
    before = (await env.ready(key))["status"]
    fresh_aws.control.reset_meter()
    limit(fresh_aws, 1, create_seconds=3600)
    env.api.change(key, PUSHED)
    message = await env.reason(key, "Recreating", "EndpointReady")
    assert "serves nothing from" in message
    assert f"the account's quota '{TYPE} for endpoint usage' of 1 has no room" in message
    limit(fresh_aws, 1, create_seconds=0)
    assert await served(env, key, fresh_aws) == "2"
    assert calls(fresh_aws) == ["UpdateEndpoint", "DeleteEndpoint", "CreateEndpoint"]
    after = env.api.kept[key]["status"]
    assert (after["url"], after["endpointName"]) == (before["url"], before["endpointName"])


async def test_a_recreation_is_finished_by_the_next_operator(env: Environment, fresh_aws: Aws) -> None:
    limit(fresh_aws, 1)
    key = env.make(**ON_INSTANCES)
    await env.ready(key)
    limit(fresh_aws, 1, delete_seconds=3600)
    env.api.change(key, PUSHED)
    await env.reason(key, "Recreating", "EndpointReady")
    await env.until(lambda: "DeleteEndpoint" in calls(fresh_aws), "the deletion")
    await env.restart()
    limit(fresh_aws, 1, delete_seconds=0)
    assert await served(env, key, fresh_aws) == "2"


async def test_the_strategy_recreate_asks_for_no_room_at_all(env: Environment, fresh_aws: Aws) -> None:
    limit(fresh_aws, 9)
    key = env.make(serving={**ON_INSTANCES["serving"], "rollout": {"strategy": "Recreate"}})
    await env.ready(key)
    fresh_aws.control.reset_meter()
    env.api.change(key, PUSHED)
    assert await served(env, key, fresh_aws) == "2"
    assert calls(fresh_aws) == ["DeleteEndpoint", "CreateEndpoint"]


async def test_nobody_takes_the_room_of_an_endpoint_that_is_recreated(env: Environment, fresh_aws: Aws) -> None:
    limit(fresh_aws, 1)
    holder = env.make("holder", **ON_INSTANCES)
    await env.ready(holder)
    waits = env.make("waits", **ON_INSTANCES)
    await env.reason(waits, "QuotaExceeded", "EndpointReady")
    limit(fresh_aws, 1, delete_seconds=3600)
    env.api.change(holder, PUSHED)
    await env.until(lambda: "DeleteEndpoint" in calls(fresh_aws), "the deletion")
    await env.refresh(waits)
    limit(fresh_aws, 1, delete_seconds=0)
    assert await served(env, holder, fresh_aws) == "2"
    assert env.condition(waits, "EndpointReady")["reason"] == "QuotaExceeded"
    env.api.remove(holder)
    await env.ready(waits)


async def test_who_can_never_fit_is_stalled_and_nobody_waits_behind_it(env: Environment, fresh_aws: Aws) -> None:
    limit(fresh_aws, 2)
    greedy = env.make("greedy", serving={"instances": {"type": TYPE, "count": 3}})
    message = await env.reason(greedy, "QuotaTooLow", "Stalled")
    assert f"asks for 3 Instances, but the account's quota '{TYPE} for endpoint usage' is 2" in message
    assert "a higher quota" in env.condition(greedy, "Reconciling")["message"]
    modest = env.make("modest", **ON_INSTANCES)
    await env.ready(modest)
    fresh_aws.control.reset_meter()
    env.clock.advance(600)
    await env.refresh(greedy)
    assert calls(fresh_aws) == []
    limit(fresh_aws, 4)
    env.clock.advance(1800)
    env.operator.enqueue(greedy)
    await env.ready(greedy)


async def test_who_asks_for_less_is_served_while_an_older_one_waits_for_more(env: Environment, fresh_aws: Aws) -> None:
    limit(fresh_aws, 2)
    holder = env.make("holder", **ON_INSTANCES)
    await env.ready(holder)
    large = env.make("large", serving={"instances": {"type": TYPE, "count": 2}})
    await env.reason(large, "QuotaExceeded", "EndpointReady")
    small = env.make("small", **ON_INSTANCES)
    await env.ready(small)
    assert "request delta of 2 Instances" in env.condition(large, "EndpointReady")["message"]


async def test_a_shortage_ends_an_update_for_the_moment_and_recreates_nothing(env: Environment, fresh_aws: Aws) -> None:
    env.make_class("patient", endpoints={"retryAfter": "1s"})
    key = env.make(className="patient", **ON_INSTANCES)
    await env.ready(key)
    fresh_aws.control.reset_meter()
    fresh_aws.control.patch_sagemaker_settings({"capacity_shortages": [TYPE]})
    env.api.change(key, PUSHED)
    message = await env.reason(key, "InsufficientCapacity", "EndpointReady")
    assert "the previous revision keeps serving" in message
    assert env.condition(key, "Stalled")["status"] == "False"
    fresh_aws.control.patch_sagemaker_settings({"capacity_shortages": []})
    assert await served(env, key, fresh_aws) == "2"
    assert set(calls(fresh_aws)) == {"UpdateEndpoint"}


async def test_a_reason_that_aws_drops_after_the_rollback_is_remembered(env: Environment, fresh_aws: Aws) -> None:
    env.make_class("patient", endpoints={"retryAfter": "1h"})
    key = env.make(className="patient", **ON_INSTANCES)
    await env.ready(key)
    behaviour = {"rollback_seconds": 3600, "forgets_failures": True}
    fresh_aws.control.patch_sagemaker_settings({"capacity_shortages": [TYPE], "behaviour": behaviour})
    env.api.change(key, PUSHED)
    await env.reason(key, "RollingBack", "EndpointReady")
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"rollback_seconds": 0}})
    await env.reason(key, "InsufficientCapacity", "EndpointReady", saying="InsufficientInstanceCapacity")
