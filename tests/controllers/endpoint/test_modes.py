"""An HTTP API of an object's own, and the change from and to those of its class while it is called."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
import pytest
from tests.controllers.environment import Environment
from tests.fixtures.issuer import AUDIENCE, Issuer
from tests.fixtures.passing import of_each
from tests.fixtures.platform import Aws

from ephemeral_endpoints.features.routing.apis import Load
from ephemeral_endpoints.features.routing.placements import FORMER_STAYS, Placements
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

CLASS = class_key("default")
NARROW = {"rateLimit": 50, "burstLimit": 60}
OFTEN = {"rateLimit": 10_000, "burstLimit": 5000}
"""More than tests call, however fast the machine is."""


def allow(env: Environment, *, allowed: bool = True) -> None:
    env.api.change(CLASS, {"spec": {"routing": {"allowDedicated": allowed, "throttle": OFTEN}}})


def become(env: Environment, key: ObjectKey, mode: str) -> None:
    env.api.change(key, {"spec": {"api": {"mode": mode}}})


def apis(aws: Aws) -> dict[str, str]:
    """The names of all APIs by the beginning of their URLs."""
    return {each["ApiEndpoint"]: each["Name"] for each in aws.client("apigatewayv2").get_apis()["Items"]}


def url(env: Environment, key: ObjectKey) -> str:
    return str(env.api.kept[key]["status"].get("url"))


def api_of(env: Environment, aws: Aws, key: ObjectKey) -> str:
    """The name of the API that the object's URL is in."""
    return next((name for begins, name in apis(aws).items() if url(env, key).startswith(begins)), "")


async def after_the_handover(env: Environment, key: ObjectKey) -> None:
    """Let callers have had their time."""
    await env.rest()
    env.ahead += FORMER_STAYS + timedelta(seconds=1)
    await env.refresh(key)


@asynccontextmanager
async def calling(of: Callable[[], str], child: str = "healthz", jwt: str = "") -> AsyncIterator[Counter[int]]:
    """Call a URL again and again, and count the answers by their status."""
    headers = {"authorization": f"Bearer {jwt}"} if jwt else {}
    answers: Counter[int] = Counter()

    async def call() -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"{of()}/{child}", headers=headers) as answer:
                    answers[answer.status] += 1

    task = asyncio.create_task(call())
    while not answers:
        await asyncio.sleep(0.01)
    yield answers
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_object_has_an_api_of_its_own_with_its_throttle_for_all_routes_and_it_goes_with_it(
    env: Environment, fresh_aws: Aws
) -> None:
    allow(env)
    own, other = env.make("own", api={"mode": "Dedicated", "throttle": NARROW}), env.make("other")
    for key in (own, other):
        await env.ready(key)
    names = sorted(apis(fresh_aws).values())
    assert len(names) == 2
    assert "own" in api_of(env, fresh_aws, own)
    assert api_of(env, fresh_aws, own) != api_of(env, fresh_aws, other)
    client = fresh_aws.client("apigatewayv2")
    id_ = next(each["ApiId"] for each in client.get_apis()["Items"] if "own" in each["Name"])
    [stage] = client.get_stages(ApiId=id_)["Items"]
    assert stage["DefaultRouteSettings"] == {
        "DetailedMetricsEnabled": False,
        "ThrottlingBurstLimit": 60,
        "ThrottlingRateLimit": 50,
    }
    assert not stage.get("RouteSettings")
    async with calling(lambda: url(env, own)) as answers:
        assert answers[200] > 0
    await env.snapshot()
    fresh_aws.control.reset_meter()
    await env.snapshot()
    changed = [call.operation for call in fresh_aws.control.log() if call.service == "apigatewayv2"]
    assert all(str(each).startswith("Get") for each in changed), "it is as it should be"
    env.api.remove(own)
    await env.gone(own)
    assert len(apis(fresh_aws)) == 1, "its own is gone, and the other's is there"


