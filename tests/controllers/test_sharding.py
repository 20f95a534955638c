"""Two operators that share the work of one cluster by namespaces, on one AWS."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from tests.controllers.environment import ApiServer, Environment
from tests.fixtures.aws import QUICK
from tests.fixtures.platform import Aws

from eep_platform.aws.contents import contents
from eep_platform.aws.faults import Fault, FaultError
from eep_platform.chaos.points import is_mutating
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.kube.cache import class_key

CLASS = class_key("default")
FIRSTS = next(name for name in ("nlp", "cv", "fraud") if Shard(0, 2).takes(name))
SECONDS = next(name for name in ("nlp", "cv", "fraud") if Shard(1, 2).takes(name))


class Shards:
    """The two of them; both see everything that happens."""

    def __init__(self) -> None:
        self.api = ApiServer()
        self.first, self.second = (Environment({"EEP_SHARD": f"{index}/2"}, self.api) for index in range(2))
        self.api.watch = self._tell

    def _tell(self, event: Mapping[str, Any]) -> None:
        for env in (self.first, self.second):
            env.watch(event)

    async def join(self, env: Environment) -> None:
        """Begin where a single operator has worked before."""
        await env.stop()
        for each in (self.first, self.second):
            each.api = env.api
            await each.restart()
        self.api.watch = env.api.watch = self._tell

    async def stop(self) -> None:
        await asyncio.gather(self.first.stop(), self.second.stop())


@pytest.fixture
async def shards(fresh_aws: Aws, clients: Clients) -> AsyncIterator[Shards]:
    """On an emptied account, with a class."""
    assert clients.region
    fresh_aws.control.patch_sagemaker_settings(QUICK)
    both = Shards()
    both.first.make_class()
    yield both
    await both.stop()


def apis(aws: Aws) -> dict[str, set[str]]:
    """The paths that each HTTP API has routes for."""
    gateway = aws.client("apigatewayv2")
    return {
        api["Name"]: {
            route["RouteKey"].removeprefix("ANY ") for route in gateway.get_routes(ApiId=api["ApiId"])["Items"]
        }
        for api in gateway.get_apis()["Items"]
    }


async def test_each_shard_serves_its_namespaces_through_an_api_of_its_own(shards: Shards, fresh_aws: Aws) -> None:
    one, other = shards.first.make(namespace=FIRSTS), shards.second.make(namespace=SECONDS)
    await asyncio.gather(shards.first.ready(one), shards.second.ready(other))
    assert sorted(apis(fresh_aws).values(), key=sorted) == [
        {f"/{each}/pr", f"/{each}/pr/{{proxy+}}"} for each in (FIRSTS, SECONDS)
    ]
    effects = Counter(call.operation for call in fresh_aws.control.log())
    assert (effects["CreateApi"], effects["CreateEndpoint"], effects["CreateFunction"]) == (2, 2, 2)


async def test_together_shards_count_everything_once(shards: Shards) -> None:
    one, other = shards.first.make(namespace=FIRSTS), shards.second.make(namespace=SECONDS)
    await asyncio.gather(shards.first.ready(one), shards.second.ready(other))
    waiting = shards.second.make("waiting", namespace=SECONDS, className="none")
    await shards.second.reason(waiting, "ClassNotFound")

    def reported(name: str, **labels: str) -> list[float | None]:
        return [each.metrics.registry.get_sample_value(name, labels) for each in (shards.first, shards.second)]

    assert reported("eep_objects", kind="EphemeralEndpoint") == [1, 2]
    assert reported("eep_objects", kind="EphemeralEndpointClass") == [1, 0]
    assert reported("eep_endpoints_ready") == [1, 1]
    assert reported("eep_endpoints_not_ready", reason="ClassNotFound") == [None, 1]
    assert reported("eep_class_ready", **{"class": "default"}) == [1, None]


async def test_the_first_shard_reports_a_class_which_is_deleted_once_no_shard_uses_it(
    shards: Shards, fresh_aws: Aws
) -> None:
    one, other = shards.first.make(namespace=FIRSTS), shards.second.make(namespace=SECONDS)
    await asyncio.gather(shards.first.ready(one), shards.second.ready(other))
    assert shards.first.condition(CLASS)["reason"] == "Connected"
    for key in (one, other, CLASS):
        shards.api.remove(key)
    await asyncio.gather(shards.first.gone(one), shards.second.gone(other))
    await shards.first.gone(CLASS)
    assert not contents(fresh_aws.client)


async def test_the_younger_of_two_gets_the_path_when_the_older_of_another_shard_has_gone(shards: Shards) -> None:
    shards.api.change(CLASS, {"spec": {"routing": {"allowedPaths": ["/shared"]}}})
    older = shards.first.make(namespace=FIRSTS, api={"path": "/shared"})
    await shards.first.ready(older)
    younger = shards.second.make(namespace=SECONDS, api={"path": "/shared"})
    await shards.second.reason(younger, "PathConflict", "RouteReady")
    await shards.first.until(
        lambda: shards.api.kept[older]["status"]["route"]["waiting"] == [f"{SECONDS}/pr"],
        "who waits known elsewhere",
    )
    shards.api.remove(older)
    await shards.second.ready(younger)


async def test_an_older_object_of_another_shard_does_not_take_over_a_path(shards: Shards, fresh_aws: Aws) -> None:
    shards.api.change(CLASS, {"spec": {"routing": {"allowedPaths": ["/shared"]}}})
    older = shards.first.make(namespace=FIRSTS)
    await shards.first.ready(older)
    holder = shards.second.make(namespace=SECONDS, api={"path": "/shared"})
    await shards.second.ready(holder)
    await shards.first.snapshot()
    shards.api.change(older, {"spec": {"api": {"path": "/shared"}}})
    await shards.first.reason(older, "PathConflict", "RouteReady")
    await shards.second.refresh(holder)
    assert shards.second.is_up_to_date(holder)
    assert sorted(apis(fresh_aws).values(), key=sorted) == [set(), {"/shared", "/shared/{proxy+}"}]


async def test_a_shard_leaves_an_api_of_another_alone_that_nothing_uses_yet(shards: Shards, fresh_aws: Aws) -> None:
    denied = FaultError(code="AccessDeniedException", message="not yet", status=403)
    fresh_aws.control.add_faults(Fault(service="apigatewayv2", operation="CreateIntegration", error=denied))
    shards.first.make(namespace=FIRSTS)
    await shards.first.until(lambda: fresh_aws.control.faults()[0].fired > 0, "an API without an integration")
    await shards.second.snapshot()
    await shards.second.refresh(CLASS)
    assert len(apis(fresh_aws)) == 1
    assert "DeleteApi" not in {call.operation for call in fresh_aws.control.log()}


async def test_what_was_made_before_the_work_was_shared_stays_as_it_is(
    shards: Shards, env: Environment, fresh_aws: Aws
) -> None:
    one, other = env.make(namespace=FIRSTS), env.make(namespace=SECONDS)
    await asyncio.gather(env.ready(one), env.ready(other))
    fresh_aws.control.reset_meter()
    await shards.join(env)
    await asyncio.gather(shards.first.rest(), shards.second.rest())
    assert [call.operation for call in fresh_aws.control.log() if is_mutating(call.operation)] == []
    assert sorted(apis(fresh_aws).values(), key=sorted) == [
        {f"/{each}/pr{below}" for each in (FIRSTS, SECONDS) for below in ("", "/{proxy+}")}
    ]
    shards.api = env.api
    for key in (one, other, CLASS):
        env.api.remove(key)
    await shards.first.gone(CLASS)
    assert not contents(fresh_aws.client)
