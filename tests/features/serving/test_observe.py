from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

ONE_ENDPOINT = {"quotas": {"serverless_endpoints": 1}}


async def test_a_suspended_object_gives_its_claim_to_those_that_wait(env: Environment, fresh_aws: Aws) -> None:
    fresh_aws.control.patch_sagemaker_settings(ONE_ENDPOINT)
    holder = env.make("holder")
    await env.ready(holder)
    first, second = env.make("first"), env.make("second")
    for key in (first, second):
        await env.reason(key, "QuotaExceeded", "EndpointReady")
    env.api.change(first, {"spec": {"suspend": True}})
    await env.reason(first, "Suspended", "Reconciling")
    env.api.remove(holder)
    await env.ready(second)


async def test_positions_that_move_are_written_when_an_object_is_looked_at_and_not_before(
    env: Environment, fresh_aws: Aws
) -> None:
    fresh_aws.control.patch_sagemaker_settings(ONE_ENDPOINT)
    holder = env.make("holder")
    await env.ready(holder)
    keys = [env.make(name) for name in ("a", "b", "c")]
    for key in keys:
        await env.reason(key, "QuotaExceeded", "EndpointReady")
    first, _, last = keys
    await env.refresh(last)
    assert "The endpoint is 3rd of 3" in env.condition(last, "EndpointReady")["message"]
    version = env.api.kept[last]["metadata"]["resourceVersion"]
    env.api.remove(first)
    await env.gone(first)
    assert env.api.kept[last]["metadata"]["resourceVersion"] == version
    await env.refresh(last)
    assert "The endpoint is 2nd of 2" in env.condition(last, "EndpointReady")["message"]


async def test_what_stands_is_priced_by_the_class(env: Environment) -> None:
    env.make_class("priced", prices={"ml.c5.large": "0.5"})
    known = env.make("known", className="priced", serving={"instances": {"type": "ml.c5.large", "count": 2}})
    unknown = env.make("unknown", serving={"instances": {"type": "ml.c5.large"}})
    serverless = env.make("serverless")
    costs = [(await env.ready(key))["status"]["cost"] for key in (known, unknown, serverless)]
    assert [(cost.get("hourlyUSD"), cost["unpriced"]) for cost in costs] == [
        ("1.00", []),
        (None, ["ml.c5.large"]),
        ("0.00", []),
    ]


async def test_a_restart_neither_forgets_the_price_nor_writes_anything(env: Environment, fresh_aws: Aws) -> None:
    key = env.make("pr", serving={"instances": {"type": "ml.m5.large"}})
    await env.ready(key)
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"update_failure": "the health check failed"}})
    spec = {"model": {"environment": {"A": "b"}}}
    env.api.change(key, {"spec": spec})
    await env.reason(key, "RolledBack", "EndpointReady")

    def is_at_rest() -> bool:
        [endpoint] = fresh_aws.client("sagemaker").list_endpoints()["Endpoints"]
        return bool(endpoint["EndpointStatus"] == "InService")

    await env.until(is_at_rest, "the end of the rollback")
    await env.snapshot()
    await env.refresh(key)
    writes = env.api.writes
    await env.restart()
    await env.refresh(key)
    assert env.api.writes == writes
    assert env.api.kept[key]["status"]["cost"]["hourlyUSD"] == "0.115"
