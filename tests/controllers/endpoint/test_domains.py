"""The custom domain of a class: objects have their URLs there while it leads to them, and others otherwise."""

from typing import Any
from urllib.parse import urljoin

import aiohttp
import pytest
from tests.aws.cloud import CERTIFICATE, DOMAIN
from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from ephemeral_endpoints.features.routing.answers import Answer
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

CLASS = class_key("default")


def make_domain(aws: Aws, name: str = DOMAIN) -> None:
    """What a platform team has made."""
    configuration: Any = {"CertificateArn": CERTIFICATE, "EndpointType": "REGIONAL"}
    aws.client("apigatewayv2").create_domain_name(DomainName=name, DomainNameConfigurations=[configuration])


def mappings(aws: Aws, name: str = DOMAIN) -> dict[str, str]:
    """The paths of a domain, and the names of the APIs that they lead to."""
    client = aws.client("apigatewayv2")
    names = {each["ApiId"]: each["Name"] for each in client.get_apis()["Items"]}
    found = client.get_api_mappings(DomainName=name)["Items"]
    return {each.get("ApiMappingKey", ""): names.get(each["ApiId"], "") for each in found}


def theirs(aws: Aws) -> str:
    """An API of somebody else."""
    client = aws.client("apigatewayv2")
    id_ = client.create_api(Name="theirs", ProtocolType="HTTP")["ApiId"]
    client.create_stage(ApiId=id_, StageName="$default", AutoDeploy=True)
    return str(id_)


def take(env: Environment, name: str = "default", **domain: Any) -> None:  # noqa: ANN401 - members of a spec
    """Have a class use a domain."""
    env.api.change(class_key(name), {"spec": {"routing": {"domain": {"name": DOMAIN, **domain}}}})


def url(env: Environment, key: ObjectKey) -> str:
    return str(env.api.kept[key]["status"].get("url"))


def is_on_domain(env: Environment, key: ObjectKey) -> bool:
    return url(env, key).startswith(f"https://{DOMAIN}/")


async def on_domain(env: Environment, aws: Aws) -> ObjectKey:
    """An object with its URL below the domain."""
    make_domain(aws)
    take(env)
    key = env.make("one")
    await env.ready(key)
    await env.until(lambda: is_on_domain(env, key), "on the domain")
    await env.rest()
    return key


async def test_an_object_has_its_url_below_the_domain_and_all_goes_with_it(env: Environment, fresh_aws: Aws) -> None:
    key = await on_domain(env, fresh_aws)
    assert url(env, key) == f"https://{DOMAIN}/nlp/one"
    assert list(mappings(fresh_aws)) == [""]
    assert env.condition(CLASS, "DomainReady")["status"] == "True"
    fresh_aws.control.reset_meter()
    await env.snapshot()
    calls = fresh_aws.control.calls()["apigatewayv2"]
    assert {name: count for name, count in calls.items() if "Domain" in name or "Mapping" in name} == {
        "GetDomainNames": 1,
        "GetApiMappings": 1,
    }
    env.api.remove(key)
    await env.gone(key)
    await env.until(lambda: mappings(fresh_aws) == {}, "not mapped any more")


async def test_until_the_url_below_the_domain_answers_the_other_one_is_shown(env: Environment, fresh_aws: Aws) -> None:
    make_domain(fresh_aws)
    take(env, basePath="models")
    env.urls.answers["https://"] = Answer(ok=False, message="no such host")
    key = env.make("one")
    await env.ready(key)
    assert "/_api/" in url(env, key)
    message = env.condition(key, "RouteReady")["message"]
    assert "does not answer yet (no such host): see its DNS and its certificate" in message
    del env.urls.answers["https://"]
    env.clock.advance(301)
    await env.refresh(key)
    await env.until(lambda: url(env, key) == f"https://{DOMAIN}/models/nlp/one", "it answers")


NO_DNS = Answer(ok=False, message="no such host")
PUSHED = {"spec": {"source": {"revision": "fedcba9876543210"}}}


