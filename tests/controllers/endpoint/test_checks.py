"""The checks of objects: when they run, through which URL, and what becomes of their results."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from tests.controllers.environment import REVISION, Environment
from tests.features.checks.model_server import ModelServer, answering, echo, serving
from yarl import URL

from ephemeral_endpoints.api import CHECK_AT_ANNOTATION
from ephemeral_endpoints.features.checks.step import REQUEST_SECONDS
from ephemeral_endpoints.kube.cache import ObjectKey

PUSHED = {"spec": {"model": {"environment": {"LOG_LEVEL": "debug"}}}}
"""A change that makes another model."""


@pytest.fixture
async def model(env: Environment) -> AsyncIterator[ModelServer]:
    """The model of all objects; an echo, unless a test says otherwise."""
    async with serving() as server:
        env.urls.model = URL(server.url)
        yield server


class Held:
    """Answers nothing before it is released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def __call__(self, body: bytes) -> web.Response:
        await self.released.wait()
        return web.Response(body=body, content_type="application/json")


def check(name: str = "greeting", expected: object = 1) -> dict[str, Any]:
    values = [{"pointer": "/a", "equals": expected}]
    return {"name": name, "request": {"body": '{"a": 1}'}, "expect": {"values": values}}


def last(env: Environment, key: ObjectKey) -> dict[str, Any]:
    """The last run in the status; empty without one."""
    run: dict[str, Any] = env.api.kept[key]["status"].get("checks", {})
    return run


async def until_run(env: Environment, key: ObjectKey, *, but: str = "") -> dict[str, Any]:
    """Wait for a run with another id; returns it."""
    await env.until(lambda: last(env, key).get("id", but) != but, "the checks have run")
    await env.rest()
    return last(env, key)


async def test_checks_run_once_when_the_object_is_ready(env: Environment, model: ModelServer) -> None:
    key = env.make(checks=[check(), check("other")])
    run = await until_run(env, key)
    assert [(each["name"], each["outcome"]) for each in run["results"]] == [("greeting", "Passed"), ("other", "Passed")]
    assert (run["revision"], env.condition(key, "ChecksPassed")["status"]) == (REVISION, "True")
    assert model.requests[0][0]["Authorization"] == "Bearer a-token"
    writes = env.api.writes
    for _ in range(3):
        await env.refresh(key)
    assert (len(model.requests), env.api.writes) == (2, writes), "at rest nothing is sent or written"


async def test_what_fails_is_named_and_the_object_stays_ready(env: Environment, model: ModelServer) -> None:
    model.reply = answering("<html>")
    key = env.make(checks=[check()])
    message = await env.reason(key, "ChecksFailed", "ChecksPassed")
    assert message.startswith("1 of 1 checks failed: greeting (the answer: expected JSON, found application/json; ")
    assert env.condition(key)["status"] == "True"
    assert env.condition(key, "Stalled")["status"] == "False"


async def test_a_changed_annotation_runs_them_again(env: Environment, model: ModelServer) -> None:
    key = env.make(checks=[check()])
    first = await until_run(env, key)
    assert first["requested"] == ""
    env.api.change(key, {"metadata": {"annotations": {CHECK_AT_ANNOTATION: "now" + "!" * 100}}})
    second = await until_run(env, key, but=first["id"])
    assert second["requested"] == ("now" + "!" * 100)[:64]
    assert len(model.requests) == 2


async def test_other_checks_are_run_and_what_does_not_concern_them_runs_nothing(
    env: Environment, model: ModelServer
) -> None:
    key = env.make(checks=[check()])
    first = await until_run(env, key)
    env.api.change(key, {"spec": {"lifecycle": {"ttl": "5h"}}})
    await env.ready(key)
    assert last(env, key) == first
    env.api.change(key, {"spec": {"checks": [check(expected=2)]}})
    await until_run(env, key, but=first["id"])
    assert env.condition(key, "ChecksPassed")["status"] == "False"
    assert len(model.requests) == 2


async def test_another_model_behind_the_url_is_checked_once_it_is_ready(env: Environment, model: ModelServer) -> None:
    key = env.make(checks=[check()])
    first = await until_run(env, key)
    env.api.change(key, PUSHED)
    await until_run(env, key, but=first["id"])
    assert len(model.requests) == 2


async def test_without_checks_nothing_is_left_of_them(env: Environment, model: ModelServer) -> None:
    key = env.make(checks=[check()])
    await until_run(env, key)
    env.api.change(key, {"spec": {"checks": []}})
    await env.until(lambda: not last(env, key), "no run in the status")
    assert env.condition(key, "ChecksPassed") == {}
    assert len(model.requests) == 1


