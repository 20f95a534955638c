"""Whose a path is: the attacks on the URL of another object, carried out."""

import pytest
from tests.controllers.environment import Environment, Object
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault
from ephemeral_endpoints.features.routing.specs import ROUTE, route_path
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

CLASS = class_key("default")
OPEN = {"type": "None"}
WANTED = "/nlp/wanted/v1"
READING = ("Describe", "Get", "List")
BELOW = "/{proxy+}"
TOUCHED = {"metadata": {"labels": {"touched": "true"}}}


def ask(env: Environment, key: ObjectKey, path: str) -> None:
    """Change the path of an object."""
    env.api.change(key, {"spec": {"api": {"path": path}}})


def routes(aws: Aws) -> dict[str, str]:
    """What the paths of all APIs lead to: the path itself, and all below it."""
    client = aws.client("apigatewayv2")
    apis = [each["ApiId"] for each in client.get_apis()["Items"]]
    found = [(api, route) for api in apis for route in client.get_routes(ApiId=api)["Items"]]
    functions = {
        route["RouteKey"].removeprefix("ANY "): client.get_integration(
            ApiId=api, IntegrationId=route["Target"].removeprefix("integrations/")
        )["IntegrationUri"].rpartition(":")[2]
        for api, route in found
    }
    paths = {key: function for key, function in functions.items() if not key.endswith(BELOW)}
    assert functions == {**paths, **{path + BELOW: function for path, function in paths.items()}}
    return paths


def status(env: Environment, key: ObjectKey) -> Object:
    """Who has the path and who waits, as the object reports it."""
    found: Object = env.api.kept[key]["status"]["route"]
    return {name: value for name, value in found.items() if value and name != "auth"}


@pytest.fixture(autouse=True)
async def open_to_everybody(env: Environment) -> None:
    """The class allows what an attacker would ask for."""
    env.api.change(class_key("default"), {"spec": {"routing": {"auth": {"allowed": ["Token", "None"]}}}})


@pytest.fixture
async def attacked(env: Environment) -> tuple[ObjectKey, ObjectKey]:
    """An object that is older than another one, and then asks for its path."""
    attacker = env.make("attacker", api={"path": "/nlp/attacker/v1", "auth": OPEN})
    await env.ready(attacker)
    victim = env.make("victim", api={"path": WANTED})
    await env.ready(victim)
    ask(env, attacker, WANTED)
    await env.rest()
    return attacker, victim


async def test_an_older_object_does_not_take_over_the_path_of_another(
    env: Environment, fresh_aws: Aws, attacked: tuple[ObjectKey, ObjectKey]
) -> None:
    attacker, victim = attacked
    for key in (victim, attacker):
        env.api.change(key, TOUCHED)
        await env.rest()
    [(path, function)] = routes(fresh_aws).items()
    assert path == WANTED, "the earlier path is given up"
    assert "victim" in function
    assert env.condition(attacker, "RouteReady")["reason"] == "PathConflict"
    assert env.is_up_to_date(victim)


async def test_a_restarted_operator_knows_from_aws_whose_a_path_is(
    env: Environment, fresh_aws: Aws, attacked: tuple[ObjectKey, ObjectKey]
) -> None:
    attacker, victim = attacked
    made = routes(fresh_aws)
    del env.api.kept[victim]["status"]["route"]
    env.api.kept[attacker]["status"]["route"] = {"path": WANTED, "holder": "nlp/attacker"}
    await env.restart()
    await env.until(lambda: "route" in env.api.kept[victim]["status"], "another look")
    await env.rest()
    assert routes(fresh_aws) == made
    assert status(env, attacker) == {"path": WANTED, "holder": "nlp/victim"}, "a forged status decides nothing"


async def test_both_report_who_has_the_path_and_who_waits(
    env: Environment, attacked: tuple[ObjectKey, ObjectKey]
) -> None:
    attacker, victim = attacked
    await env.until(lambda: "waiting" in status(env, victim), "the other one is seen to wait")
    assert status(env, victim) == {"path": WANTED, "holder": "nlp/victim", "waiting": ["nlp/attacker"]}
    assert status(env, attacker) == {"path": WANTED, "holder": "nlp/victim"}
    assert "nlp/attacker waits for its path" in env.condition(victim, "RouteReady")["message"]
    assert "nlp/victim" in env.condition(attacker, "RouteReady")["message"]
    ask(env, attacker, "/nlp/attacker/v2")
    await env.ready(attacker)
    await env.rest()
    assert status(env, victim) == {"path": WANTED, "holder": "nlp/victim"}
    assert "waits" not in env.condition(victim, "RouteReady")["message"]


