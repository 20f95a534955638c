"""ConfigMaps on a real API server: read once, and again when they change."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from kubernetes.aio.client import ApiClient
from kubernetes.client import V1ConfigMap, V1ObjectMeta
from kubernetes.client.exceptions import ApiException
from tests.aws.cloud import eventually
from tests.fixtures.kubernetes import Cluster

from ephemeral_endpoints.kube.cache import ObjectKey, endpoint_key
from ephemeral_endpoints.kube.configmaps import ConfigMaps
from ephemeral_endpoints.kube.rest import TLS_CLOSE_SECONDS


class Watched:
    """ConfigMaps at work, the requests that were sent, and the objects that were told of changes."""

    def __init__(self, api: ApiClient, cluster: Cluster, *, whole_cluster: bool) -> None:
        self.cluster = cluster
        self.key = endpoint_key(cluster.namespace, "pr-42")
        self.told: list[ObjectKey] = []
        self.requests: list[str] = []
        trace = aiohttp.TraceConfig()

        async def note(_: object, __: object, parameters: aiohttp.TraceRequestStartParams) -> None:
            self.requests.append(f"{parameters.headers['Accept'].partition(';')[2]} {parameters.url.path_qs}")

        trace.on_request_start.append(note)
        api.configuration.trace_configs = [trace]
        self.maps = ConfigMaps(api, () if whole_cluster else (cluster.namespace,), self.told.append)

    def put(self, value: str, name: str = "settings") -> None:
        body = V1ConfigMap(metadata=V1ObjectMeta(name=name), data={"level": value})
        try:
            self.cluster.core.create_namespaced_config_map(self.namespace, body)
        except ApiException:
            self.cluster.core.replace_namespaced_config_map(name, self.namespace, body)

    @property
    def namespace(self) -> str:
        return self.cluster.namespace

    async def level(self, name: str = "settings") -> str | None:
        data = await self.maps.data(self.namespace, name)
        return None if data is None else data["level"]

    @property
    def reads(self) -> int:
        return sum(each.startswith(" ") for each in self.requests)

    async def until(self, check: Callable[[], bool], what: str) -> None:
        async def answer() -> bool:
            return check()

        await eventually(answer, what)


@asynccontextmanager
async def running(watched: Watched) -> AsyncIterator[None]:
    task = asyncio.create_task(watched.maps.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        # The loop of a test ends at once, connections a little later.
        await asyncio.sleep(TLS_CLOSE_SECONDS)


@pytest.fixture(params=[True, False], ids=["all namespaces", "one namespace"])
async def watched(api: ApiClient, cluster: Cluster, request: pytest.FixtureRequest) -> AsyncIterator[Watched]:
    found = Watched(api, cluster, whole_cluster=request.param)
    async with running(found):
        yield found


async def test_nothing_is_asked_while_no_object_refers_to_any(watched: Watched) -> None:
    watched.put("debug")
    for _ in range(10):
        await asyncio.sleep(0)
    assert watched.requests == []
    assert not watched.maps.is_watched


async def test_a_configmap_is_read_once_and_again_when_it_changes(watched: Watched) -> None:
    watched.put("debug")
    watched.maps.refer(watched.key, ["settings"], "test")
    assert await watched.level() == "debug"
    await watched.until(lambda: watched.maps.is_watched, "watched")
    before = watched.reads
    assert [await watched.level() for _ in range(3)] == ["debug"] * 3
    assert watched.reads == before
    watched.told.clear()
    watched.put("info")
    await watched.until(lambda: watched.key in watched.told, "told of the change")
    assert await watched.level() == "info"
    assert watched.reads == before + 1


async def test_one_that_does_not_exist_is_noticed_when_it_is_made_and_when_it_goes(watched: Watched) -> None:
    watched.maps.refer(watched.key, ["settings"], "test")
    assert await watched.level() is None
    await watched.until(lambda: watched.maps.is_watched, "watched")
    watched.told.clear()
    watched.put("debug")
    await watched.until(lambda: watched.key in watched.told, "told that it was made")
    assert await watched.level() == "debug"
    watched.told.clear()
    watched.cluster.core.delete_namespaced_config_map("settings", watched.namespace)
    await watched.until(lambda: watched.key in watched.told, "told that it is gone")
    assert await watched.level() is None


async def test_a_namespace_without_any_configmap_is_watched(api: ApiClient, cluster: Cluster) -> None:
    found = Watched(api, cluster, whole_cluster=False)
    found.maps = ConfigMaps(api, ("empty",), found.told.append)
    async with running(found):
        found.maps.refer(endpoint_key("empty", "pr-42"), ["settings"], "test")
        await found.until(lambda: found.maps.is_watched, "watched")


async def test_changes_of_others_concern_nobody(watched: Watched) -> None:
    watched.put("debug")
    watched.maps.refer(watched.key, ["settings"], "test")
    assert await watched.level() == "debug"
    await watched.until(lambda: watched.maps.is_watched, "watched")
    watched.told.clear()
    watched.put("a", name="other")
    watched.put("info")
    await watched.until(lambda: bool(watched.told), "told of the second change")
    assert set(watched.told) == {watched.key}


async def test_only_metadata_is_listed_and_watched(watched: Watched) -> None:
    watched.maps.refer(watched.key, ["settings"], "test")
    await watched.until(lambda: any("watch=1" in each for each in watched.requests), "a watch")
    others = [each for each in watched.requests if not each.startswith(" ")]
    assert others
    assert all(each.startswith("as=PartialObjectMetadata") for each in others)


async def test_what_was_read_while_nobody_watched_is_compared_with_the_list(api: ApiClient, cluster: Cluster) -> None:
    """Between the read and the beginning of the watch it may have changed."""
    watched = Watched(api, cluster, whole_cluster=True)
    watched.put("debug")
    watched.maps.refer(watched.key, ["settings"], "test")
    assert await watched.level() == "debug"
    watched.put("info")
    async with running(watched):
        await watched.until(lambda: watched.key in watched.told, "told of the change")
        assert await watched.level() == "info"


async def test_while_nothing_is_watched_every_look_reads(api: ApiClient, cluster: Cluster) -> None:
    watched = Watched(api, cluster, whole_cluster=True)
    watched.put("debug")
    watched.maps.refer(watched.key, ["settings"], "test")
    assert await watched.level() == "debug"
    watched.put("info")
    assert await watched.level() == "info"


async def test_what_one_part_of_an_object_refers_to_is_not_forgotten_with_another_part(watched: Watched) -> None:
    watched.put("debug")
    watched.put("a", name="other")
    watched.maps.refer(watched.key, ["settings"], "environment")
    watched.maps.refer(watched.key, ["other"], "checks")
    assert (await watched.level(), await watched.level("other")) == ("debug", "a")
    await watched.until(lambda: watched.maps.is_watched, "watched")
    watched.maps.refer(watched.key, (), "checks")
    watched.told.clear()
    watched.put("info")
    await watched.until(lambda: watched.key in watched.told, "told of the change")
    assert watched.told == [watched.key]