async def test_results_outlive_the_operator_and_nothing_is_sent_again(env: Environment, model: ModelServer) -> None:
    key = env.make(checks=[check()])
    run = await until_run(env, key)
    await env.restart()
    await env.ready(key)
    assert (last(env, key), len(model.requests)) == (run, 1)
    assert env.condition(key, "ChecksPassed")["status"] == "True"


async def test_checks_that_a_restart_cuts_off_are_run_anew(env: Environment, model: ModelServer) -> None:
    model.reply = held = Held()
    key = env.make(checks=[check()])
    assert await env.reason(key, "ChecksRunning", "ChecksPassed") == "running 1 check"
    assert env.condition(key, "ChecksPassed")["status"] == "Unknown"
    await env.until(lambda: len(model.requests) == 1, "asked")
    await env.restart()
    await env.until(lambda: len(model.requests) == 2, "asked anew")
    held.released.set()
    run = await until_run(env, key)
    assert [each["outcome"] for each in run["results"]] == ["Passed"]


async def test_two_operators_agree_on_one_result(env: Environment, model: ModelServer) -> None:
    model.reply = held = Held()
    key = env.make(checks=[check()])
    await env.until(lambda: len(model.requests) == 1, "the first one asks")
    watch = env.api.watch
    other = Environment(api=env.api)
    try:
        other.urls.model = env.urls.model
        theirs = env.api.watch

        def both(event: Any) -> None:  # noqa: ANN401 - an event
            watch(event)
            theirs(event)

        env.api.watch = both
        await other.operator.initial_list()
        other.operator.enqueue(key)
        await env.until(lambda: len(model.requests) == 2, "the second one asks")
        held.released.set()
        await until_run(env, key)
        await other.rest()
        run = last(env, key)
        for each in (env, other):
            await each.refresh(key)
        assert (last(env, key), len(model.requests)) == (run, 2)
    finally:
        await other.stop()


async def test_an_object_is_deleted_while_its_checks_run(env: Environment, model: ModelServer) -> None:
    ended = asyncio.Event()

    async def hang(_: bytes) -> web.Response:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    model.reply = hang
    key = env.make(checks=[check()])
    await env.until(lambda: len(model.requests) == 1, "asked")
    env.api.remove(key)
    await env.until(ended.is_set, "the request is given up")
    await env.gone(key)


async def test_a_run_ends_when_another_model_comes(env: Environment, model: ModelServer) -> None:
    model.reply = held = Held()
    key = env.make(checks=[check()])
    await env.until(lambda: len(model.requests) == 1, "asked")
    env.api.change(key, PUSHED)
    await env.until(lambda: len(model.requests) == 2, "the other model is asked")
    assert last(env, key) == {}, "nothing is said of a model that is gone"
    held.released.set()
    await until_run(env, key)


async def test_a_schema_that_is_none_is_told_before_anything_is_sent(env: Environment, model: ModelServer) -> None:
    schema = {"properties": {"a": {"type": "text"}}}
    key = env.make(checks=[check() | {"expect": {"schema": schema}}])
    message = await env.reason(key, "CheckInvalid", "ChecksPassed")
    assert message.startswith('check greeting: the JSON Schema is not valid: /properties/a/type: "text"')
    await env.ready(key)
    assert model.requests == []
    env.api.change(key, {"spec": {"checks": [check() | {"expect": {"schema": {"required": ["a"]}}}]}})
    await env.reason(key, "ChecksPassed", "ChecksPassed")


async def test_a_serverless_endpoint_gets_no_more_at_once_than_it_takes(env: Environment, model: ModelServer) -> None:
    both = asyncio.Event()

    async def together(body: bytes) -> web.Response:
        if model.most == 2:
            both.set()
        await both.wait()
        return await echo(body)

    model.reply = together
    key = env.make(checks=[check(f"c{number}") for number in range(5)], serving={"serverless": {"maxConcurrency": 2}})
    await until_run(env, key)
    assert (len(model.requests), model.most) == (5, 2)


async def test_a_flood_of_requests_for_another_run_is_served_now_and_then_and_the_last_of_them_too(
    env: Environment, model: ModelServer
) -> None:
    key = env.make(checks=[check()])
    run = await until_run(env, key)
    sent = len(model.requests)
    for number in range(10):
        env.api.change(key, {"metadata": {"annotations": {CHECK_AT_ANNOTATION: str(number)}}})
        await env.rest()
    run = await until_run(env, key, but=run["id"])
    assert (run["requested"], len(model.requests)) == ("0", sent + 1)
    env.clock.advance(REQUEST_SECONDS)
    await env.refresh(key)
    run = await until_run(env, key, but=run["id"])
    assert (run["requested"], len(model.requests)) == ("9", sent + 2)
