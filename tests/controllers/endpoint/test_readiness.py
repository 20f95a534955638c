"""When the URL is requested, and what its answer means for the object."""

import pytest
from tests.controllers.environment import Environment

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.features.routing.answers import Answer, SampleAnswer
from ephemeral_endpoints.kube.cache import ObjectKey

GOOD = Answer(ok=True)
SAMPLE = Answer(ok=False, kind="sample-refused", sample=SampleAnswer("a", None, 500, "KeyError: 'text'"))
DENIED = Answer(ok=False, message="the URL answers 503", kind="invocation-denied")
STARTING = Answer(ok=False, message="the URL answers 503: The model is starting.", kind="model-not-ready")
API = {"samples": [{"name": "a", "request": "{}"}], "readiness": {"sample": "a"}}


async def asked(env: Environment, key: ObjectKey) -> int:
    """How many requests one more reconciliation makes."""
    before = env.urls.requests
    await env.refresh(key)
    return env.urls.requests - before


async def test_a_refused_sample_is_the_authors_and_heals_with_the_answer(env: Environment) -> None:
    env.urls.answer = SAMPLE
    key = env.make(api=API)
    message = await env.reason(key, "SampleRefused")
    assert message.startswith("the model answered the sample a with 500: \"KeyError: 'text'\"; correct the model")
    assert env.condition(key, "RouteReady")["status"] == "False"
    assert env.condition(key, "Stalled")["status"] == "False", "the operator tries again"
    env.urls.answer = GOOD
    env.clock.advance(61)
    assert await asked(env, key) == 1
    assert env.condition(key)["status"] == "True"
    assert env.condition(key, "RouteReady")["reason"] == "Routed"


async def test_a_missing_permission_is_the_platform_engineers(env: Environment) -> None:
    env.urls.answer = DENIED
    message = await env.reason(env.make(), "InvocationDenied")
    assert "role/any may not invoke the endpoint: a platform engineer must grant it" in message


async def test_what_passes_is_no_failure_of_the_route(env: Environment) -> None:
    env.urls.answer = STARTING
    key = env.make()
    assert await env.reason(key, "NotAnswering") == STARTING.message
    assert env.condition(key, "RouteReady")["status"] == "True"


async def test_the_url_is_requested_when_it_is_time_and_not_with_every_reconciliation(env: Environment) -> None:
    env.urls.answer = SAMPLE
    key = env.make(api=API)
    await env.reason(key, "SampleRefused")
    await env.rest()
    assert await asked(env, key) == 0
    for seconds, requests in ((61, 1), (61, 0), (540, 1), (601, 0), (600, 1)):
        env.clock.advance(seconds)
        assert await asked(env, key) == requests


@pytest.mark.parametrize(
    ("change", "answer", "requests"),
    [
        pytest.param({"spec": {"lifecycle": {"ttl": "5h"}}}, SAMPLE, 0, id="not of the model's concern"),
        pytest.param({"spec": {"lifecycle": {"ttl": "5h"}}}, DENIED, 1, id="a missing permission is looked at anew"),
        pytest.param({"spec": {"api": {"samples": [{"name": "a", "request": "[]"}]}}}, SAMPLE, 1, id="another sample"),
        pytest.param({"metadata": {"annotations": {RECONCILE_AT_ANNOTATION: "now"}}}, SAMPLE, 1, id="on request"),
    ],
)
async def test_a_change_that_matters_is_tried_at_once(
    env: Environment, change: dict[str, object], answer: Answer, requests: int
) -> None:
    env.urls.answer = answer
    key = env.make(api=API)
    await env.until(lambda: env.condition(key, "RouteReady").get("status") == "False", "refused")
    for _ in range(2):
        env.clock.advance(3601)
        await env.refresh(key)
    before = env.urls.requests
    env.urls.answer = GOOD  # after which it is not requested again, as it would be soon without a permission
    env.api.change(key, change)
    await env.rest()
    await env.until(lambda: env.operator.is_idle and env.urls.requests == before + requests, "requested")
