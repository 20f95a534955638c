"""The throttles of single URLs: on the routes of the objects that ask for them, and in nobody else's way."""

from typing import Any

from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault
from ephemeral_endpoints.features.routing.specs import ROUTE
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

CLASS = class_key("default")
NARROW = {"throttle": {"rateLimit": 5, "burstLimit": 10}}
SETTINGS = {"DetailedMetricsEnabled": False, "ThrottlingRateLimit": 5, "ThrottlingBurstLimit": 10}
OTHERS = {"DetailedMetricsEnabled": False, "ThrottlingRateLimit": 7, "ThrottlingBurstLimit": 70}
ROUTES = ("ANY /nlp/one", "ANY /nlp/one/{proxy+}")


def api_id(aws: Aws) -> str:
    """The one API."""
    [api] = aws.client("apigatewayv2").get_apis()["Items"]
    return str(api["ApiId"])


def settings(aws: Aws) -> dict[str, Any]:
    """The settings of routes in the one stage."""
    [stage] = aws.client("apigatewayv2").get_stages(ApiId=api_id(aws))["Items"]
    return dict(stage.get("RouteSettings", {}))


def called(aws: Aws) -> list[str]:
    """The calls to API Gateway that change something, in their order."""
    calls = (call.operation for call in aws.control.log() if call.service == "apigatewayv2")
    return [each for each in calls if each and not each.startswith("Get")]


def block_stage(aws: Aws) -> None:
    """Leave settings of a route behind that is gone, as people do: AWS then refuses every update of the stage."""
    client = aws.client("apigatewayv2")
    route = client.create_route(ApiId=api_id(aws), RouteKey="GET /gone")
    client.update_stage(ApiId=api_id(aws), StageName="$default", RouteSettings={"GET /gone": OTHERS})
    client.delete_route(ApiId=api_id(aws), RouteId=route["RouteId"])


async def test_the_routes_of_an_object_have_what_it_asks_for_and_a_neighbour_s_do_not(
    env: Environment, fresh_aws: Aws
) -> None:
    one, other = env.make("one", api=NARROW), env.make("other")
    for key in (one, other):
        await env.ready(key)
    assert settings(fresh_aws) == dict.fromkeys(ROUTES, SETTINGS)
    env.api.change(one, {"spec": {"api": {"throttle": {"rateLimit": 6}}}})
    await env.until(lambda: settings(fresh_aws)[ROUTES[0]]["ThrottlingRateLimit"] == 6, "changed")
    env.api.change(one, {"spec": {"api": {"throttle": None}}})
    await env.until(lambda: settings(fresh_aws) == {}, "given up")


async def test_settings_exist_only_while_their_route_does(env: Environment, fresh_aws: Aws) -> None:
    one, other = env.make("one", api=NARROW), env.make("other")
    for key in (one, other):
        await env.ready(key)
    order = called(fresh_aws)
    assert order.index("UpdateStage", order.index("CreateRoute")) > 0
    fresh_aws.control.reset_meter()
    env.api.remove(one)
    await env.gone(one)
    deleted = [each for each in called(fresh_aws) if each in {"DeleteRoute", "DeleteRouteSettings"}]
    assert sorted(deleted) == ["DeleteRoute"] * 2 + ["DeleteRouteSettings"] * 2
    assert [deleted[0], deleted[-1]] == ["DeleteRouteSettings", "DeleteRoute"], "those of each route before it"
    assert settings(fresh_aws) == {}


async def test_what_objects_ask_for_together_takes_few_updates(env: Environment, fresh_aws: Aws) -> None:
    await env.ready(env.make("other"))
    [account] = env.operator.accounts.connected
    fresh_aws.control.reset_meter()
    fresh_aws.control.add_faults(Fault(service="apigatewayv2", operation="UpdateStage", times=1, held=True))
    keys = [env.make(f"object-{number}", api=NARROW) for number in range(4)]
    await env.until(lambda: sum(key.kind is ROUTE for key in account.inventory.all) == 10, "two routes each")
    fresh_aws.control.clear_faults()
    for key in keys:
        await env.ready(key)
    assert len(settings(fresh_aws)) == 8
    assert called(fresh_aws).count("UpdateStage") <= 3, "what was asked for during the first one goes together"


async def test_settings_that_somebody_left_behind_do_not_keep_a_stage_from_being_changed(
    env: Environment, fresh_aws: Aws
) -> None:
    await env.ready(env.make("other"))
    block_stage(fresh_aws)
    await env.ready(env.make("one", api=NARROW))
    await env.until(lambda: settings(fresh_aws) == dict.fromkeys(ROUTES, SETTINGS), "cleared, and set")
    block_stage(fresh_aws)
    env.api.change(CLASS, {"spec": {"routing": {"throttle": {"rateLimit": 40}}}})

    def is_changed() -> bool:
        [stage] = fresh_aws.client("apigatewayv2").get_stages(ApiId=api_id(fresh_aws))["Items"]
        return bool(stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 40)

    await env.until(is_changed, "the class's own update is not blocked either")


async def test_settings_that_somebody_changes_or_deletes_are_as_before_by_the_next_snapshot(
    env: Environment, fresh_aws: Aws
) -> None:
    await env.ready(env.make("one", api=NARROW))
    client, wanted = fresh_aws.client("apigatewayv2"), dict.fromkeys(ROUTES, SETTINGS)
    client.delete_route_settings(ApiId=api_id(fresh_aws), StageName="$default", RouteKey=ROUTES[0])
    client.update_stage(ApiId=api_id(fresh_aws), StageName="$default", RouteSettings={ROUTES[1]: OTHERS})
    await env.snapshot()
    await env.until(lambda: settings(fresh_aws) == wanted, "repaired")


async def test_settings_of_a_route_that_somebody_deleted_go_with_the_object(env: Environment, fresh_aws: Aws) -> None:
    one, other = env.make("one", api=NARROW), env.make("other")
    for key in (one, other):
        await env.ready(key)
    await env.stop()
    client = fresh_aws.client("apigatewayv2")
    for route in client.get_routes(ApiId=api_id(fresh_aws))["Items"]:
        if route["RouteKey"] in ROUTES:
            client.delete_route(ApiId=api_id(fresh_aws), RouteId=route["RouteId"])
    env.api.remove(one)
    await env.restart()
    await env.gone(one)
    assert settings(fresh_aws) == {}


async def test_more_than_the_class_allows_is_refused_and_the_url_has_what_it_allows(
    env: Environment, fresh_aws: Aws
) -> None:
    one: ObjectKey = env.make("one", api={"throttle": {"rateLimit": 500, "burstLimit": 10}})
    message = await env.reason(one, "NotAllowed", "Stalled")
    assert "at most 100 requests per second and a burst of 200" in message
    await env.until(lambda: settings(fresh_aws)[ROUTES[0]]["ThrottlingRateLimit"] == 100, "capped")
