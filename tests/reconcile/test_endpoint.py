"""Objects of several classes, whose accounts are no concern of one another."""

from tests.fixtures.platform import Aws
from tests.reconcile.test_controls import changes
from tests.reconcile.world import Desk

from ephemeral_endpoints.core.resources import Kind
from ephemeral_endpoints.local.aws import ministack
from ephemeral_endpoints.local.aws.faults import Fault, FaultError

OTHER = "111111111111"
ROLE = f"arn:aws:iam::{OTHER}:role/any"
ROLES = {"executionRoleArn": ROLE, "forwarderRoleArn": ROLE, "invokeRoleArn": ROLE}


async def test_nothing_is_made_in_an_account_that_the_class_does_not_name(desk: Desk, fresh_aws: Aws) -> None:
    wrong = desk.make_class("wrong", **ROLES)
    key = desk.make("lost", className="wrong")
    message = await desk.reason(key, "WrongAccount")
    assert f"of account {ministack.ACCOUNT}" in message
    assert OTHER in message
    assert desk.condition(key, "Stalled")["status"] == "True", "no retry can help"
    await desk.reason(wrong, "WrongAccount")
    assert changes(fresh_aws) == []
    assert "finalizers" not in desk.api.kept[key]["metadata"], "it can be deleted at once"
    await desk.ready(desk.make())


async def test_a_role_that_cannot_be_assumed_is_told_to_its_objects_and_the_others_are_served(
    desk: Desk, fresh_aws: Aws
) -> None:
    denied = FaultError(code="AccessDenied", message="User: x is not authorized", status=403)
    fresh_aws.control.add_faults(Fault(service="sts", operation="AssumeRole", error=denied))
    far = desk.make_class("far", **ROLES, assumeRole={"roleArn": ROLE})
    key = desk.make("far", className="far")
    for told in (far, key):
        message = await desk.reason(told, "AccessDenied")
        assert "AssumeRole: User: x is not authorized" in message
        assert "spec.assumeRole.roleArn" in message
    await desk.ready(desk.make())
    assert desk.condition(key, "Stalled")["status"] == "False", "permissions are repaired without the object changing"


async def test_by_a_role_of_the_same_account_an_object_lives_and_goes(desk: Desk, fresh_aws: Aws) -> None:
    desk.make_class("role", assumeRole={"roleArn": f"arn:aws:iam::{ministack.ACCOUNT}:role/operator"})
    mine, other = desk.make("mine", className="role"), desk.make("other")
    await desk.ready(mine)
    await desk.ready(other)
    assert fresh_aws.control.calls()["sts"] == {"AssumeRole": 1, "GetCallerIdentity": 2}
    desk.api.remove(mine)
    await desk.gone(mine)
    await desk.snapshot()
    left = [account.inventory.all for account in desk.operator._accounts.connected]
    assert [sum(key.kind is Kind.FUNCTION for key in each) for each in left] == [1, 1], "the other's, as both see it"


async def test_an_object_that_went_while_nobody_watched_is_not_kept_up(desk: Desk, fresh_aws: Aws) -> None:
    key, other = desk.make("torn"), desk.make("stays")
    await desk.ready(key)
    await desk.ready(other)
    del desk.api.kept[key]
    async for _ in desk.operator._take_roll():
        pass
    await desk.rest()
    assert desk.operator._store.endpoint(key) is None
    assert desk.operator._store.endpoint(other) is not None
    cloudwatch = fresh_aws.client("cloudwatch")
    alarms = [each["AlarmName"] for each in cloudwatch.describe_alarms(AlarmNamePrefix="eep-")["MetricAlarms"]]
    cloudwatch.delete_alarms(AlarmNames=alarms)
    await desk.snapshot()
    left = [each["AlarmName"] for each in cloudwatch.describe_alarms(AlarmNamePrefix="eep-")["MetricAlarms"]]
    assert left, "what is the other's is repaired"
    assert not [name for name in left if "torn" in name]
