"""Reserved concurrency: for the objects of classes that ask for it, and never in the way of serving."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

CLASS = class_key("default")
_EMPTY = b"PK\x05\x06" + bytes(18)
"""An archive without files."""

DENIED = FaultError(code="AccessDeniedException", message="not you", status=403)


def reserve(env: Environment, executions: int | None) -> None:
    """Change what the class reserves."""
    env.api.change(CLASS, {"spec": {"routing": {"reservedConcurrency": executions}}})


def reserved(aws: Aws) -> list[int | None]:
    """What is reserved for each function."""
    client = aws.client("lambda")
    names = [each["FunctionName"] for each in client.list_functions()["Functions"]]
    found = (client.get_function_concurrency(FunctionName=name) for name in names)
    return [each.get("ReservedConcurrentExecutions") for each in found]


def calls(aws: Aws) -> Mapping[str, int]:
    """The calls to Lambda."""
    return aws.control.calls().get("lambda", {})


async def both_ready(env: Environment) -> tuple[ObjectKey, ObjectKey]:
    keys = env.make("one"), env.make("other")
    for key in keys:
        await env.ready(key)
    return keys


async def test_every_function_has_what_the_class_reserves_and_no_more_when_it_stops(
    env: Environment, fresh_aws: Aws
) -> None:
    keys = await both_ready(env)
    assert reserved(fresh_aws) == [None, None], "no class asks for it"
    reserve(env, 5)
    await env.until(lambda: reserved(fresh_aws) == [5, 5], "reserved")
    reserve(env, 7)
    await env.until(lambda: reserved(fresh_aws) == [7, 7], "changed")
    reserve(env, None)
    await env.until(lambda: reserved(fresh_aws) == [None, None], "released")
    for key in keys:
        env.api.remove(key)
        await env.gone(key)


async def test_at_rest_one_call_reads_what_is_reserved_and_drift_is_repaired(env: Environment, fresh_aws: Aws) -> None:
    reserve(env, 5)
    await both_ready(env)
    await env.snapshot()
    fresh_aws.control.reset_meter()
    await env.snapshot()
    assert calls(fresh_aws) == {"ListFunctions": 1, "GetAccountSettings": 1}

    client: Any = fresh_aws.client("lambda")
    [one, other] = [each["FunctionName"] for each in client.list_functions()["Functions"]]
    client.delete_function_concurrency(FunctionName=one)
    client.put_function_concurrency(FunctionName=other, ReservedConcurrentExecutions=1)
    await env.snapshot()
    await env.until(lambda: reserved(fresh_aws) == [5, 5], "repaired")
    assert Counter(each.reason for each in env.api.events)["DriftRepaired"] > 0


async def test_what_is_reserved_by_others_costs_one_look_at_each_function(env: Environment, fresh_aws: Aws) -> None:
    await both_ready(env)
    client: Any = fresh_aws.client("lambda")
    settings = {"Role": "arn:aws:iam::000000000000:role/any", "Runtime": "python3.13", "Handler": "any.any"}
    client.create_function(FunctionName="theirs", Code={"ZipFile": _EMPTY}, **settings)
    client.put_function_concurrency(FunctionName="theirs", ReservedConcurrentExecutions=9)
    await env.snapshot()
    fresh_aws.control.reset_meter()
    await env.snapshot()
    assert calls(fresh_aws) == {"ListFunctions": 1, "GetAccountSettings": 1}


async def test_an_operator_that_was_away_releases_what_the_class_reserves_no_more(
    env: Environment, fresh_aws: Aws
) -> None:
    reserve(env, 5)
    await both_ready(env)
    await env.until(lambda: reserved(fresh_aws) == [5, 5], "reserved")
    await env.stop()
    reserve(env, None)
    await env.restart()
    await env.until(lambda: reserved(fresh_aws) == [None, None], "released")


async def test_what_the_account_has_no_room_for_keeps_nobody_from_being_served(
    env: Environment, fresh_aws: Aws
) -> None:
    reserve(env, 500)
    first, second = await both_ready(env)
    await env.until(lambda: sorted(reserved(fresh_aws), key=str) == [500, None], "room for one")
    refused = first if env.condition(first, "Reconciling")["status"] == "True" else second
    message = await env.reason(refused, "QuotaExceeded", "Reconciling")
    assert "UnreservedConcurrentExecution below its minimum value of [100]" in message
    assert "lower spec.routing.reservedConcurrency of the class" in message
    for key in (first, second):
        for type_ in ("Ready", "RouteReady"):
            assert env.condition(key, type_)["status"] == "True"
        assert env.condition(key, "Stalled")["status"] == "False"

    reserve(env, 400)
    await env.until(lambda: reserved(fresh_aws) == [400, 400], "room for both")
    assert await env.reason(refused, "UpToDate", "Reconciling")


@pytest.mark.parametrize("operation", ["GetAccountSettings", "GetFunctionConcurrency", "PutFunctionConcurrency"])
async def test_policies_of_an_earlier_version_keep_nobody_from_being_served(
    env: Environment, fresh_aws: Aws, operation: str
) -> None:
    fresh_aws.control.add_faults(Fault(service="lambda", operation=operation, error=DENIED))
    plain = env.make("plain")
    await env.ready(plain)
    assert env.condition(plain, "Reconciling")["reason"] == "UpToDate"
    reserve(env, 5)
    await env.rest()
    await env.snapshot()
    await env.ready(plain)
    if operation == "PutFunctionConcurrency":
        await env.reason(plain, "AccessDenied", "Reconciling", saying="PutFunctionConcurrency: not you")
