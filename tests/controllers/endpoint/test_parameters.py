"""Parameters of SSM: below the prefix of the class, after what they name, and never in the way of serving."""

import json
from typing import Any

from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.environment import REVISION, Environment
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

PREFIX = "/ml/previews"
CLASS = class_key("default")
DENIED = FaultError(code="AccessDeniedException", message="not you", status=400)
PUSHED = "fedcba9876543210"


def turn_on(env: Environment, prefix: str | None = PREFIX) -> None:
    env.api.change(CLASS, {"spec": {"parameters": {"prefix": prefix} if prefix else None}})


def named(aws: Aws, prefix: str = PREFIX) -> dict[str, Any]:
    """What a data scientist reads of an object, by its namespace and name."""
    found = aws.client("ssm").get_parameters_by_path(Path=f"{prefix}/nlp/pr")["Parameters"]
    [value] = [json.loads(each["Value"]) for each in found] or [{}]
    return value  # type: ignore[no-any-return]


async def until_named(env: Environment, aws: Aws, revision: str, prefix: str = PREFIX) -> dict[str, Any]:
    await env.until(lambda: named(aws, prefix).get("revision") == revision, f"{revision} is named")
    # What is changed by hand before the operator has its answer counts as older than that.
    await env.rest()
    return named(aws, prefix)


async def made(env: Environment, aws: Aws) -> ObjectKey:
    turn_on(env)
    key = env.make()
    await env.ready(key)
    await until_named(env, aws, REVISION)
    return key


async def test_an_object_is_named_with_its_url_and_follows_the_revision(env: Environment, fresh_aws: Aws) -> None:
    put_image(fresh_aws)
    key = await made(env, fresh_aws)
    status, value = env.api.kept[key]["status"], named(fresh_aws)
    assert (value["url"], value["endpointName"]) == (status["url"], status["endpointName"])
    assert "Parameter" in {each["kind"] for each in status["resources"]}
    env.api.change(key, {"spec": {"source": {"revision": PUSHED}}})
    await env.ready(key)
    await until_named(env, fresh_aws, PUSHED)
    [row] = fresh_aws.client("ssm").describe_parameters()["Parameters"]
    assert row["Version"] == 2, "written once for each revision"


async def test_another_url_is_named_as_soon_as_callers_are_told_of_it(env: Environment, fresh_aws: Aws) -> None:
    key = await made(env, fresh_aws)
    env.api.change(key, {"spec": {"api": {"path": "/nlp/elsewhere/v1"}}})
    await env.until(lambda: named(fresh_aws)["url"].endswith("/nlp/elsewhere/v1"), "no time has to pass for it")
    assert env.api.kept[key]["status"]["url"] == named(fresh_aws)["url"]


async def test_at_rest_a_snapshot_lists_parameters_once_and_nothing_is_written(
    env: Environment, fresh_aws: Aws
) -> None:
    await made(env, fresh_aws)
    await env.restart()
    await env.rest()
    fresh_aws.control.reset_meter()
    await env.snapshot()
    assert fresh_aws.control.calls().get("ssm", {}) == {"DescribeParameters": 1}


async def test_what_somebody_else_writes_or_deletes_is_repaired(env: Environment, fresh_aws: Aws) -> None:
    key = await made(env, fresh_aws)
    client = fresh_aws.client("ssm")
    [row] = client.describe_parameters()["Parameters"]
    client.put_parameter(Name=row["Name"], Value='{"revision": "by hand"}', Overwrite=True)
    await env.snapshot()
    await env.refresh(key)
    await until_named(env, fresh_aws, REVISION)
    client.put_parameter(Name=row["Name"], Value="{}", Overwrite=True, Tier="Advanced")
    await env.snapshot()
    await env.refresh(key)
    await until_named(env, fresh_aws, REVISION)
    assert [each["Tier"] for each in client.describe_parameters()["Parameters"]] == ["Standard"], "which costs nothing"
    client.delete_parameter(Name=row["Name"])
    await env.snapshot()
    await env.refresh(key)
    await until_named(env, fresh_aws, REVISION)


async def test_the_parameter_moves_with_the_prefix_and_goes_with_it_and_with_the_object(
    env: Environment, fresh_aws: Aws
) -> None:
    key = await made(env, fresh_aws)
    turn_on(env, "/other")
    await until_named(env, fresh_aws, REVISION, "/other")
    await env.until(lambda: not named(fresh_aws), "the first one is gone")
    turn_on(env, None)
    await env.until(lambda: fresh_aws.client("ssm").describe_parameters()["Parameters"] == [], "none is left")
    turn_on(env)
    await until_named(env, fresh_aws, REVISION)
    env.api.remove(key)
    await env.gone(key)
    assert fresh_aws.client("ssm").describe_parameters()["Parameters"] == []


async def test_an_object_is_served_although_ssm_takes_no_parameter(env: Environment, fresh_aws: Aws) -> None:
    fresh_aws.control.add_faults(Fault(service="ssm", operation="PutParameter", error=DENIED))
    turn_on(env)
    await env.ready(env.make())
    assert named(fresh_aws) == {}


async def test_an_answer_that_is_lost_makes_no_second_parameter(env: Environment, fresh_aws: Aws) -> None:
    fresh_aws.control.add_faults(Fault(service="ssm", operation="PutParameter", answer_lost=True, times=1))
    key = await made(env, fresh_aws)
    assert len(fresh_aws.client("ssm").describe_parameters()["Parameters"]) == 1
    env.api.remove(key)
    await env.gone(key)
    assert fresh_aws.client("ssm").describe_parameters()["Parameters"] == []
