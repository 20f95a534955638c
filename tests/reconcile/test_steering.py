from tests.fixtures.platform import Aws
from tests.reconcile.world import Desk

ONE_ENDPOINT = {"quotas": {"serverless_endpoints": 1}}


async def test_who_is_suspended_makes_way_for_who_waits_for_room(desk: Desk, fresh_aws: Aws) -> None:
    fresh_aws.control.patch_sagemaker_settings(ONE_ENDPOINT)
    holder = desk.make("holder")
    await desk.ready(holder)
    first, second = desk.make("first"), desk.make("second")
    for key in (first, second):
        await desk.reason(key, "QuotaExceeded", "EndpointReady")
    desk.api.change(first, {"spec": {"suspend": True}})
    await desk.reason(first, "Suspended", "Reconciling")
    desk.api.remove(holder)
    await desk.ready(second)


async def test_positions_that_move_are_written_when_an_object_is_looked_at_and_not_before(
    desk: Desk, fresh_aws: Aws
) -> None:
    fresh_aws.control.patch_sagemaker_settings(ONE_ENDPOINT)
    holder = desk.make("holder")
    await desk.ready(holder)
    keys = [desk.make(name) for name in ("a", "b", "c")]
    for key in keys:
        await desk.reason(key, "QuotaExceeded", "EndpointReady")
    last = max(keys, key=lambda key: (desk.api.kept[key]["metadata"]["creationTimestamp"], _uid(desk, key)))
    await desk.look(last)
    assert "It is 3rd of 3" in desk.condition(last, "EndpointReady")["message"]
    first = min(keys, key=lambda key: (desk.api.kept[key]["metadata"]["creationTimestamp"], _uid(desk, key)))
    version = desk.api.kept[last]["metadata"]["resourceVersion"]
    desk.api.remove(first)
    await desk.gone(first)
    assert desk.api.kept[last]["metadata"]["resourceVersion"] == version
    await desk.look(last)
    assert "It is 2nd of 2" in desk.condition(last, "EndpointReady")["message"]


def _uid(desk: Desk, key: object) -> str:
    return str(desk.api.kept[key]["metadata"]["uid"])  # type: ignore[index]  # a key of the desk's


async def test_what_stands_is_priced_by_the_class(desk: Desk) -> None:
    desk.make_class("priced", prices={"ml.c5.large": "0.5"})
    known = desk.make("known", className="priced", serving={"instances": {"type": "ml.c5.large", "count": 2}})
    unknown = desk.make("unknown", serving={"instances": {"type": "ml.c5.large"}})
    serverless = desk.make("serverless")
    costs = [(await desk.ready(key))["status"]["cost"] for key in (known, unknown, serverless)]
    assert costs == [{"hourlyUSD": "1.00"}, {}, {"hourlyUSD": "0.00"}]


async def test_a_restart_neither_forgets_the_price_nor_writes_anything(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make("pr", serving={"instances": {"type": "ml.m5.large"}})
    await desk.ready(key)
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"update_failure": "the health check failed"}})
    environment = {"model": {"environment": {"A": "b"}}}
    desk.api.change(key, {"spec": environment})
    await desk.reason(key, "RolledBack", "EndpointReady")
    await desk.rest()
    writes = desk.api.writes
    await desk.restart()
    await desk.look(key)
    assert desk.api.writes == writes
    assert desk.api.kept[key]["status"]["cost"] == {"hourlyUSD": "0.115"}
