"""What has expired is deleted only while clocks agree, not too much at once, and as the API server has it."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tests.controllers.endpoint.test_controls import changes, known
from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws.contents import contents
from ephemeral_endpoints.engine.clocks import Source
from ephemeral_endpoints.features.expiry.brake import LEAST
from ephemeral_endpoints.kube.cache import ObjectKey

LONG_AGO = {"creationTimestamp": "2026-01-01T00:00:00Z"}
TOOL = {"metadata": {"labels": {"argocd.argoproj.io/instance": "previews"}}}


def api_server_says(env: Environment, moment: datetime) -> None:
    env.clocks.note(Source.API_SERVER, format_datetime(moment, usegmt=True))


def expire(env: Environment, key: ObjectKey) -> None:
    """Have it expire by every clock, at once: it was created long ago."""
    env.api.change(key, {"metadata": LONG_AGO})
    env.operator.enqueue(key)


async def served(env: Environment, aws: Aws, *, is_managed: bool) -> ObjectKey:
    """An object that is served, from when on calls are counted."""
    key = env.make()
    if is_managed:
        env.api.change(key, TOOL)
    await env.ready(key)
    aws.control.reset_meter()
    return key


async def test_a_local_clock_that_is_15_days_ahead_ends_no_object(env: Environment, fresh_aws: Aws) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.reset_meter()
    env.ahead = timedelta(days=15)
    api_server_says(env, datetime.now(UTC))
    await env.refresh(key)
    assert env.is_up_to_date(key)
    assert changes(fresh_aws) == []
    assert env.api.events == [each for each in env.api.events if each.reason != "Expired"]


@pytest.mark.parametrize("is_managed", [False, True], ids=["to be deleted", "to be retired"])
async def test_an_object_that_expires_while_clocks_differ_serves_on_until_they_agree(
    env: Environment, fresh_aws: Aws, *, is_managed: bool
) -> None:
    key = await served(env, fresh_aws, is_managed=is_managed)
    before = known(env)
    api_server_says(env, datetime.now(UTC) - timedelta(minutes=10))
    expire(env, key)
    message = await env.reason(key, "ExpiryHeld", "Reconciling")
    assert "the operator's clock is 10 min ahead of that of the Kubernetes API server" in message
    assert env.condition(key)["status"] == "True", "it serves on"
    await env.refresh(key)
    assert [each.reason for each in env.api.events].count("ExpiryHeld") == 1
    assert changes(fresh_aws) == []
    assert known(env) == before

    api_server_says(env, datetime.now(UTC))
    env.operator.enqueue(key)
    await (env.reason(key, "Expired") if is_managed else env.gone(key))


async def test_what_somebody_deletes_goes_although_clocks_differ(env: Environment) -> None:
    key = env.make()
    await env.ready(key)
    api_server_says(env, datetime.now(UTC) + timedelta(days=15))
    env.api.remove(key)
    await env.gone(key)


async def test_of_many_that_expire_at_once_some_wait_and_somebody_may_delete_them(env: Environment) -> None:
    keys = [env.make(f"pr-{number}", suspend=True, api={"path": f"/{number}"}) for number in range(LEAST + 2)]
    for key in keys:
        await env.reason(key, "Suspended", "Reconciling")
    for key in keys:
        expire(env, key)

    def held() -> list[ObjectKey]:
        return [key for key in keys if env.condition(key, "Reconciling").get("reason") == "ExpiryHeld"]

    await env.until(lambda: len(held()) == 2 and len(env.api.kept) == 3, "two left, and the class")
    first, second = held()
    assert "as many objects as may end" in env.condition(first, "Reconciling")["message"]
    env.api.remove(first)
    await env.gone(first)
    assert held() == [second]


@pytest.mark.parametrize("is_managed", [False, True], ids=["to be deleted", "to be retired"])
async def test_a_lifetime_that_was_extended_while_the_watch_stalled_counts(
    env: Environment, fresh_aws: Aws, *, is_managed: bool
) -> None:
    key = await served(env, fresh_aws, is_managed=is_managed)
    before = known(env)
    created_at = env.api.kept[key]["metadata"]["creationTimestamp"]
    env.api.change(key, {"metadata": LONG_AGO})
    await asyncio.sleep(0)  # a notification is one turn of the event loop late
    notify, env.api.watch = env.api.watch, lambda _: None
    change = {"metadata": {"creationTimestamp": created_at}, "spec": {"lifecycle": {"ttl": "9h"}}}
    extended = env.api.change(key, change)
    await asyncio.sleep(0)
    for _ in range(3):
        await env.refresh(key)
    assert env.condition(key, "Reconciling").get("reason") != "ExpiryHeld", "nothing else keeps it"
    assert "deletionTimestamp" not in env.api.kept[key]["metadata"]
    assert changes(fresh_aws) == []
    env.api.watch = notify
    notify({"type": "MODIFIED", "object": extended})
    await env.ready(key)
    assert known(env) == before


async def test_what_ended_while_no_operator_ran_goes_at_the_next_start(env: Environment, fresh_aws: Aws) -> None:
    """Gone for a week: the reaper has taken the endpoint of one object, and its grace spares the other."""
    reaped, other = env.make("reaped"), env.make("other")
    for key in (reaped, other):
        await env.ready(key)
    await env.stop()
    for key in (reaped, other):
        env.api.change(key, {"metadata": LONG_AGO})
    sagemaker = fresh_aws.client("sagemaker")
    [name] = [each for each in contents(fresh_aws.client)["Endpoint"] if "-reaped-" in each]
    await asyncio.to_thread(sagemaker.delete_endpoint, EndpointName=name)
    await env.restart()
    for key in (reaped, other):
        await env.gone(key)
    left = contents(fresh_aws.client)
    assert not left.keys() & {"Endpoint", "EndpointConfig", "Model", "Function", "LogGroup", "Route"}
