"""The object behind ``spec.api.postprocess``: told by a condition, never in the way of serving."""

from typing import Any

from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from ephemeral_endpoints.kube.cache import ObjectKey

API = {"postprocess": {"endpoint": "second"}}
FIRST, NEWER = "1f0c2a9", "9d20abc"


def status(env: Environment, key: ObjectKey) -> Any:  # noqa: ANN401 - JSON
    return env.api.kept[key]["status"].get("postprocess")


def calls(aws: Aws) -> dict[str, int]:
    counted: dict[str, int] = aws.control.calls().get("lambda", {})
    return counted


async def test_a_push_to_the_second_object_changes_no_other_function(env: Environment, fresh_aws: Aws) -> None:
    second = env.make("second", lifecycle={"ttlFrom": "Created"})
    await env.ready(second)
    key = env.make("pr", api=API)
    await env.ready(key)
    await env.reason(key, "Postprocessing", "Postprocessed")
    await env.until(lambda: status(env, key) == {"endpoint": "second", "revision": FIRST}, "the status tells it")
    fresh_aws.control.reset_meter()
    # The image of that revision is known already.
    env.api.change(second, {"spec": {"source": {"revision": NEWER}}, "status": {"revision": NEWER}})
    await env.until(lambda: status(env, key) == {"endpoint": "second", "revision": NEWER}, "the newer one is told")
    assert calls(fresh_aws)["UpdateFunctionCode"] == 1, "that of the second object itself"
    assert "TagResource" not in calls(fresh_aws)


async def test_an_object_that_comes_and_goes_is_followed(env: Environment) -> None:
    key = env.make("pr", api=API)
    await env.ready(key)
    message = await env.reason(key, "PostprocessNotFound", "Postprocessed")
    assert "there is no EphemeralEndpoint second in namespace nlp" in message
    assert status(env, key) is None
    second = env.make("second")
    await env.reason(key, "Postprocessing", "Postprocessed")
    await env.until(lambda: status(env, key) is not None, "it is told")
    env.api.remove(second)
    await env.gone(second)
    await env.reason(key, "PostprocessNotFound", "Postprocessed")
    await env.until(lambda: status(env, key) is None, "nothing is told any more")
    assert env.condition(key)["status"] == "True", "Ready does not depend on it"


async def test_an_endpoint_that_nobody_lists_is_refused_until_the_class_lists_it(env: Environment) -> None:
    listed = env.make_class("default")
    key = env.make("pr", api={"postprocess": {"sageMakerEndpoint": "shared"}})
    message = await env.reason(key, "NotAllowed", "Stalled")
    assert "routing.postprocessors" in message
    await env.reason(key, "PostprocessRefused", "Postprocessed")
    env.api.change(listed, {"spec": {"routing": {"postprocessors": ["shared"]}}})
    await env.reason(key, "Postprocessing", "Postprocessed")
    await env.ready(key)
