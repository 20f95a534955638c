"""The base of comparisons in an account: what a push to it costs the objects that are compared with it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.environment import Environment
from tests.features.checks.model_server import ModelServer, serving
from tests.fixtures.platform import Aws
from yarl import URL

from eep_platform.chaos.points import is_mutating

COMPARED: Mapping[str, Any] = {
    "compare": {"with": {"endpoint": "main"}},
    "api": {"samples": [{"name": "a", "request": '{"a": 1}'}]},
}
OF_THE_BASE = [
    *("CreateEndpointConfig", "CreateModel", "DeleteEndpointConfig", "DeleteModel"),
    *("UpdateEndpoint", "UpdateFunctionCode"),
]
PUSHED = {"spec": {"source": {"revision": "fedcba9876543210"}}}


@pytest.fixture
async def model(env: Environment) -> AsyncIterator[ModelServer]:
    async with serving() as server:
        env.urls.model = URL(server.url)
        yield server


@pytest.mark.usefixtures("model")
async def test_a_push_to_the_base_changes_nothing_in_aws_of_the_objects_that_are_compared_with_it(
    env: Environment, fresh_aws: Aws
) -> None:
    put_image(fresh_aws)
    # With another time to live, the tags of all that stays follow each push.
    main = env.make("main", lifecycle={"ttlFrom": "Created"})
    await env.ready(main)
    compared = [env.make(f"pr-{number}", **COMPARED) for number in range(2)]
    for each in compared:
        await env.reason(each, "NoDifference", "Compared")
    await env.rest()
    fresh_aws.control.reset_meter()
    probes = env.urls.requests
    env.api.change(main, PUSHED)
    await env.until(lambda: env.api.kept[main]["status"]["revision"] == PUSHED["spec"]["source"]["revision"], "pushed")
    await env.ready(main)
    for each in compared:
        await env.refresh(each)
        assert env.is_up_to_date(each)
    changes = [call.operation for call in fresh_aws.control.log() if is_mutating(call.operation)]
    assert sorted(changes) == OF_THE_BASE
    assert env.urls.requests == probes + 1