@pytest.mark.parametrize(("before", "after"), [("Shared", "Dedicated"), ("Dedicated", "Shared")])
async def test_no_request_is_refused_while_the_mode_changes(
    env: Environment, fresh_aws: Aws, before: str, after: str
) -> None:
    allow(env)
    key = env.make("one", api={"mode": before})
    await env.ready(key)
    old = url(env, key)
    async with calling(lambda: url(env, key)) as current, calling(lambda: old) as former:
        become(env, key, after)
        await env.until(lambda: url(env, key) != old, "another URL")
        await env.ready(key)
        seen = former[200]
        await env.until(lambda: former[200] > seen, "the former URL still answers")
        assert set(former) == {200}
        assert len(apis(fresh_aws)) == 2
        assert "UrlChanged" in {str(each.reason) for each in env.api.events}
        await after_the_handover(env, key)
        await env.until(lambda: len(apis(fresh_aws)) == 1, "the former API is gone")
        seen = current[200]
        await env.until(lambda: current[200] > seen, "the new one answers")
    assert set(current) == {200}
    assert env.is_up_to_date(key)


async def test_the_former_way_stays_until_the_new_one_was_proven(env: Environment, fresh_aws: Aws) -> None:
    allow(env)
    key = env.make("one")
    await env.ready(key)
    old, answer = url(env, key), env.urls.answer
    env.urls.answer = type(answer)(ok=False, message="not yet")
    become(env, key, "Dedicated")
    await env.until(lambda: len(apis(fresh_aws)) == 2, "both ways")
    await after_the_handover(env, key)
    assert url(env, key) == old, "callers are told of nothing that does not answer"
    assert len(apis(fresh_aws)) == 2
    env.urls.answer = answer
    await env.restart()
    env.operator.enqueue(key)
    await env.until(lambda: url(env, key) != old, "proven by an operator that knew nothing")
    await after_the_handover(env, key)
    await env.until(lambda: len(apis(fresh_aws)) == 1, "the former API is gone")


