"""Votes: a table for each object that takes them, never in the way of serving, and counted once an hour."""

from typing import Any

from tests.controllers.environment import Environment
from tests.fixtures.passing import of_each
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.engine.tags import CLASS, EXPIRES_AT, NAME, NAMESPACE, RETAIN
from ephemeral_endpoints.features.routing.feedback.step import PERIOD_SECONDS
from ephemeral_endpoints.features.routing.forwarder.config import REVISION_DIGITS
from ephemeral_endpoints.features.routing.forwarder.feedback import COUNTS
from ephemeral_endpoints.features.serving.desired import ONLY_VARIANT
from ephemeral_endpoints.kube.cache import ObjectKey

DENIED = FaultError(code="AccessDeniedException", message="not you", status=400)


def tables(aws: Aws) -> list[str]:
    """The tables that are there and not on their way out."""
    client = aws.client("dynamodb")
    described = of_each(client.list_tables()["TableNames"], lambda name: client.describe_table(TableName=name)["Table"])
    return [each["TableName"] for each in described if each["TableStatus"] == "ACTIVE"]


def vote(env: Environment, aws: Aws, key: ObjectKey, *, up: int = 0, down: int = 0) -> None:
    """Count votes as the forwarder does."""
    revision = env.api.kept[key]["spec"]["source"]["revision"][:REVISION_DIGITS]
    item = {
        "kind": {"S": COUNTS},
        "id": {"S": f"{revision}.{ONLY_VARIANT}"},
        "up": {"N": str(up)},
        "down": {"N": str(down)},
    }
    [table] = tables(aws)
    aws.client("dynamodb").put_item(TableName=table, Item=item)


def counted(env: Environment, key: ObjectKey) -> Any:  # noqa: ANN401 - JSON
    return env.api.kept[key]["status"].get("feedback")


async def has_table(env: Environment, aws: Aws, key: ObjectKey) -> None:
    """Wait until there is a table, and the operator has seen that it is ready."""
    await env.until(lambda: len(tables(aws)) == 1, "there is a table")
    await env.snapshot()
    await env.refresh(key)


async def an_hour_later(env: Environment, key: ObjectKey) -> None:
    env.clock.advance(PERIOD_SECONDS)
    await env.refresh(key)


