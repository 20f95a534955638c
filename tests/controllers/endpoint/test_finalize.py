"""deletionPolicy Retain, and the tags that follow an object's life."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.controllers.endpoint.test_controls import DENIED, age, annotated, changes, known
from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.aws.account import ORPHANS
from ephemeral_endpoints.engine.resources import ObservedResource, ResourceKind
from ephemeral_endpoints.engine.tags import EXPIRES_AT, RETAIN, timestamp
from ephemeral_endpoints.features.routing.specs import FUNCTION, HTTP_API, INTEGRATION, ROUTE
from ephemeral_endpoints.features.serving.specs import ENDPOINT
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey, class_key

RETAINING: Any = {"lifecycle": {"deletionPolicy": "Retain"}}
GITOPS = {"metadata": {"labels": {"argocd.argoproj.io/instance": "previews"}}}
TAGGING = {"AddTags", "TagResource"}


async def tags(env: Environment) -> dict[str, dict[str, str]]:
    """The tags of all taggable things of objects."""
    [account] = env.operator.accounts.connected
    found = {}
    for key, observed in known(env).items():
        if key.kind.taggable and key.kind is not HTTP_API:
            found[str(key)] = dict(await account.tags(observed, ORPHANS) or {})
    return found


def kinds(observed_resources: dict[Any, ObservedResource]) -> set[ResourceKind]:
    return {key.kind for key in observed_resources}


@pytest.fixture(autouse=True)
async def retaining_class(env: Environment) -> None:
    env.make_class(lifecycle={"allowRetain": True})


async def test_retain_voids_no_ttl_unless_the_class_allows_it(env: Environment) -> None:
    key = env.make(**RETAINING)
    await env.ready(key)
    env.make_class()
    message = await env.reason(key, "NotAllowed", "Stalled")
    assert "ask the platform team to set spec.lifecycle.allowRetain of the class" in message
    env.api.remove(key)
    await env.gone(key)
    await env.snapshot()
    assert kinds(known(env)) <= {HTTP_API}


async def test_a_retained_object_goes_and_everything_stays_and_says_so(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(**RETAINING)
    await env.ready(key)
    before = known(env)
    fresh_aws.control.reset_meter()
    env.api.remove(key)
    await env.gone(key)
    await env.snapshot()
    assert known(env).keys() == before.keys()
    assert set(changes(fresh_aws)) == TAGGING, "nothing but tags has changed"
    assert {each[RETAIN] for each in (await tags(env)).values()} == {"true"}
    [reported] = [each for each in env.api.events if each.reason == "Retained"]
    assert reported.kind == "Normal"
    assert f"{RETAIN}=true" in reported.message
    assert all(str(each) in reported.message for each in before if each.kind is not HTTP_API)


async def test_the_finalizer_stays_until_all_resources_are_tagged(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(**RETAINING)
    await env.ready(key)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="TagResource", error=DENIED))
    env.api.remove(key)
    message = await env.reason(key, "Retaining")
    assert "TagResource: not you" in message
    assert env.condition(key, "Reconciling")["status"] == "True"
    assert env.api.kept[key]["metadata"]["finalizers"] == [FINALIZER]
    assert not [each for each in env.api.events if each.reason == "Retained"]

    await env.restart()
    fresh_aws.control.clear_faults()
    await env.gone(key)
    assert {each[RETAIN] for each in (await tags(env)).values()} == {"true"}


async def test_resources_of_others_are_not_tagged_and_block_nothing(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(**RETAINING)
    await env.ready(key)
    await env.restart()
    await env.ready(key)
    [function] = [observed for each, observed in known(env).items() if each.kind is FUNCTION]
    client = fresh_aws.client("lambda")
    client.untag_resource(Resource=function.arn, TagKeys=list(client.list_tags(Resource=function.arn)["Tags"]))
    env.api.remove(key)
    await env.gone(key)
    assert client.list_tags(Resource=function.arn)["Tags"] == {}


async def test_a_changed_mind_counts_as_long_as_the_object_is_there(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(**RETAINING)
    await env.ready(key)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="TagResource", error=DENIED))
    env.api.remove(key)
    await env.reason(key, "Retaining")
    env.api.change(key, {"spec": {"lifecycle": {"deletionPolicy": "Delete"}}})
    await env.gone(key)
    assert kinds(known(env)) <= {HTTP_API}


async def test_an_expired_object_is_deleted_and_everything_stays(env: Environment) -> None:
    key = env.make(**RETAINING)
    made = await env.ready(key)
    before = known(env)
    env.api.change(key, {"spec": {"lifecycle": {"ttl": f"{int(age(made)) + 1}s"}}})
    await env.gone(key)
    await env.snapshot()
    assert known(env).keys() == before.keys()
    assert {"Expired", "Retained"} <= {each.reason for each in env.api.events}


async def test_nothing_goes_of_an_object_that_expires_while_it_is_being_changed(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make(**RETAINING)
    made = await env.ready(key)
    before = known(env)
    fresh_aws.control.add_faults(Fault(service="logs", operation="PutRetentionPolicy", times=1, held=True))
    env.api.change(key, {"spec": {"monitoring": {"logRetentionDays": 30}}})
    await env.until(lambda: fresh_aws.control.faults()[0].fired == 1, "the change under way")
    seconds = int(age(made)) + 1
    env.api.change(key, {"spec": {"lifecycle": {"ttl": f"{seconds}s"}}})
    await env.until(lambda: age(made) > seconds, "the end of its time")
    fresh_aws.control.clear_faults()
    await env.gone(key)
    await env.snapshot()
    assert known(env).keys() == before.keys()


async def test_what_is_to_be_retained_after_all_while_it_goes_loses_nothing_more(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.add_faults(Fault(service="apigatewayv2", operation="DeleteRoute", times=1, held=True))
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="DeleteEndpoint", times=1, error=DENIED))
    env.api.remove(key)
    await env.until(lambda: all(each.fired for each in fresh_aws.control.faults()), "the object going")
    env.api.change(key, {"spec": {"lifecycle": {"deletionPolicy": "Retain"}}})
    fresh_aws.control.clear_faults()
    await env.gone(key)
    await env.snapshot()
    assert {ENDPOINT, FUNCTION, INTEGRATION} <= kinds(known(env))


async def test_a_retired_object_is_a_tombstone_of_what_serves_on_until_it_is_revived_or_deleted(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make(**RETAINING)
    env.api.change(key, GITOPS)
    made = await env.ready(key)
    env.api.change(key, {"spec": {"lifecycle": {"ttl": f"{int(age(made)) + 1}s"}}})
    message = await env.reason(key, "Retained")
    assert "the time to live is over" in message
    assert "its AWS resources stay" in message
    assert env.condition(key, "Reconciling")["status"] == "False"
    assert len(env.api.kept[key]["status"]["resources"]) == len(known(env)) - 1
    await env.rest()

    fresh_aws.control.reset_meter()
    writes = env.api.writes
    await env.restart()
    await env.until(lambda: bool(env.operator.accounts.connected), "connected")
    await env.refresh(key)
    assert changes(fresh_aws) == [], "after a restart the status shows that everything is tagged"
    assert env.api.writes == writes

    env.api.change(key, {"spec": {"lifecycle": {"ttl": "20h"}}})
    await env.ready(key)
    assert {each[RETAIN] for each in (await tags(env)).values()} == {"false"}
    env.api.change(key, {"spec": {"lifecycle": {"deletionPolicy": "Delete"}}})
    env.api.remove(key)
    await env.gone(key)
    assert kinds(known(env)) <= {HTTP_API}


async def test_a_class_whose_api_is_still_used_says_by_what_and_goes_after_it(env: Environment, fresh_aws: Aws) -> None:
    endpoint_class, key = class_key("default"), env.make(**RETAINING)
    await env.ready(key)
    env.api.remove(endpoint_class)
    await env.reason(endpoint_class, "InUse", saying="EphemeralEndpoints of the class")
    env.api.remove(key)
    await env.gone(key)
    await env.until(lambda: "Route" in env.condition(endpoint_class).get("message", ""), "the users reported")
    message = env.condition(endpoint_class)["message"]
    for each in known(env):
        assert (str(each) in message) is (each.kind in {HTTP_API, INTEGRATION, ROUTE})
    assert endpoint_class in env.api.kept

    gateway = fresh_aws.client("apigatewayv2")
    [api] = gateway.get_apis()["Items"]
    for route in gateway.get_routes(ApiId=api["ApiId"])["Items"]:
        gateway.delete_route(ApiId=api["ApiId"], RouteId=route["RouteId"])
    for integration in gateway.get_integrations(ApiId=api["ApiId"])["Items"]:
        gateway.delete_integration(ApiId=api["ApiId"], IntegrationId=integration["IntegrationId"])
    await env.snapshot()
    env.operator.enqueue(endpoint_class)
    await env.until(lambda: endpoint_class not in env.api.kept, "the class gone")
    assert gateway.get_apis()["Items"] == []


async def expires(env: Environment, key: ObjectKey) -> set[bool]:
    """Whether tags have the expiry of the status."""
    wanted = timestamp(datetime.fromisoformat(env.api.kept[key]["status"]["expiresAt"]))
    return {each[EXPIRES_AT] == wanted for each in (await tags(env)).values()}


async def test_the_tags_follow_the_end_of_life_by_one_pass_a_change(env: Environment, fresh_aws: Aws) -> None:
    key = env.make()
    await env.ready(key)
    assert await expires(env, key) == {True}
    fresh_aws.control.reset_meter()
    env.api.change(key, {"spec": {"lifecycle": {"ttl": "10h"}}})
    await env.ready(key)
    assert await expires(env, key) == {True}
    tagged = [call for call in fresh_aws.control.log() if call.operation in TAGGING]
    assert len(tagged) == len([each for each in known(env) if each.kind.taggable and each.kind is not HTTP_API])

    fresh_aws.control.reset_meter()
    await env.refresh(key)
    await env.restart()
    await env.until(lambda: bool(env.operator.accounts.connected), "connected")
    await env.refresh(key)
    assert changes(fresh_aws) == []


async def test_a_longer_life_that_begins_while_no_operator_runs_is_seen_by_the_next(env: Environment) -> None:
    key = env.make()
    await env.ready(key)
    await env.stop()
    env.api.change(key, {"spec": {"lifecycle": {"ttl": "10h"}}})
    await env.restart()
    await env.ready(key)
    assert await expires(env, key) == {True}


async def test_tags_that_cannot_be_changed_keep_nothing_from_serving_and_are_tried_again(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    made = await env.ready(key)
    fresh_aws.control.add_faults(Fault(service="logs", operation="TagResource", error=DENIED))
    env.api.change(key, {"spec": {"lifecycle": {"ttl": "10h"}}})
    ready = await env.ready(key)
    assert ready["status"]["expiresAt"] == made["status"]["expiresAt"], "people are told what the tags tell"
    assert await expires(env, key) == {True, False}
    fresh_aws.control.clear_faults()
    fresh_aws.control.reset_meter()
    env.api.change(key, annotated(RECONCILE_AT_ANNOTATION, "now"))
    await env.rest()
    assert await expires(env, key) == {True}
    assert changes(fresh_aws) == ["TagResource"], "those that carry them already are not tagged again"
    created = datetime.fromisoformat(made["metadata"]["creationTimestamp"])
    told = env.api.kept[key]["status"]["expiresAt"]
    assert datetime.fromisoformat(told) == created + timedelta(hours=10)


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
async def test_what_was_never_made_goes_without_a_call_that_changes_anything(
    env: Environment, fresh_aws: Aws, policy: str
) -> None:
    key = env.make(suspend=True, lifecycle={"deletionPolicy": policy})
    await env.reason(key, "Suspended", "Reconciling")
    env.api.remove(key)
    await env.gone(key)
    assert changes(fresh_aws) == []


async def test_a_deletion_that_aws_refuses_says_why_and_is_not_repeated_every_second(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    await env.ready(key)
    conflict = FaultError(code="ConflictException", status=409, message="referenced by a route of somebody else")
    fresh_aws.control.add_faults(Fault(service="apigatewayv2", operation="DeleteIntegration", error=conflict))
    env.api.remove(key)

    def tried() -> int:
        return sum(call.operation == "DeleteIntegration" for call in fresh_aws.control.log())

    await env.until(lambda: tried() > 0, "the first attempt")
    for _ in range(70):
        env.clock.advance(1)
        await env.refresh(key)
    assert 4 <= tried() <= 10
    message = env.condition(key)["message"]
    assert "Integration" in message
    assert "cannot be deleted: DeleteIntegration: referenced by a route of somebody else" in message
    assert "the operator tries again" in message
    fresh_aws.control.clear_faults()
    env.clock.advance(60)
    env.operator.enqueue(key)
    await env.gone(key)


async def test_an_endpoint_that_is_still_created_says_that_it_cannot_be_deleted_yet(
    env: Environment, fresh_aws: Aws
) -> None:
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"create_seconds": 3600}})
    key = env.make()
    await env.reason(key, "Creating", "EndpointReady")
    await env.until(lambda: ENDPOINT in kinds(known(env)), "the endpoint")
    env.api.remove(key)
    await env.until(lambda: "AWS deletes it only when that has ended" in env.condition(key).get("message", ""), "why")
    assert "is Creating" in env.condition(key)["message"]
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"create_seconds": 0}})
    await env.gone(key)
