"""Objects of several classes, whose accounts are no concern of one another; and what a reconciliation logs."""

import logging

import pytest
from tests.controllers.endpoint.test_controls import changes
from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.features.routing.specs import FUNCTION

OTHER = "111111111111"
ROLE = f"arn:aws:iam::{OTHER}:role/any"
ROLES = {"executionRoleArn": ROLE, "forwarderRoleArn": ROLE, "invokeRoleArn": ROLE}


async def test_nothing_is_made_in_an_account_that_the_class_does_not_name(env: Environment, fresh_aws: Aws) -> None:
    wrong = env.make_class("wrong", **ROLES)
    key = env.make("lost", className="wrong")
    message = await env.reason(key, "WrongAccount")
    assert f"belong to account {ministack.ACCOUNT}" in message
    assert OTHER in message
    assert env.condition(key, "Stalled")["status"] == "True", "no retry can help"
    await env.reason(wrong, "WrongAccount")
    assert changes(fresh_aws) == []
    assert "finalizers" not in env.api.kept[key]["metadata"], "it can be deleted at once"
    await env.ready(env.make())


async def test_a_role_that_cannot_be_assumed_is_reported_by_its_objects_and_does_not_affect_others(
    env: Environment, fresh_aws: Aws
) -> None:
    denied = FaultError(code="AccessDenied", message="User: x is not authorized", status=403)
    fresh_aws.control.add_faults(Fault(service="sts", operation="AssumeRole", error=denied))
    far = env.make_class("far", **ROLES, assumeRole={"roleArn": ROLE})
    key = env.make("far", className="far")
    for reported in (far, key):
        message = await env.reason(reported, "AccessDenied")
        assert "AssumeRole: User: x is not authorized" in message
        assert "spec.assumeRole.roleArn" in message
    await env.ready(env.make())
    assert env.condition(key, "Stalled")["status"] == "False", "permissions are repaired without the object changing"


async def test_by_a_role_of_the_same_account_an_object_lives_and_goes(env: Environment, fresh_aws: Aws) -> None:
    env.make_class("role", assumeRole={"roleArn": f"arn:aws:iam::{ministack.ACCOUNT}:role/operator"})
    mine, other = env.make("mine", className="role"), env.make("other")
    await env.ready(mine)
    await env.ready(other)
    assert fresh_aws.control.calls()["sts"] == {"AssumeRole": 1, "GetCallerIdentity": 2}
    env.api.remove(mine)
    await env.gone(mine)
    await env.snapshot()
    left = [account.inventory.all for account in env.operator.accounts.connected]
    assert [sum(key.kind is FUNCTION for key in each) for each in left] == [1, 1], "the other's, as both see it"


async def test_an_object_whose_deletion_the_watch_missed_is_not_kept_up(env: Environment, fresh_aws: Aws) -> None:
    key, other = env.make("torn"), env.make("stays")
    await env.ready(key)
    await env.ready(other)
    del env.api.kept[key]
    async for _ in env.operator.resync.objects():
        pass
    await env.rest()
    assert env.operator.store.endpoint(key) is None
    assert env.operator.store.endpoint(other) is not None
    cloudwatch = fresh_aws.client("cloudwatch")
    alarms = [each["AlarmName"] for each in cloudwatch.describe_alarms(AlarmNamePrefix="eep-")["MetricAlarms"]]
    cloudwatch.delete_alarms(AlarmNames=alarms)
    await env.snapshot()
    left = [each["AlarmName"] for each in cloudwatch.describe_alarms(AlarmNamePrefix="eep-")["MetricAlarms"]]
    assert left, "what is the other's is repaired"
    assert not [name for name in left if "torn" in name]


async def test_an_object_whose_deletion_the_watch_missed_frees_its_path(env: Environment) -> None:
    first = env.make("first", api={"path": "/nlp/shared/v1"})
    await env.ready(first)
    second = env.make("second", api={"path": "/nlp/shared/v1"})
    await env.reason(second, "PathConflict", "RouteReady")
    await env.reason(second, "InService", "EndpointReady")
    await env.rest()
    del env.api.kept[first]
    async for _ in env.operator.resync.objects():
        pass
    await env.until(lambda: env.condition(second, "RouteReady")["reason"] != "PathConflict", "the path free")


async def test_one_debug_line_says_what_a_reconciliation_did(
    env: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "ephemeral_endpoints.controllers.endpoint.controller")
    key = env.make()
    await env.ready(key)
    lines = [record.__dict__ for record in caplog.records if record.message == "reconciled"]
    assert {(line["namespace"], line["object_name"]) for line in lines} == {(key.namespace, key.name)}
    steps = ", ".join(line["steps"] for line in lines)
    assert steps.count("create Endpoint ") == 1
    assert steps.count("create Route ") == 2
    assert [line["reconcile_id"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0]["triggers"] == "ObjectChanged"
    assert lines[-1]["held"] == "none"
    assert lines[-1]["due_seconds"] > 0


async def test_the_debug_line_says_what_is_held(
    env: Environment, fresh_aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "ephemeral_endpoints.controllers.endpoint.controller")
    exceeded = FaultError(code="ResourceLimitExceeded", message="The account-level service limit", status=400)
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="CreateEndpoint", error=exceeded))
    key = env.make()
    await env.reason(key, "QuotaExceeded", "EndpointReady")
    await env.rest()
    held = [record.__dict__["held"] for record in caplog.records if record.message == "reconciled"]
    assert held[-1].startswith("Endpoint ")
    assert "1st of 1 waiting" in held[-1]


async def test_a_change_during_a_reconciliation_counts_at_once(env: Environment, fresh_aws: Aws) -> None:
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="CreateModel", times=1, held=True))
    key = env.make()
    await env.until(lambda: fresh_aws.control.faults()[0].fired == 1, "the model is being created")
    env.api.change(key, {"spec": {"model": {"environment": {"CHANGED": "true"}}}})
    fresh_aws.control.clear_faults()
    await env.ready(key)
    calls = fresh_aws.control.calls()["sagemaker"]
    assert (calls["CreateModel"], calls["CreateEndpointConfig"], calls["CreateEndpoint"]) == (2, 1, 1)
    assert "UpdateEndpoint" not in calls