async def test_those_who_wait_get_the_path_in_their_order_once_it_is_given_up(
    env: Environment, fresh_aws: Aws, attacked: tuple[ObjectKey, ObjectKey]
) -> None:
    attacker, victim = attacked
    late = env.make("late", api={"path": WANTED})
    await env.reason(late, "PathConflict", "RouteReady")
    ask(env, victim, "/nlp/victim/v2")
    await env.ready(attacker)
    await env.ready(victim)
    assert "attacker" in routes(fresh_aws)[WANTED]
    assert status(env, attacker)["waiting"] == ["nlp/late"]
    ask(env, victim, WANTED)
    await env.reason(victim, "PathConflict", "RouteReady")
    await env.rest()
    assert status(env, victim)["holder"] == "nlp/attacker", "a change of path is a new claim"
    assert status(env, late)["holder"] == "nlp/attacker"


async def test_a_route_that_somebody_deletes_in_aws_is_made_again_for_the_object_that_had_it(
    env: Environment, fresh_aws: Aws, attacked: tuple[ObjectKey, ObjectKey]
) -> None:
    attacker, _ = attacked
    made, client = routes(fresh_aws), fresh_aws.client("apigatewayv2")
    (api,) = [each["ApiId"] for each in client.get_apis()["Items"]]
    for route in client.get_routes(ApiId=api)["Items"]:
        client.delete_route(ApiId=api, RouteId=route["RouteId"])
    env.operator.enqueue(attacker)
    await env.snapshot()
    env.operator.enqueue(attacker)
    await env.until(lambda: len(client.get_routes(ApiId=api)["Items"]) == 2, "the routes made again")
    await env.rest()
    assert routes(fresh_aws) == made
    assert status(env, attacker)["holder"] == "nlp/victim"


@pytest.mark.parametrize(
    ("path", "parts", "reason"),
    [
        ("/nlp/victim", ["belongs to the object victim of the namespace nlp"], "the default path of another object"),
        ("/nlp/later", ["object later of the namespace nlp, whether it exists or not"], "of one that is made later"),
        ("/vision/a/b", ["does not allow the path /vision/a/b", "begins with /nlp/"], "of another namespace"),
        ("/nlp-2/a/b", ["begins with /nlp/"], "of a namespace whose name begins alike"),
        ("/short", ["begins with /nlp/"], "of no namespace"),
    ],
)
async def test_a_path_that_an_object_may_not_ask_for_is_refused(
    env: Environment, fresh_aws: Aws, path: str, parts: list[str], reason: str
) -> None:
    key = env.make("attacker", api={"path": path, "auth": OPEN})
    message = await env.reason(key, "NotAllowed", "RouteReady")
    assert [part for part in parts if part not in message] == [], reason
    await env.reason(key, "NotAllowed", "Stalled")
    await env.rest()
    assert routes(fresh_aws) == {}
    assert status(env, key) == {"path": path}
    ask(env, key, "/nlp/attacker")
    await env.ready(key)


async def test_a_path_that_is_refused_is_refused_also_if_it_comes_during_a_reconciliation(
    env: Environment, fresh_aws: Aws
) -> None:
    fresh_aws.control.add_faults(Fault(service="apigatewayv2", operation="CreateIntegration", times=1, held=True))
    key = env.make("attacker")
    await env.until(lambda: fresh_aws.control.faults()[0].fired == 1, "the integration is being created")
    ask(env, key, "/nlp/victim")
    fresh_aws.control.clear_faults()
    await env.reason(key, "NotAllowed", "RouteReady")
    await env.rest()
    assert [call.operation for call in fresh_aws.control.log()].count("CreateRoute") == 0


