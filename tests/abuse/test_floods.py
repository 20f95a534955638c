"""Whoever may change an object may do so hundreds of times a second."""

import asyncio

from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.controllers.endpoint.controller import REFRESH_SECONDS
from ephemeral_endpoints.kube.cache import ObjectKey

CHANGES = 400


async def flood(env: Environment, key: ObjectKey, annotation: str) -> None:
    for number in range(CHANGES):
        env.api.change(key, {"metadata": {"annotations": {annotation: str(number)}}})
        await asyncio.sleep(0)
    await env.rest()


async def test_a_flood_of_annotations_costs_no_call_and_no_write_and_starves_nobody(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.reset_meter()
    writes = env.api.writes
    await flood(env, key, "example.com/noise")
    assert fresh_aws.control.calls() == {}
    assert env.api.writes == writes

    flooding = asyncio.create_task(flood(env, key, "example.com/noise"))
    other = env.make("other", namespace="other")
    await env.ready(other)
    await flooding
    env.api.remove(other)
    await env.gone(other)


async def test_a_flood_of_requests_for_a_fresh_look_is_served_now_and_then_and_the_last_of_them_too(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.reset_meter()
    began = env.clock()
    await flood(env, key, RECONCILE_AT_ANNOTATION)
    looks = fresh_aws.control.calls()["lambda"]["ListFunctions"]
    assert 1 <= looks <= 1 + (env.clock() - began) / REFRESH_SECONDS

    alarms = fresh_aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    fresh_aws.client("cloudwatch").delete_alarms(AlarmNames=[each["AlarmName"] for each in alarms])
    env.api.change(key, {"metadata": {"annotations": {RECONCILE_AT_ANNOTATION: "last"}}})
    await env.rest()
    env.clock.advance(REFRESH_SECONDS)
    await env.refresh(key)
    repaired = fresh_aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(repaired) == len(alarms)