async def test_a_class_that_allows_none_is_told_to_the_object_and_it_is_served_all_the_same(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make("one", api={"mode": "Dedicated"})
    message = await env.reason(key, "NotAllowed", "Stalled")
    assert "spec.routing.allowDedicated" in message
    await env.until(lambda: url(env, key) != "None", "served")
    assert "one" not in api_of(env, fresh_aws, key)
    allow(env)
    await env.until(lambda: "one" in api_of(env, fresh_aws, key), "allowed")


async def test_an_object_that_is_deleted_during_the_change_leaves_nothing(env: Environment, fresh_aws: Aws) -> None:
    allow(env)
    key = env.make("one")
    await env.ready(key)
    become(env, key, "Dedicated")
    await env.until(lambda: len(apis(fresh_aws)) == 2, "both ways")
    env.api.remove(key)
    await env.gone(key)
    await env.until(lambda: apis(fresh_aws) == {}, "nothing is left")


async def test_a_path_is_one_object_s_in_all_apis(env: Environment, fresh_aws: Aws) -> None:
    allow(env)
    path: dict[str, Any] = {"path": "/nlp/wanted/v1"}
    own = env.make("own", api={"mode": "Dedicated", **path})
    await env.ready(own)
    late = env.make("late", api=path)
    await env.reason(late, "PathConflict", "RouteReady", saying="nlp/own")
    assert "own" in api_of(env, fresh_aws, own)


def let_in(env: Environment, issuer: Issuer | None = None) -> None:
    """Have the class take JWTs of an issuer, or name none any more, and allow APIs of objects' own."""
    jwt = {"issuer": issuer.url, "audiences": [AUDIENCE]} if issuer else None
    auth = {"allowed": ["Token", "JWT", "IAM"], "jwt": jwt}
    env.api.change(CLASS, {"spec": {"routing": {"allowDedicated": True, "auth": auth, "throttle": OFTEN}}})


def authorizers(aws: Aws) -> list[str]:
    """The APIs that check JWTs, by their names."""
    client = aws.client("apigatewayv2")
    apis = client.get_apis()["Items"]
    found = of_each(apis, lambda api: (api, client.get_authorizers(ApiId=api["ApiId"])["Items"]))
    return [api["Name"] for api, items in found for _ in items]


@pytest.mark.parametrize(("before", "after"), [("Shared", "Dedicated"), ("Dedicated", "Shared")])
async def test_a_url_that_takes_jwts_is_open_at_no_moment_while_its_mode_changes(
    env: Environment, fresh_aws: Aws, issuer: Issuer, before: str, after: str
) -> None:
    let_in(env, issuer)
    key = env.make("one", api={"mode": before, "auth": {"type": "JWT"}})
    await env.ready(key)
    current, jwt = lambda: url(env, key), issuer.token(repository="acme/sentiment")
    async with (
        calling(current, "openapi.json") as nobody,
        calling(current, "openapi.json", issuer.token(repository="mallory/sentiment")) as other,
        calling(current, "openapi.json", jwt) as invited,
    ):
        old = url(env, key)
        become(env, key, after)
        await env.until(lambda: url(env, key) != old, "another URL")
        await env.ready(key)
        assert len(authorizers(fresh_aws)) == 2, "each API checks"
        await after_the_handover(env, key)
        await env.until(lambda: len(apis(fresh_aws)) == 1, "the former API is gone")
        seen = invited.total()
        await env.until(lambda: invited.total() > seen, "the new one answers")
    assert (set(nobody), set(other), set(invited)) == ({401}, {403}, {200})
    [api] = authorizers(fresh_aws)
    assert ("one" in api) is (after == "Dedicated")
    env.api.remove(key)
    await env.gone(key)
    await env.until(lambda: apis(fresh_aws) == {}, "nothing is left")


async def test_an_api_of_its_own_has_the_authorizer_for_as_long_as_the_object_takes_jwts(
    env: Environment, fresh_aws: Aws, issuer: Issuer
) -> None:
    let_in(env, issuer)
    key = env.make("one", api={"mode": "Dedicated", "auth": {"type": "JWT"}})
    await env.ready(key)
    created = [call.operation for call in fresh_aws.control.log() if str(call.operation).startswith("Create")]
    assert created.index("CreateAuthorizer") < created.index("CreateRoute")
    kinds = {each["kind"] for each in env.api.kept[key]["status"]["resources"]}
    assert "Authorizer" in kinds, "it is the object's own"
    await env.restart()
    await env.rest()
    fresh_aws.control.reset_meter()
    await env.snapshot()
    changed = [call.operation for call in fresh_aws.control.log() if call.service == "apigatewayv2"]
    assert all(str(each).startswith("Get") for each in changed), "it is as it should be"
    let_in(env)
    await env.reason(key, "IssuerMissing", "Stalled")
    await env.until(lambda: authorizers(fresh_aws) == [], "nobody uses it")
    async with calling(lambda: url(env, key), "openapi.json") as nobody:
        await env.until(lambda: nobody.total() > 1, "asked")
    assert set(nobody) == {401}
    env.api.change(key, {"spec": {"api": {"auth": {"type": "IAM"}}}})
    await env.ready(key)
    async with calling(lambda: url(env, key), "openapi.json", "a-token") as unsigned:
        await env.until(lambda: unsigned.total() > 1, "asked")
    assert set(unsigned) == {403}


async def test_an_object_that_finds_no_room_for_its_further_routes_keeps_its_callers_and_is_told(
    env: Environment, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ephemeral_endpoints.wiring.services.Placements", partial(Placements, limit=Load(300, 6)))
    await env.restart()
    let_in(env, issuer)
    key, other = env.make("one"), env.make("other")
    for each in (key, other):
        await env.ready(each)
    old = url(env, key)
    env.api.change(key, {"spec": {"api": {"auth": {"type": "JWT"}}}})
    await env.reason(key, "ApiFull", saying="set spec.api.mode to Dedicated")
    await env.reason(key, "ApiFull", "RouteReady", saying="authenticate as before")
    assert env.api.kept[key]["status"]["route"]["auth"] == "Token"
    jwt = issuer.token(repository="acme/sentiment")
    async with calling(lambda: old, "openapi.json", "a-token") as before, calling(lambda: old, "readyz", jwt) as after:
        await env.until(lambda: before.total() > 1 < after.total(), "asked")
    assert (set(before), set(after)) == ({200}, {401})

    become(env, key, "Dedicated")
    await env.ready(key)
    assert env.api.kept[key]["status"]["route"]["auth"] == "JWT"
    async with calling(lambda: url(env, key), "openapi.json", jwt) as invited:
        await env.until(lambda: invited.total() > 1, "asked")
    assert set(invited) == {200}
    await after_the_handover(env, key)

    env.api.change(other, {"spec": {"api": {"auth": {"type": "JWT"}}}})
    await env.ready(other)
    assert url(env, other).startswith(old.removesuffix("/nlp/one")), "there is room now"
