"""deletionPolicy Retain, and the tags that follow an object's life."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.fixtures.platform import Aws
from tests.reconcile.test_controls import DENIED, age, annotated, changes, known
from tests.reconcile.world import Desk

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.core.orphans import UNTAGGABLE
from ephemeral_endpoints.core.resources import Have, Kind
from ephemeral_endpoints.core.tags import EXPIRES_AT, RETAIN, timestamp
from ephemeral_endpoints.kube.store import FINALIZER, ObjectKey
from ephemeral_endpoints.local.aws.faults import Fault

RETAINING: Any = {"lifecycle": {"deletionPolicy": "Retain"}}
GITOPS = {"metadata": {"labels": {"argocd.argoproj.io/instance": "previews"}}}
TAGGING = {"AddTags", "TagResource"}


async def tags(desk: Desk) -> dict[str, dict[str, str]]:
    """The tags of all taggable things of objects."""
    [account] = desk.operator._accounts.connected
    found = {}
    for key, have in known(desk).items():
        if key.kind not in UNTAGGABLE | {Kind.HTTP_API}:
            component = account._components[key.kind]
            found[str(key)] = dict(await component.tags(account.calls, have) or {})
    return found


def kinds(haves: dict[Any, Have]) -> set[Kind]:
    return {key.kind for key in haves}


async def test_a_retained_object_goes_and_everything_stays_and_says_so(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make(**RETAINING)
    await desk.ready(key)
    before = known(desk)
    fresh_aws.control.reset_meter()
    desk.api.remove(key)
    await desk.gone(key)
    await desk.snapshot()
    assert known(desk).keys() == before.keys()
    assert set(changes(fresh_aws)) == TAGGING, "nothing but tags has changed"
    assert {each[RETAIN] for each in (await tags(desk)).values()} == {"true"}
    [told] = [each for each in desk.api.events if each.reason == "Retained"]
    assert told.kind == "Normal"
    assert f"{RETAIN}=true" in told.message
    assert all(str(each) in told.message for each in before if each.kind is not Kind.HTTP_API)


async def test_the_finalizer_stays_until_all_is_marked(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make(**RETAINING)
    await desk.ready(key)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="TagResource", error=DENIED))
    desk.api.remove(key)
    message = await desk.reason(key, "Retaining")
    assert "TagResource: not you" in message
    assert desk.condition(key, "Reconciling")["status"] == "True"
    assert desk.api.kept[key]["metadata"]["finalizers"] == [FINALIZER]
    assert not [each for each in desk.api.events if each.reason == "Retained"]

    await desk.restart()
    fresh_aws.control.clear_faults()
    await desk.gone(key)
    assert {each[RETAIN] for each in (await tags(desk)).values()} == {"true"}


async def test_what_does_not_belong_to_the_object_is_not_marked_and_holds_nothing_up(
    desk: Desk, fresh_aws: Aws
) -> None:
    key = desk.make(**RETAINING)
    await desk.ready(key)
    await desk.restart()
    await desk.ready(key)
    [function] = [have for each, have in known(desk).items() if each.kind is Kind.FUNCTION]
    client = fresh_aws.client("lambda")
    client.untag_resource(Resource=function.arn, TagKeys=list(client.list_tags(Resource=function.arn)["Tags"]))
    desk.api.remove(key)
    await desk.gone(key)
    assert client.list_tags(Resource=function.arn)["Tags"] == {}


async def test_a_changed_mind_counts_as_long_as_the_object_is_there(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make(**RETAINING)
    await desk.ready(key)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="TagResource", error=DENIED))
    desk.api.remove(key)
    await desk.reason(key, "Retaining")
    desk.api.change(key, {"spec": {"lifecycle": {"deletionPolicy": "Delete"}}})
    await desk.gone(key)
    assert kinds(known(desk)) <= {Kind.HTTP_API}


async def test_an_expired_object_is_deleted_and_everything_stays(desk: Desk) -> None:
    key = desk.make(**RETAINING)
    made = await desk.ready(key)
    before = known(desk)
    desk.api.change(key, {"spec": {"lifecycle": {"ttl": f"{int(age(made)) + 1}s"}}})
    await desk.gone(key)
    await desk.snapshot()
    assert known(desk).keys() == before.keys()
    assert {"Expired", "Retained"} <= {each.reason for each in desk.api.events}


async def test_nothing_goes_of_an_object_that_expires_while_it_is_being_changed(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make(**RETAINING)
    made = await desk.ready(key)
    before = known(desk)
    fresh_aws.control.add_faults(Fault(service="logs", operation="PutRetentionPolicy", times=1, delay_seconds=2))
    lifecycle = {"ttl": f"{int(age(made)) + 1}s"}
    desk.api.change(key, {"spec": {"monitoring": {"logRetentionDays": 30}, "lifecycle": lifecycle}})
    await desk.gone(key)
    await desk.snapshot()
    assert known(desk).keys() == before.keys()


async def test_what_is_to_be_retained_after_all_while_it_goes_loses_nothing_more(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make()
    await desk.ready(key)
    fresh_aws.control.add_faults(Fault(service="apigatewayv2", operation="DeleteRoute", times=1, delay_seconds=1))
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="DeleteEndpoint", times=1, error=DENIED))
    desk.api.remove(key)
    await desk.until(lambda: any(each.fired for each in fresh_aws.control.faults()), "the object going")
    desk.api.change(key, {"spec": {"lifecycle": {"deletionPolicy": "Retain"}}})
    await desk.gone(key)
    await desk.snapshot()
    assert {Kind.ENDPOINT, Kind.FUNCTION, Kind.INTEGRATION} <= kinds(known(desk))


async def test_a_retired_object_is_a_tombstone_of_what_serves_on_until_it_is_revived_or_deleted(
    desk: Desk, fresh_aws: Aws
) -> None:
    key = desk.make(**RETAINING)
    desk.api.change(key, GITOPS)
    made = await desk.ready(key)
    desk.api.change(key, {"spec": {"lifecycle": {"ttl": f"{int(age(made)) + 1}s"}}})
    message = await desk.reason(key, "Retained")
    assert "the time to live is over" in message
    assert "stays in AWS" in message
    assert desk.condition(key, "Reconciling")["status"] == "False"
    assert len(desk.api.kept[key]["status"]["resources"]) == len(known(desk)) - 1
    await desk.rest()

    fresh_aws.control.reset_meter()
    writes = desk.api.writes
    await desk.restart()
    await desk.until(lambda: bool(desk.operator._accounts.connected), "connected")
    await desk.look(key)
    assert changes(fresh_aws) == [], "after a restart the status tells that all is marked"
    assert desk.api.writes == writes

    desk.api.change(key, {"spec": {"lifecycle": {"ttl": "20h"}}})
    await desk.ready(key)
    assert {each[RETAIN] for each in (await tags(desk)).values()} == {"false"}
    desk.api.change(key, {"spec": {"lifecycle": {"deletionPolicy": "Delete"}}})
    desk.api.remove(key)
    await desk.gone(key)
    assert kinds(known(desk)) <= {Kind.HTTP_API}


async def test_a_class_whose_api_is_still_used_says_by_what_and_goes_after_it(desk: Desk, fresh_aws: Aws) -> None:
    klass, key = ObjectKey(None, "default"), desk.make(**RETAINING)
    await desk.ready(key)
    desk.api.remove(klass)
    assert "objects" in await desk.reason(klass, "InUse")
    desk.api.remove(key)
    await desk.gone(key)
    await desk.until(lambda: "Route" in desk.condition(klass).get("message", ""), "the users told")
    message = desk.condition(klass)["message"]
    for each in known(desk):
        assert (str(each) in message) is (each.kind in {Kind.HTTP_API, Kind.INTEGRATION, Kind.ROUTE})
    assert klass in desk.api.kept

    gateway = fresh_aws.client("apigatewayv2")
    [api] = gateway.get_apis()["Items"]
    for route in gateway.get_routes(ApiId=api["ApiId"])["Items"]:
        gateway.delete_route(ApiId=api["ApiId"], RouteId=route["RouteId"])
    for integration in gateway.get_integrations(ApiId=api["ApiId"])["Items"]:
        gateway.delete_integration(ApiId=api["ApiId"], IntegrationId=integration["IntegrationId"])
    await desk.snapshot()
    desk.operator._queue.wake(klass)
    await desk.until(lambda: klass not in desk.api.kept, "the class gone")
    assert gateway.get_apis()["Items"] == []


async def expires(desk: Desk, key: ObjectKey) -> set[bool]:
    """Whether tags tell the end that the status does."""
    wanted = timestamp(datetime.fromisoformat(desk.api.kept[key]["status"]["expiresAt"]))
    return {each[EXPIRES_AT] == wanted for each in (await tags(desk)).values()}


async def test_the_tags_follow_the_end_of_life_by_one_pass_a_change(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make()
    await desk.ready(key)
    assert await expires(desk, key) == {True}
    fresh_aws.control.reset_meter()
    desk.api.change(key, {"spec": {"lifecycle": {"ttl": "10h"}}})
    await desk.ready(key)
    assert await expires(desk, key) == {True}
    tagged = [call for call in fresh_aws.control.log() if call.operation in TAGGING]
    assert len(tagged) == len([each for each in known(desk) if each.kind not in UNTAGGABLE | {Kind.HTTP_API}])

    fresh_aws.control.reset_meter()
    await desk.look(key)
    await desk.restart()
    await desk.until(lambda: bool(desk.operator._accounts.connected), "connected")
    await desk.look(key)
    assert changes(fresh_aws) == []


async def test_a_longer_life_that_begins_while_no_operator_runs_is_seen_by_the_next(desk: Desk) -> None:
    key = desk.make()
    await desk.ready(key)
    await desk.stop()
    desk.api.change(key, {"spec": {"lifecycle": {"ttl": "10h"}}})
    await desk.restart()
    await desk.ready(key)
    assert await expires(desk, key) == {True}


async def test_tags_that_cannot_be_changed_keep_nothing_from_serving_and_are_tried_again(
    desk: Desk, fresh_aws: Aws
) -> None:
    key = desk.make()
    made = await desk.ready(key)
    fresh_aws.control.add_faults(Fault(service="logs", operation="TagResource", error=DENIED))
    desk.api.change(key, {"spec": {"lifecycle": {"ttl": "10h"}}})
    ready = await desk.ready(key)
    created = datetime.fromisoformat(made["metadata"]["creationTimestamp"])
    assert datetime.fromisoformat(ready["status"]["expiresAt"]) == created + timedelta(hours=10)
    assert await expires(desk, key) == {True, False}
    fresh_aws.control.clear_faults()
    fresh_aws.control.reset_meter()
    desk.api.change(key, annotated(RECONCILE_AT_ANNOTATION, "now"))
    await desk.rest()
    assert await expires(desk, key) == {True}
    assert changes(fresh_aws) == ["TagResource"], "those that carry them already are not tagged again"


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
async def test_what_was_never_made_goes_without_a_call_that_changes_anything(
    desk: Desk, fresh_aws: Aws, policy: str
) -> None:
    key = desk.make(suspend=True, lifecycle={"deletionPolicy": policy})
    await desk.reason(key, "Suspended", "Reconciling")
    desk.api.remove(key)
    await desk.gone(key)
    assert changes(fresh_aws) == []