async def test_a_class_allows_further_paths_and_takes_none_back_that_an_object_has(
    env: Environment, fresh_aws: Aws
) -> None:
    env.api.change(CLASS, {"spec": {"routing": {"allowedPaths": ["/pr-*"]}}})
    key = env.make("first", api={"path": "/pr-42"})
    await env.ready(key)
    env.api.change(CLASS, {"spec": {"routing": {"allowedPaths": []}}})
    await env.rest()
    assert env.is_up_to_date(key)
    late = env.make("late", api={"path": "/pr-42"})
    await env.reason(late, "NotAllowed", "RouteReady")
    await env.rest()
    assert routes(fresh_aws).keys() == {"/pr-42"}
    assert "waiting" not in status(env, key), "who may not have the path does not wait for it"
    env.api.change(CLASS, {"spec": {"routing": {"allowedPaths": ["/*"]}}})
    await env.reason(late, "PathConflict", "RouteReady")


async def test_the_paths_of_two_classes_are_independent(env: Environment) -> None:
    env.make_class("other")
    first, second = (env.make(name, className=name, api={"path": WANTED}) for name in ("default", "other"))
    await env.ready(first)
    await env.ready(second)
    keys = [key for account in env.operator.accounts.connected for key in account.inventory.all if key.kind is ROUTE]
    assert sorted(route_path(key) for key in keys) == [WANTED] * 4
    assert [status(env, key)["holder"] for key in (first, second)] == ["nlp/default", "nlp/other"]


async def test_a_suspended_object_keeps_its_path_and_does_not_hold_up_those_that_wait(
    env: Environment, attacked: tuple[ObjectKey, ObjectKey]
) -> None:
    attacker, victim = attacked
    late = env.make("late", api={"path": WANTED})
    await env.reason(late, "PathConflict", "RouteReady")
    for key in (attacker, victim):
        env.api.change(key, {"spec": {"suspend": True}})
    await env.rest()
    assert status(env, late)["holder"] == "nlp/victim"
    env.api.remove(victim)
    await env.gone(victim)
    await env.ready(late)
    assert status(env, late) == {"path": WANTED, "holder": "nlp/late"}


async def test_at_rest_nothing_is_asked_of_aws_for_it(
    env: Environment, fresh_aws: Aws, attacked: tuple[ObjectKey, ObjectKey]
) -> None:
    await env.rest()
    fresh_aws.control.reset_meter()
    for key in attacked:
        await env.refresh(key)
    assert fresh_aws.control.log() == []


@pytest.mark.parametrize("path", [f"{WANTED}/healthz", f"{WANTED}/a/b", "/nlp/wanted"])
async def test_a_path_below_or_above_that_of_another_object_takes_no_request_of_it(
    env: Environment, fresh_aws: Aws, path: str
) -> None:
    env.api.change(CLASS, {"spec": {"routing": {"allowedPaths": ["/nlp/*"]}}})
    name = "wanted" if path == "/nlp/wanted" else "attacker"
    attacker = env.make(name, api={"path": "/nlp/elsewhere/v1", "auth": OPEN})
    await env.ready(attacker)
    victim = env.make("victim", api={"path": WANTED})
    await env.ready(victim)
    ask(env, attacker, path)
    await env.reason(attacker, "PathConflict", "RouteReady")
    await env.rest()
    assert routes(fresh_aws).keys() == {WANTED}
    assert "victim" in routes(fresh_aws)[WANTED]
    await env.until(lambda: "waiting" in status(env, victim), "the other one is seen to wait")
    assert status(env, attacker) == {"path": path, "holder": "nlp/victim"}
    ask(env, victim, "/nlp/victim")
    await env.ready(attacker)
    assert name in routes(fresh_aws)[path]


async def test_an_object_of_an_earlier_release_gets_its_second_route_and_keeps_its_url(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    made = await env.ready(key)
    client = fresh_aws.client("apigatewayv2")
    (api,) = [each["ApiId"] for each in client.get_apis()["Items"]]
    first, second = sorted(client.get_routes(ApiId=api)["Items"], key=lambda route: len(route["RouteKey"]))
    client.delete_route(ApiId=api, RouteId=second["RouteId"])
    fresh_aws.control.reset_meter()
    await env.restart()
    await env.until(lambda: len(client.get_routes(ApiId=api)["Items"]) == 2, "the second route")
    await env.rest()
    assert first in client.get_routes(ApiId=api)["Items"]
    made_anew = [call.operation for call in fresh_aws.control.log() if not call.operation.startswith(READING)]
    assert made_anew == ["CreateRoute"]
    assert env.api.kept[key]["status"]["url"] == made["status"]["url"]
