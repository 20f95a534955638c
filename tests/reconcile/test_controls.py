"""What people can ask of a single object: to pause, to be looked at anew, to be let go."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.fixtures.platform import Aws
from tests.reconcile.world import Desk, Object

from ephemeral_endpoints.api import ABANDON_ANNOTATION, RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.core.resources import Have, Key, Kind
from ephemeral_endpoints.kube.store import FINALIZER, ObjectKey
from ephemeral_endpoints.local.aws.faults import Fault, FaultError

READING = ("BatchGet", "Describe", "Get", "List")
DENIED = FaultError(code="AccessDeniedException", message="not you", status=400)


def annotated(name: str, value: str) -> Mapping[str, Any]:
    return {"metadata": {"annotations": {name: value}}}


def changes(aws: Aws) -> list[str]:
    """The calls since the last reset that change something."""
    names = [name for each in aws.control.calls().values() for name in each]
    return sorted(name for name in names if not name.startswith(READING))


def known(desk: Desk) -> dict[Key, Have]:
    [account] = desk.operator._accounts.connected
    return dict(account.inventory.all)


def alarms(aws: Aws) -> list[str]:
    return sorted(each["AlarmName"] for each in aws.client("cloudwatch").describe_alarms()["MetricAlarms"])


def age(obj: Object) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(obj["metadata"]["creationTimestamp"])).total_seconds()


async def test_while_suspended_nothing_is_changed_or_repaired_and_afterwards_all_of_it_is(
    desk: Desk, fresh_aws: Aws
) -> None:
    key = desk.make()
    ready = await desk.ready(key)
    desk.api.change(key, {"spec": {"suspend": True, "monitoring": {"logRetentionDays": 30}}})
    await desk.reason(key, "Suspended", "Reconciling")
    assert desk.condition(key)["status"] == "True", "what is known of the service stands"
    fresh_aws.client("cloudwatch").delete_alarms(AlarmNames=alarms(fresh_aws))
    fresh_aws.control.reset_meter()
    await desk.snapshot()
    desk.api.change(key, {"spec": {"model": {"environment": {"A": "b"}}, "lifecycle": {"ttl": "10h"}}})
    await desk.rest()
    assert changes(fresh_aws) == []
    assert desk.api.kept[key]["status"]["url"] == ready["status"]["url"]

    desk.api.change(key, {"spec": {"suspend": False}})
    await desk.ready(key)
    assert len(alarms(fresh_aws)) == 2
    retention = fresh_aws.client("logs").describe_log_groups()["logGroups"]
    assert {each["retentionInDays"] for each in retention} == {30}
    [model] = fresh_aws.client("sagemaker").list_models()["Models"]
    container = fresh_aws.client("sagemaker").describe_model(ModelName=model["ModelName"])["PrimaryContainer"]
    assert container["Environment"] == {"A": "b"}


async def test_what_is_suspended_from_the_beginning_is_not_made(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make(suspend=True)
    await desk.reason(key, "Suspended", "Reconciling")
    await desk.rest()
    assert changes(fresh_aws) == []
    desk.api.change(key, {"spec": {"suspend": False}})
    await desk.ready(key)


async def test_an_object_that_is_suspended_in_the_midst_of_its_creation_stops_there(desk: Desk, fresh_aws: Aws) -> None:
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    key = desk.make()
    await desk.until(lambda: "CreateEndpoint" in changes(fresh_aws), "the endpoint being made")
    await desk.rest()
    desk.api.change(key, {"spec": {"suspend": True, "model": {"environment": {"A": "b"}}}})
    await desk.reason(key, "Suspended", "Reconciling")
    fresh_aws.control.reset_meter()
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"stuck": False}})
    await desk.until(lambda: not desk.operator._accounts.connected[0].is_in_flight(), "the endpoint at rest")
    await desk.rest()
    assert changes(fresh_aws) == []


@pytest.mark.parametrize("how", ["deleted", "expired"])
async def test_a_suspended_object_goes_when_its_time_has_come(desk: Desk, how: str) -> None:
    key = desk.make()
    made = await desk.ready(key)
    desk.api.change(key, {"spec": {"suspend": True}})
    await desk.reason(key, "Suspended", "Reconciling")
    if how == "deleted":
        desk.api.remove(key)
    else:
        desk.api.change(key, {"spec": {"lifecycle": {"ttl": f"{int(age(made)) + 1}s"}}})
    await desk.gone(key)
    assert {have.key.kind for have in known(desk).values()} <= {Kind.HTTP_API}


async def test_asked_for_a_fresh_look_drift_is_seen_that_no_snapshot_has_shown(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make()
    await desk.ready(key)
    before = alarms(fresh_aws)
    fresh_aws.client("cloudwatch").delete_alarms(AlarmNames=before)
    await desk.look(key)
    assert alarms(fresh_aws) == [], "what nobody told of is not known"
    desk.api.change(key, annotated(RECONCILE_AT_ANNOTATION, "2026-11-21T12:00:00Z"))
    await desk.until(lambda: alarms(fresh_aws) == before, "repaired")
    await desk.rest()
    fresh_aws.control.reset_meter()
    await desk.look(key)
    assert fresh_aws.control.calls() == {}, "one look for one request"


async def test_asked_for_a_fresh_look_what_failed_is_tried_at_once(desk: Desk, fresh_aws: Aws) -> None:
    fresh_aws.control.add_faults(Fault(service="lambda", operation="CreateFunction", error=DENIED))
    key = desk.make()
    await desk.reason(key, "AccessDenied", "RouteReady")
    await desk.until(lambda: _attempts(desk, key) >= 2, "a second try")
    await desk.rest()
    fresh_aws.control.clear_faults()
    desk.api.change(key, annotated(RECONCILE_AT_ANNOTATION, "now"))
    await desk.rest()
    assert fresh_aws.control.calls()["lambda"]["CreateFunction"] >= 3
    assert _attempts(desk, key) == 0
    await desk.ready(key)


def _attempts(desk: Desk, key: ObjectKey) -> int:
    failures = desk.operator._endpoints._memories[key].retries.failures
    return max((each.attempts for each in failures.values()), default=0)


async def test_an_old_request_for_a_fresh_look_costs_nothing_after_a_restart(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make()
    desk.api.change(key, annotated(RECONCILE_AT_ANNOTATION, "long ago"))
    await desk.ready(key)
    await desk.restart()
    await desk.until(lambda: bool(desk.operator._accounts.connected), "connected")
    await desk.rest()
    calls = fresh_aws.control.calls()["lambda"]["ListFunctions"]
    await desk.look(key)
    assert fresh_aws.control.calls()["lambda"]["ListFunctions"] == calls


async def test_an_abandoned_object_goes_and_tells_what_it_leaves(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make()
    await desk.ready(key)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="DeleteFunction", error=DENIED))
    desk.api.remove(key)
    await desk.until(lambda: "DeleteEndpoint" in changes(fresh_aws), "what can go goes")
    message = await desk.reason(key, "Deleting")
    assert "Function" in message
    await desk.until(lambda: {each.key.kind for each in _own(desk)} == {Kind.FUNCTION, Kind.LOG_GROUP}, "the rest")
    desk.api.change(key, annotated(ABANDON_ANNOTATION, "true"))
    await desk.gone(key)
    [told] = [each for each in desk.api.events if each.reason == "Abandoned"]
    assert told.kind == "Warning"
    assert all(str(have.key) in told.message for have in _own(desk))
    assert "Model" not in told.message, "what is gone is not left"


def _own(desk: Desk) -> list[Have]:
    return [have for have in known(desk).values() if have.key.kind is not Kind.HTTP_API]


@pytest.mark.parametrize("value", ["", "false", "yes"])
async def test_an_object_is_let_go_by_nothing_but_true(desk: Desk, fresh_aws: Aws, value: str) -> None:
    key = desk.make()
    await desk.ready(key)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="DeleteFunction", error=DENIED))
    desk.api.remove(key)
    await desk.reason(key, "Deleting")
    desk.api.change(key, annotated(ABANDON_ANNOTATION, value))
    await desk.rest()
    assert key in desk.api.kept


async def test_an_object_that_nobody_deletes_is_not_let_go(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make()
    await desk.ready(key)
    fresh_aws.control.reset_meter()
    desk.api.change(key, annotated(ABANDON_ANNOTATION, "true"))
    await desk.rest()
    assert desk.api.kept[key]["metadata"]["finalizers"] == [FINALIZER]
    assert changes(fresh_aws) == []


@pytest.mark.parametrize("missing", ["account", "class"])
async def test_an_object_can_be_abandoned_although_nobody_can_look_at_aws(
    desk: Desk, fresh_aws: Aws, missing: str
) -> None:
    key = desk.make()
    ready = await desk.ready(key)
    await desk.stop()
    if missing == "class":
        desk.api.kept.pop(ObjectKey(None, "default"))
    else:
        fresh_aws.control.add_faults(Fault(service="sts", error=FaultError(code="AccessDenied", status=403)))
    desk.api.remove(key)
    await desk.restart()
    await desk.reason(key, "ClassNotFound" if missing == "class" else "AccessDenied")
    desk.api.change(key, annotated(ABANDON_ANNOTATION, "true"))
    await desk.gone(key)
    [told] = [each for each in desk.api.events if each.reason == "Abandoned"]
    assert all(f"{each['kind']} {each['name']}" in told.message for each in ready["status"]["resources"])


async def test_the_finalizer_waits_for_what_was_believed_to_be_gone(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make()
    await desk.ready(key)
    [account] = desk.operator._accounts.connected
    [model] = [each for each in known(desk) if each.kind is Kind.MODEL]
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"delete_seconds": 0.5}})
    desk.api.remove(key)
    await desk.until(lambda: "DeleteEndpoint" in changes(fresh_aws), "the endpoint going")
    account.inventory.remove(model)
    await desk.gone(key)
    assert fresh_aws.client("sagemaker").list_models()["Models"] == []


async def test_what_aws_answered_to_be_gone_is_not_looked_for_again_but_what_goes_by_itself_or_comes_back_is(
    desk: Desk, fresh_aws: Aws
) -> None:
    key = desk.make()
    await desk.ready(key)
    fresh_aws.control.reset_meter()
    desk.api.remove(key)
    await desk.gone(key)
    reads = {each.operation for each in fresh_aws.control.log() if each.operation.startswith(("Describe", "Get"))}
    assert reads == {"DescribeEndpoint", "DescribeLogGroups"}
    assert fresh_aws.control.calls()["logs"]["DescribeLogGroups"] == 1, "one call for both groups"


async def test_what_cannot_be_confirmed_to_be_gone_keeps_the_finalizer(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make()
    await desk.ready(key)
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="DescribeEndpoint", error=DENIED))
    desk.api.remove(key)
    assert "DescribeEndpoint" in await desk.reason(key, "AccessDenied")
    assert desk.api.kept[key]["metadata"]["finalizers"] == [FINALIZER]
    fresh_aws.control.clear_faults()
    desk.api.change(key, annotated(RECONCILE_AT_ANNOTATION, "now"))
    await desk.gone(key)


async def test_an_object_whose_life_is_prolonged_while_it_goes_loses_nothing_more(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make(lifecycle={"onExpiry": "Retire"})
    made = await desk.ready(key)
    fresh_aws.control.add_faults(Fault(service="apigatewayv2", operation="DeleteRoute", times=1, delay_seconds=1))
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="DeleteEndpoint", times=1, error=DENIED))
    desk.api.change(key, {"spec": {"lifecycle": {"ttl": f"{int(age(made)) + 1}s"}}})
    await desk.until(lambda: any(each.fired for each in fresh_aws.control.faults()), "the object going")
    desk.api.change(key, {"spec": {"lifecycle": {"ttl": "9h"}}})
    await desk.until(lambda: "CreateRoute" in changes(fresh_aws), "the route made anew")
    await desk.ready(key)
    assert "DeleteFunction" not in changes(fresh_aws), "what the route led to was not touched any more"
