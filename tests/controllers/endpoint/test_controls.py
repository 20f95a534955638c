"""What people can ask of a single object: to pause, to be looked at anew, to be let go."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.controllers.environment import Environment, Object
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.api import ABANDON_ANNOTATION, RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.aws.account import ORPHANS
from ephemeral_endpoints.engine.resources import Key, ObservedResource
from ephemeral_endpoints.engine.tags import EXPIRES_AT, timestamp
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.routing.specs import FUNCTION, HTTP_API
from ephemeral_endpoints.features.serving.specs import MODEL
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey, class_key

STAGES = ("ImageReady", "EndpointReady", "RouteReady", "Monitored")
READING = ("BatchGet", "Describe", "Get", "List")
DENIED = FaultError(code="AccessDeniedException", message="not you", status=400)


def annotated(name: str, value: str) -> Mapping[str, Any]:
    return {"metadata": {"annotations": {name: value}}}


def changes(aws: Aws) -> list[str]:
    """The calls since the last reset that change something."""
    names = [name for each in aws.control.calls().values() for name in each]
    return sorted(name for name in names if not name.startswith(READING))


def known(env: Environment) -> dict[Key, ObservedResource]:
    [account] = env.operator.accounts.connected
    return dict(account.inventory.all)


def alarms(aws: Aws) -> list[str]:
    return sorted(each["AlarmName"] for each in aws.client("cloudwatch").describe_alarms()["MetricAlarms"])


def age(obj: Object) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(obj["metadata"]["creationTimestamp"])).total_seconds()


async def test_while_suspended_nothing_is_changed_or_repaired_and_afterwards_all_of_it_is(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    ready = await env.ready(key)
    env.api.change(key, {"spec": {"suspend": True, "monitoring": {"logRetentionDays": 30}}})
    await env.reason(key, "Suspended", "Reconciling")
    assert env.condition(key)["status"] == "True", "what is known of the service stands"
    fresh_aws.client("cloudwatch").delete_alarms(AlarmNames=alarms(fresh_aws))
    fresh_aws.control.reset_meter()
    await env.snapshot()
    env.api.change(key, {"spec": {"model": {"environment": {"A": "b"}}, "lifecycle": {"ttl": "10h"}}})
    await env.rest()
    assert changes(fresh_aws) == []
    assert env.api.kept[key]["status"]["url"] == ready["status"]["url"]

    env.api.change(key, {"spec": {"suspend": False}})
    await env.ready(key)
    assert len(alarms(fresh_aws)) == 2
    retention = fresh_aws.client("logs").describe_log_groups()["logGroups"]
    assert {each["retentionInDays"] for each in retention} == {30}
    [model] = fresh_aws.client("sagemaker").list_models()["Models"]
    container = fresh_aws.client("sagemaker").describe_model(ModelName=model["ModelName"])["PrimaryContainer"]
    assert container["Environment"] == {"A": "b"}


async def test_what_is_suspended_from_the_beginning_is_not_made(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(suspend=True)
    await env.reason(key, "Suspended", "Reconciling")
    await env.rest()
    assert changes(fresh_aws) == []
    env.api.change(key, {"spec": {"suspend": False}})
    await env.ready(key)


async def test_an_object_that_is_suspended_in_the_midst_of_its_creation_stops_there(
    env: Environment, fresh_aws: Aws
) -> None:
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    key = env.make()
    await env.until(lambda: "CreateEndpoint" in changes(fresh_aws), "the endpoint being made")
    await env.rest()
    env.api.change(key, {"spec": {"suspend": True, "model": {"environment": {"A": "b"}}}})
    await env.reason(key, "Suspended", "Reconciling")
    fresh_aws.control.reset_meter()
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"stuck": False}})
    await env.until(lambda: not env.operator.accounts.connected[0].is_in_flight(), "the endpoint at rest")
    await env.rest()
    assert changes(fresh_aws) == []


async def test_an_object_that_is_suspended_during_a_reconciliation_keeps_the_conditions_of_its_stages(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    await env.ready(key)
    before = {type_: env.condition(key, type_) for type_ in STAGES}
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="CreateModel", times=1, held=True))
    env.api.change(key, {"spec": {"model": {"environment": {"A": "b"}}}})
    await env.until(lambda: fresh_aws.control.faults()[0].fired == 1, "the reconciliation under way")
    env.api.change(key, {"spec": {"suspend": True}})
    fresh_aws.control.clear_faults()
    await env.reason(key, "Suspended", "Reconciling")
    await env.rest()
    assert {type_: env.condition(key, type_) for type_ in STAGES} == before


@pytest.mark.parametrize("how", ["deleted", "expired"])
async def test_a_suspended_object_goes_when_its_time_has_come(env: Environment, how: str) -> None:
    key = env.make()
    made = await env.ready(key)
    env.api.change(key, {"spec": {"suspend": True}})
    await env.reason(key, "Suspended", "Reconciling")
    if how == "deleted":
        env.api.remove(key)
    else:
        env.api.change(key, {"spec": {"lifecycle": {"ttl": f"{int(age(made)) + 1}s"}}})
    await env.gone(key)
    assert {observed.key.kind for observed in known(env).values()} <= {HTTP_API}


async def test_asked_for_a_fresh_look_drift_is_seen_that_no_snapshot_has_shown(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    await env.ready(key)
    before = alarms(fresh_aws)
    fresh_aws.client("cloudwatch").delete_alarms(AlarmNames=before)
    await env.refresh(key)
    assert alarms(fresh_aws) == [], "a change without an event is not known yet"
    env.api.change(key, annotated(RECONCILE_AT_ANNOTATION, "2026-11-21T12:00:00Z"))
    await env.until(lambda: alarms(fresh_aws) == before, "repaired")
    await env.rest()
    fresh_aws.control.reset_meter()
    await env.refresh(key)
    assert fresh_aws.control.calls() == {}, "one look for one request"


async def test_asked_for_a_fresh_look_what_failed_is_tried_at_once(env: Environment, fresh_aws: Aws) -> None:
    fresh_aws.control.add_faults(Fault(service="lambda", operation="CreateFunction", error=DENIED))
    key = env.make()
    await env.reason(key, "AccessDenied", "RouteReady")
    await env.until(lambda: _attempts(env, key) >= 2, "a second try")
    await env.rest()
    fresh_aws.control.clear_faults()
    env.api.change(key, annotated(RECONCILE_AT_ANNOTATION, "now"))
    await env.rest()
    assert fresh_aws.control.calls()["lambda"]["CreateFunction"] >= 3
    assert _attempts(env, key) == 0
    await env.ready(key)


def _attempts(env: Environment, key: ObjectKey) -> int:
    found = env.operator.inspect(key)
    return max((each.attempts for each in found.failures.values()), default=0) if found else 0


async def test_an_old_request_for_a_fresh_look_costs_nothing_after_a_restart(env: Environment, fresh_aws: Aws) -> None:
    key = env.make()
    env.api.change(key, annotated(RECONCILE_AT_ANNOTATION, "long ago"))
    await env.ready(key)
    await env.restart()
    await env.until(lambda: bool(env.operator.accounts.connected), "connected")
    await env.rest()
    calls = fresh_aws.control.calls()["lambda"]["ListFunctions"]
    await env.refresh(key)
    assert fresh_aws.control.calls()["lambda"]["ListFunctions"] == calls


async def test_an_abandoned_object_is_released_and_lists_what_remains(env: Environment, fresh_aws: Aws) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="DeleteFunction", error=DENIED))
    env.api.remove(key)
    await env.until(lambda: "DeleteEndpoint" in changes(fresh_aws), "what can go goes")
    message = await env.reason(key, "Deleting")
    assert "Function" in message
    await env.until(lambda: {each.key.kind for each in _own(env)} == {FUNCTION, LOG_GROUP}, "the rest")
    env.api.change(key, annotated(ABANDON_ANNOTATION, "true"))
    await env.gone(key)
    [reported] = [each for each in env.api.events if each.reason == "Abandoned"]
    assert reported.kind == "Warning"
    assert all(str(observed.key) in reported.message for observed in _own(env))
    assert "Model" not in reported.message, "what is gone is not left"
    [account] = env.operator.accounts.connected
    for observed in _own(env):
        tags = await account.tags(observed, ORPHANS) or {}
        assert tags[EXPIRES_AT] <= timestamp(datetime.now(UTC)), "the sweep may take it at once"


async def test_an_object_can_be_abandoned_although_its_resources_cannot_be_tagged(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="DeleteFunction", error=DENIED))
    fresh_aws.control.add_faults(Fault(service="lambda", operation="TagResource", error=DENIED))
    env.api.remove(key)
    await env.reason(key, "Deleting")
    env.api.change(key, annotated(ABANDON_ANNOTATION, "true"))
    await env.gone(key)


def _own(env: Environment) -> list[ObservedResource]:
    return [observed for observed in known(env).values() if observed.key.kind is not HTTP_API]


@pytest.mark.parametrize("value", ["", "false", "yes"])
async def test_an_object_is_let_go_by_nothing_but_true(env: Environment, fresh_aws: Aws, value: str) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="DeleteFunction", error=DENIED))
    env.api.remove(key)
    await env.reason(key, "Deleting")
    env.api.change(key, annotated(ABANDON_ANNOTATION, value))
    await env.rest()
    assert key in env.api.kept


async def test_an_object_that_nobody_deletes_is_not_let_go(env: Environment, fresh_aws: Aws) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.reset_meter()
    env.api.change(key, annotated(ABANDON_ANNOTATION, "true"))
    await env.rest()
    assert env.api.kept[key]["metadata"]["finalizers"] == [FINALIZER]
    assert changes(fresh_aws) == []


@pytest.mark.parametrize("missing", ["account", "class"])
async def test_an_object_can_be_abandoned_although_nobody_can_look_at_aws(
    env: Environment, fresh_aws: Aws, missing: str
) -> None:
    key = env.make()
    ready = await env.ready(key)
    await env.stop()
    if missing == "class":
        env.api.kept.pop(class_key("default"))
    else:
        fresh_aws.control.add_faults(Fault(service="sts", error=FaultError(code="AccessDenied", status=403)))
    env.api.remove(key)
    await env.restart()
    await env.reason(key, "ClassNotFound" if missing == "class" else "AccessDenied")
    env.api.change(key, annotated(ABANDON_ANNOTATION, "true"))
    await env.gone(key)
    [reported] = [each for each in env.api.events if each.reason == "Abandoned"]
    assert all(f"{each['kind']} {each['name']}" in reported.message for each in ready["status"]["resources"])


async def test_the_finalizer_waits_for_resources_that_only_seemed_to_be_gone(env: Environment, fresh_aws: Aws) -> None:
    key = env.make()
    await env.ready(key)
    [account] = env.operator.accounts.connected
    [model] = [each for each in known(env) if each.kind is MODEL]
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"delete_seconds": 3600}})
    env.api.remove(key)
    await env.until(lambda: "DeleteEndpoint" in changes(fresh_aws), "the endpoint going")
    account.inventory.remove(model)
    fresh_aws.control.patch_sagemaker_settings({"behaviour": {"delete_seconds": 0.0}})
    await env.gone(key)
    assert fresh_aws.client("sagemaker").list_models()["Models"] == []


async def test_what_aws_answered_to_be_gone_is_not_looked_for_again_but_what_goes_by_itself_or_comes_back_is(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.reset_meter()
    env.api.remove(key)
    await env.gone(key)
    reads = {each.operation for each in fresh_aws.control.log() if each.operation.startswith(("Describe", "Get"))}
    assert reads == {"DescribeEndpoint", "DescribeLogGroups"}
    assert fresh_aws.control.calls()["logs"]["DescribeLogGroups"] == 1, "one call for both groups"


async def test_what_cannot_be_confirmed_to_be_gone_keeps_the_finalizer(env: Environment, fresh_aws: Aws) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="DescribeEndpoint", error=DENIED))
    env.api.remove(key)
    await env.reason(key, "AccessDenied", saying="DescribeEndpoint")
    assert env.api.kept[key]["metadata"]["finalizers"] == [FINALIZER]
    fresh_aws.control.clear_faults()
    env.api.change(key, annotated(RECONCILE_AT_ANNOTATION, "now"))
    await env.gone(key)


async def test_an_object_whose_life_is_prolonged_while_it_goes_loses_nothing_more(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make(lifecycle={"onExpiry": "Retire"})
    made = await env.ready(key)
    fresh_aws.control.reset_meter()
    fresh_aws.control.add_faults(Fault(service="apigatewayv2", operation="DeleteRoute", times=1, held=True))
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="DeleteEndpoint", times=1, error=DENIED))
    env.api.change(key, {"spec": {"lifecycle": {"ttl": f"{int(age(made)) + 1}s"}}})
    await env.until(lambda: all(each.fired for each in fresh_aws.control.faults()), "the object going")
    env.api.change(key, {"spec": {"lifecycle": {"ttl": "9h"}}})
    fresh_aws.control.clear_faults()
    await env.until(lambda: "CreateRoute" in changes(fresh_aws), "the route made anew")
    await env.ready(key)
    assert "DeleteFunction" not in changes(fresh_aws), "what the route led to was not touched any more"