async def test_a_url_that_was_proven_stays_whatever_becomes_of_its_dns(env: Environment, fresh_aws: Aws) -> None:
    put_image(fresh_aws)
    key = await on_domain(env, fresh_aws)
    env.urls.answers["https://"] = NO_DNS
    env.api.events.clear()
    shown = url(env, key)
    seen: set[str] = set()
    watch = env.api.watch

    def note(event: Any) -> None:  # noqa: ANN401 - JSON
        seen.add(str(event["object"].get("status", {}).get("url", shown)))
        watch(event)

    env.api.watch = note
    env.api.change(key, PUSHED)
    await env.ready(key)
    env.api.change(key, {"metadata": {"annotations": {"ephemeral-endpoints.io/refresh": "now"}}})
    await env.ready(key)
    assert seen == {shown}
    assert "UrlChanged" not in {each.reason for each in env.api.events}
    assert "does not answer" not in env.condition(key, "RouteReady")["message"]


async def test_a_restart_requests_no_url_and_writes_nothing(env: Environment, fresh_aws: Aws) -> None:
    key = await on_domain(env, fresh_aws)
    shown, requests, writes = url(env, key), env.urls.requests, env.api.writes
    env.urls.answer = NO_DNS
    await env.restart()
    await env.refresh(key)
    assert (url(env, key), env.urls.requests, env.api.writes) == (shown, requests, writes)


async def test_a_domain_that_turns_unusable_disproves_the_urls_below_it(env: Environment, fresh_aws: Aws) -> None:
    key = await on_domain(env, fresh_aws)
    client: Any = fresh_aws.client("apigatewayv2")
    for certificate, begins in ((CERTIFICATE.replace("us-east-1", "eu-west-1"), "http://"), (CERTIFICATE, "https://")):
        configuration = {"CertificateArn": certificate, "EndpointType": "REGIONAL"}
        client.update_domain_name(DomainName=DOMAIN, DomainNameConfigurations=[configuration])
        env.clock.advance(301)
        env.operator.enqueue(CLASS)
        await env.until(lambda begins=begins: url(env, key).startswith(begins), begins)  # type: ignore[misc] # a default


async def test_a_url_of_another_path_has_to_answer_first(env: Environment, fresh_aws: Aws) -> None:
    key = await on_domain(env, fresh_aws)
    env.urls.answers["https://"] = NO_DNS
    env.api.change(key, {"spec": {"api": {"path": "/nlp/one/v2"}}})
    await env.until(lambda: url(env, key).endswith("/nlp/one/v2"), "at the new path")
    assert "/_api/" in url(env, key)


async def test_a_domain_that_is_taken_away_leaves_objects_at_the_urls_of_api_gateway(
    env: Environment, fresh_aws: Aws
) -> None:
    key = await on_domain(env, fresh_aws)
    client = fresh_aws.client("apigatewayv2")
    apis = [each["ApiId"] for each in client.get_apis()["Items"]]
    client.delete_domain_name(DomainName=DOMAIN)
    env.clock.advance(301)
    await env.snapshot()
    await env.until(lambda: "/_api/" in url(env, key), "at the URL of API Gateway")
    await env.ready(key)
    assert "see the condition DomainReady of class default" in env.condition(key, "RouteReady")["message"]
    message = await env.reason(CLASS, "DomainNotFound", "DomainReady")
    assert "a platform engineer must create it there" in message
    assert env.condition(CLASS)["status"] == "True", "the class serves all the same"
    assert [each["ApiId"] for each in client.get_apis()["Items"]] == apis, "nothing is deleted"
    assert "UrlChanged" in {str(each.reason) for each in env.api.events}
    make_domain(fresh_aws)
    env.clock.advance(301)
    env.operator.enqueue(CLASS)
    await env.until(lambda: is_on_domain(env, key), "it is back")