async def test_votes_are_counted_once_an_hour_and_written_when_they_change(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(feedback={})
    await env.ready(key)
    await has_table(env, fresh_aws, key)
    vote(env, fresh_aws, key, up=2)
    assert not counted(env, key)
    await an_hour_later(env, key)
    await env.until(lambda: counted(env, key) == [{"variant": ONLY_VARIANT, "up": 2, "down": 0}], "counted")
    await env.rest()
    writes = env.api.writes
    fresh_aws.control.reset_meter()
    await an_hour_later(env, key)
    await env.until(lambda: fresh_aws.control.calls().get("dynamodb", {}).get("BatchGetItem") == 1, "read again")
    await env.restart()
    await env.refresh(key)
    assert env.api.writes == writes


async def test_a_variant_that_was_only_voted_down_is_counted_too(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(feedback={})
    await env.ready(key)
    await has_table(env, fresh_aws, key)
    vote(env, fresh_aws, key, down=3)
    await an_hour_later(env, key)
    await env.until(lambda: counted(env, key) == [{"variant": ONLY_VARIANT, "up": 0, "down": 3}], "counted")


async def test_the_votes_on_another_revision_do_not_count(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(feedback={})
    await env.ready(key)
    await has_table(env, fresh_aws, key)
    vote(env, fresh_aws, key, up=2)
    await an_hour_later(env, key)
    await env.until(lambda: bool(counted(env, key)), "counted")
    env.api.change(key, {"spec": {"source": {"revision": "fedcba9876543210"}}})
    await env.until(lambda: not counted(env, key), "forgotten")


async def test_the_table_goes_with_the_object_and_with_the_wish_for_votes(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(feedback={})
    await env.until(lambda: len(tables(fresh_aws)) == 1, "there is a table")
    env.api.change(key, {"spec": {"feedback": None}})
    await env.until(lambda: fresh_aws.client("dynamodb").list_tables()["TableNames"] == [], "there is none")
    env.api.change(key, {"spec": {"feedback": {}}})
    await env.until(lambda: len(tables(fresh_aws)) == 1, "there is a table again")
    env.api.remove(key)
    await env.gone(key)
    assert fresh_aws.client("dynamodb").list_tables()["TableNames"] == []


KEPT = {"deletionPolicy": "Retain"}


async def test_a_kept_table_has_tags_of_its_own_and_goes_with_nothing_of_the_object(
    env: Environment, fresh_aws: Aws
) -> None:
    env.make_class(lifecycle={"allowRetainFeedback": True})
    key = env.make(feedback=KEPT)
    await env.ready(key)
    await has_table(env, fresh_aws, key)
    [table] = tables(fresh_aws)
    tags = table_tags(fresh_aws, table)
    assert (tags[RETAIN], tags[NAMESPACE], tags[NAME]) == ("true", "nlp", "pr")
    assert {EXPIRES_AT, CLASS}.isdisjoint(tags), "neither a sweep nor the reaper counts its days"
    assert table in {each["name"] for each in env.api.kept[key]["status"]["resources"]}
    vote(env, fresh_aws, key, up=1)

    fresh_aws.control.reset_meter()
    env.api.change(key, {"spec": {"lifecycle": {"ttl": "5d"}}})
    await env.until(lambda: "TagResource" in fresh_aws.control.calls().get("lambda", {}), "tagged")
    await env.ready(key)
    await env.restart()
    await env.refresh(key)
    assert table_tags(fresh_aws, table) == tags, "the tags of active objects are none of its"

    env.api.remove(key)
    await env.gone(key)
    again = env.make(feedback=KEPT)
    await env.ready(again)
    await an_hour_later(env, again)
    await env.until(lambda: counted(env, again) == [{"variant": ONLY_VARIANT, "up": 1, "down": 0}], "counted on")
    calls = fresh_aws.control.calls().get("dynamodb", {})
    assert {"CreateTable", "DeleteTable", "TagResource"}.isdisjoint(calls)
    assert tables(fresh_aws) == [table]


async def test_a_table_stays_only_where_the_class_allows_it(env: Environment, fresh_aws: Aws) -> None:
    key = env.make(feedback=KEPT)
    message = await env.reason(key, "NotAllowed")
    assert "set spec.lifecycle.allowRetainFeedback of the class" in message
    await env.until(lambda: len(tables(fresh_aws)) == 1, "there is a table all the same")
    env.api.remove(key)
    await env.gone(key)
    assert fresh_aws.client("dynamodb").list_tables()["TableNames"] == []


async def test_a_kept_table_that_cannot_be_made_is_told_and_tried_again(env: Environment, fresh_aws: Aws) -> None:
    env.make_class(lifecycle={"allowRetainFeedback": True})
    fresh_aws.control.add_faults(Fault(service="dynamodb", operation="CreateTable", error=DENIED))
    key = env.make(feedback=KEPT)
    await env.ready(key)
    assert "CreateTable" in env.condition(key, "Reconciling")["message"]
    fresh_aws.control.clear_faults()
    env.clock.advance(3600)
    await env.refresh(key)
    await env.until(lambda: len(tables(fresh_aws)) == 1, "made")


def table_tags(aws: Aws, table: str) -> dict[str, str]:
    client = aws.client("dynamodb")
    arn = client.describe_table(TableName=table)["Table"]["TableArn"]
    return {each["Key"]: each["Value"] for each in client.list_tags_of_resource(ResourceArn=arn)["Tags"]}


async def test_an_object_is_served_although_its_table_cannot_be_made(env: Environment, fresh_aws: Aws) -> None:
    fresh_aws.control.add_faults(Fault(service="dynamodb", operation="CreateTable", error=DENIED))
    key = env.make(feedback={})
    await env.ready(key)
    assert tables(fresh_aws) == []
