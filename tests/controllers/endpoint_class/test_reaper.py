"""The reaper of a class: made, changed and removed by the operator, and the last of the class to go."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from tests.controllers.environment import CLUSTER, Environment
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.contents import contents
from eep_platform.aws.faults import Fault, FaultError

ROLE = f"arn:aws:iam::{ministack.ACCOUNT}:role/any"
POLICY = {"roleArn": ROLE}
ACTIVE = "ReaperActive"
DENIED = FaultError(code="AccessDeniedException", message="not authorized", status=403)
MOST_RUNS = 30
"""An endpoint that is being deleted takes some."""

CHANGES = ("Add", "Create", "Delete", "Put", "Remove", "Tag", "Update")


def reapers(aws: Aws) -> dict[str, list[str]]:
    """What there is of reapers, by kind."""
    found = {kind: [name for name in names if "-reaper-" in name] for kind, names in contents(aws.client).items()}
    return {kind: names for kind, names in found.items() if names}


def changes(aws: Aws) -> set[str]:
    """The changing calls of the operator since the meter was reset."""
    return {name for each in aws.control.calls().values() for name in each if name.startswith(CHANGES)}


async def run(aws: Aws, name: str) -> dict[str, Any]:
    """What the function answers."""
    answer = await asyncio.to_thread(aws.client("lambda").invoke, FunctionName=name, Payload=b"{}")
    report: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, report
    return report


async def made(env: Environment, aws: Aws) -> str:
    """Wait for the reaper; returns its name."""
    await env.until(lambda: "EventRule" in reapers(aws) and len(reapers(aws).get("Alarm", ())) == 4, "a reaper")
    await env.rest()
    [name] = reapers(aws)["Function"]
    return name


async def test_a_class_gets_a_reaper_that_runs(env: Environment, fresh_aws: Aws) -> None:
    kind = env.make_class(reaper=POLICY)
    name = await made(env, fresh_aws)
    assert await env.reason(kind, "ReaperRunning", ACTIVE)
    events, functions = fresh_aws.client("events"), fresh_aws.client("lambda")
    assert events.describe_rule(Name=name)["ScheduleExpression"] == "rate(15 minutes)"
    arn = functions.get_function_configuration(FunctionName=name)["FunctionArn"]
    assert [each["Arn"] for each in events.list_targets_by_rule(Rule=name)["Targets"]] == [arn]
    [statement] = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    [group] = fresh_aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/eep-{CLUSTER}")["logGroups"]
    assert group["retentionInDays"] == 90
    assert await run(fresh_aws, name) == {"deleted": 0, "held": 0, "failures": {}}


async def test_what_an_operator_has_made_deletes_what_has_expired_once_the_operator_is_gone(
    env: Environment, fresh_aws: Aws
) -> None:
    env.make_class(reaper=POLICY)
    key = env.make(monitoring={"alarms": {"enabled": False}})
    await env.ready(key)
    name = await made(env, fresh_aws)
    await env.stop()
    assert await run(fresh_aws, name) == {"deleted": 0, "held": 0, "failures": {}}
    fresh_aws.control.set_date_ahead(timedelta(days=60).total_seconds())
    with pytest.raises(AssertionError, match="this function's clock differs: nothing is deleted"):
        await run(fresh_aws, name)
    fresh_aws.control.set_ahead(timedelta(days=60).total_seconds())
    deleted = 0
    for _ in range(MOST_RUNS):
        report = await run(fresh_aws, name)
        assert (report["held"], report["failures"]) == (0, {})
        deleted += report["deleted"]
        left = {
            kind for kind, names in contents(fresh_aws.client).items() if any("-reaper-" not in each for each in names)
        }
        if left <= {"Repository"}:
            break
    assert (left - {"Repository"}, deleted > 5) == (set(), True)
    assert reapers(fresh_aws)["Function"] == [name], "it stays"


async def test_its_code_follows_the_class_and_at_rest_it_costs_a_list(env: Environment, fresh_aws: Aws) -> None:
    kind = env.make_class(reaper=POLICY)
    name = await made(env, fresh_aws)
    functions = fresh_aws.client("lambda")
    before = functions.get_function_configuration(FunctionName=name)["CodeSha256"]

    def is_other() -> bool:
        return bool(functions.get_function_configuration(FunctionName=name)["CodeSha256"] != before)

    env.api.change(kind, {"spec": {"reaper": {"grace": "48h"}}})
    await env.until(is_other, "another code")
    await env.rest()
    await env.snapshot()
    writes = env.api.writes
    fresh_aws.control.reset_meter()
    await env.snapshot()
    await env.refresh(kind)
    assert changes(fresh_aws) == set()
    assert fresh_aws.control.calls().get("events") == {"ListRules": 1, "ListTargetsByRule": 1}
    assert env.api.writes == writes


async def test_what_somebody_takes_away_comes_back(env: Environment, fresh_aws: Aws) -> None:
    kind = env.make_class(reaper=POLICY)
    name = await made(env, fresh_aws)
    events = fresh_aws.client("events")
    events.disable_rule(Name=name)
    await env.snapshot()
    await env.refresh(kind)
    await env.until(lambda: events.describe_rule(Name=name)["State"] == "ENABLED", "enabled again")
    fresh_aws.client("lambda").delete_function(FunctionName=name)
    await env.snapshot()
    await env.refresh(kind)

    def is_permitted() -> bool:
        functions = fresh_aws.client("lambda")
        try:
            return bool(functions.get_policy(FunctionName=name)["Policy"])
        except functions.exceptions.ResourceNotFoundException:
            return False

    await env.until(is_permitted, "another function that the rule may run")
    await env.until(lambda: bool(events.list_targets_by_rule(Rule=name)["Targets"]), "and runs")


async def test_a_class_that_asks_for_none_any_more_loses_it(env: Environment, fresh_aws: Aws) -> None:
    kind = env.make_class(reaper=POLICY)
    await made(env, fresh_aws)
    env.api.change(kind, {"spec": {"reaper": None}})
    await env.until(lambda: reapers(fresh_aws) == {}, "no reaper")
    await env.until(lambda: env.condition(kind, ACTIVE) == {}, "nothing to tell")


async def test_it_is_the_last_of_a_class_that_is_deleted(env: Environment, fresh_aws: Aws) -> None:
    kind = env.make_class(reaper=POLICY)
    key = env.make(monitoring={"alarms": {"enabled": False}})
    await env.ready(key)
    name = await made(env, fresh_aws)
    env.api.remove(kind)
    await env.refresh(kind)
    assert reapers(fresh_aws)["Function"] == [name], "an object is left"
    env.api.remove(key)
    await env.gone(kind)
    assert contents(fresh_aws.client) == {}


@pytest.mark.parametrize(
    ("service", "operation"),
    [("lambda", "CreateFunction"), ("events", "PutTargets")],
)
async def test_a_class_serves_and_says_so_where_the_operator_may_not_make_it(
    env: Environment, fresh_aws: Aws, service: str, operation: str
) -> None:
    fresh_aws.control.add_faults(
        Fault(service=service, operation=operation, error=DENIED, resource=f"eep-{CLUSTER}-default-reaper-")
    )
    kind = env.make_class(reaper=POLICY)
    told = await env.reason(kind, "ReaperFailed", ACTIVE)
    assert "not authorized" in told
    assert env.condition(kind)["reason"] == "Connected", "nothing else waits for it"