async def test_a_class_that_asks_for_the_path_of_another_is_told_and_the_other_keeps_it(
    env: Environment, fresh_aws: Aws
) -> None:
    key = await on_domain(env, fresh_aws)
    held = mappings(fresh_aws)
    env.make_class("second", routing={"domain": {"name": DOMAIN}})
    late = env.make("late", className="second")
    await env.ready(late)
    message = await env.reason(class_key("second"), "DomainPathTaken", "DomainReady")
    assert "choose another spec.routing.domain.basePath" in message
    assert mappings(fresh_aws) == held
    assert "/_api/" in url(env, late)
    take(env, "second", basePath="second")
    await env.until(lambda: url(env, late) == f"https://{DOMAIN}/second/nlp/late", "a path of its own")
    assert is_on_domain(env, key)


async def test_somebody_s_mapping_that_takes_the_path_of_an_object_is_told_to_it(
    env: Environment, fresh_aws: Aws
) -> None:
    key = await on_domain(env, fresh_aws)
    client: Any = fresh_aws.client("apigatewayv2")
    client.create_api_mapping(DomainName=DOMAIN, ApiId=theirs(fresh_aws), Stage="$default", ApiMappingKey="nl")
    await env.snapshot()
    await env.refresh(key)
    assert "/_api/" in url(env, key)
    assert f"the mapping {DOMAIN}/nl takes its path" in env.condition(key, "RouteReady")["message"]
    assert mappings(fresh_aws)["nl"] == "theirs", "it is never touched"


async def test_a_class_that_gives_its_domain_up_takes_its_mapping_away_after_a_restart_too(
    env: Environment, fresh_aws: Aws
) -> None:
    key = await on_domain(env, fresh_aws)
    await env.stop()
    env.api.change(CLASS, {"spec": {"routing": {"domain": None}}})
    await env.restart()
    await env.until(lambda: mappings(fresh_aws) == {}, "not mapped any more")
    await env.refresh(key)
    assert "/_api/" in url(env, key)
    assert not env.condition(CLASS, "DomainReady")


@pytest.mark.parametrize("is_repointed", [False, True])
async def test_a_mapping_that_somebody_deletes_is_made_again_and_one_that_is_repointed_is_theirs(
    env: Environment, fresh_aws: Aws, *, is_repointed: bool
) -> None:
    key = await on_domain(env, fresh_aws)
    client: Any = fresh_aws.client("apigatewayv2")
    [mapping] = client.get_api_mappings(DomainName=DOMAIN)["Items"]
    which = {"DomainName": DOMAIN, "ApiMappingId": mapping["ApiMappingId"]}
    if not is_repointed:
        client.delete_api_mapping(**which)
        await env.snapshot()
        await env.until(lambda: list(mappings(fresh_aws)) == [""], "made again")
        await env.until(lambda: is_on_domain(env, key), "on the domain")
        return
    client.update_api_mapping(ApiId=theirs(fresh_aws), Stage="$default", **which)
    await env.snapshot()
    await env.reason(CLASS, "DomainPathTaken", "DomainReady")
    await env.until(lambda: "/_api/" in url(env, key), "at the URL of API Gateway")


async def test_below_a_path_of_the_domain_all_links_stay_below_it(env: Environment, fresh_aws: Aws) -> None:
    make_domain(fresh_aws)
    take(env, basePath="models")
    key = env.make("one")
    await env.ready(key)
    await env.until(lambda: is_on_domain(env, key), "on the domain")

    async def get(child: str) -> Any:  # noqa: ANN401 - JSON
        asked = {"host": DOMAIN, "authorization": "Bearer a-token"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{fresh_aws.endpoint}/models/nlp/one{child}", headers=asked) as answer,
        ):
            assert answer.status == 200
            return await answer.json()

    [server] = (await get("/openapi.json"))["servers"]
    assert urljoin(f"{url(env, key)}/openapi.json", server["url"]) == url(env, key)
    links = {urljoin(url(env, key), each) for each in (await get(""))["links"].values()}
    assert all(each.startswith(f"{url(env, key)}/") for each in links), links
