import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.aws.world import eventually
from tests.kube.conftest import Cluster

from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.handlers import Watch
from ephemeral_endpoints.kube.store import ObjectKey, Store
from ephemeral_endpoints.local import controlplane
from ephemeral_endpoints.local.controlplane import ControlPlane

STOP_SECONDS = 10


class Watched:
    """A running watch of one namespace, its store, and who was woken."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.store = Store()
        self.woken: list[ObjectKey] = []
        self.watch = Watch(self.store, self.woken.append)

    def key(self, name: str = "pr-42") -> ObjectKey:
        return ObjectKey(self.cluster.namespace, name)

    def version(self, key: ObjectKey) -> str | None:
        with contextlib.suppress(KeyError):
            return str(self.store.raw(key)["metadata"]["resourceVersion"])
        return None

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        async def holds() -> bool:
            return condition()

        await eventually(holds, what)

    def is_deleted(self) -> bool:
        endpoint = self.store.endpoint(self.key())
        return endpoint is not None and endpoint.metadata.deletion_timestamp is not None

    async def arrived(self, raw: dict[str, dict[str, str]]) -> None:
        """Wait until the store holds this version of the object."""
        await self.until(lambda: self.watch.is_up, "the watch begins")
        metadata = raw["metadata"]
        key = ObjectKey(metadata.get("namespace"), metadata["name"])
        await self.until(lambda: self.version(key) == metadata["resourceVersion"], f"{key} arrives")


@pytest.fixture
def watched(cluster: Cluster, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    # What the variable KUBECONFIG says, which the client read when it was imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(control_plane.kubeconfig))
    watched = Watched(cluster)
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        stop = asyncio.Event()
        begun.set_result((asyncio.get_running_loop(), stop))
        await watched.watch.run([cluster.namespace], stop=stop)

    # In a loop of its own: the test blocks now and then, and the watch must go on.
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(asyncio.run, run())
        loop, stop = begun.result(STOP_SECONDS)
        try:
            yield watched
        finally:
            loop.call_soon_threadsafe(stop.set)
            running.result(STOP_SECONDS)


async def test_objects_arrive_and_wake_when_they_are_made_changed_and_deleted(watched: Watched) -> None:
    cluster, key = watched.cluster, watched.key()
    await watched.arrived(cluster.create())
    await watched.until(lambda: key in watched.woken, "it is woken by its creation")
    watched.woken.clear()

    await watched.arrived(cluster.patch({"spec": {"model": {"environment": {"A": "b"}}}}))
    endpoint = watched.store.endpoint(key)
    assert endpoint is not None
    assert endpoint.spec.model.environment == {"A": "b"}
    await watched.until(lambda: key in watched.woken, "it is woken by a change of its spec")
    watched.woken.clear()

    cluster.delete()
    await watched.until(lambda: watched.store.endpoint(key) is None, "it is forgotten")
    await watched.until(lambda: key in watched.woken, "it is woken by its deletion")


@pytest.mark.parametrize(
    "metadata", [{"labels": {"a": "b"}}, {"annotations": {"a": "b"}}, {"finalizers": ["example.com/other"]}]
)
async def test_changes_of_metadata_wake(watched: Watched, metadata: dict[str, object]) -> None:
    await watched.arrived(watched.cluster.create())
    await watched.until(lambda: watched.key() in watched.woken, "it is woken")
    watched.woken.clear()
    await watched.arrived(watched.cluster.patch({"metadata": metadata}))
    await watched.until(lambda: watched.key() in watched.woken, "it is woken")
    watched.cluster.patch({"metadata": {"finalizers": None}})


async def test_a_deletion_that_waits_for_finalizers_wakes(watched: Watched) -> None:
    await watched.arrived(watched.cluster.create(finalizers=["example.com/other"]))
    await watched.until(lambda: watched.key() in watched.woken, "it is woken")
    watched.woken.clear()
    watched.cluster.delete()
    await watched.until(lambda: watched.is_deleted() and watched.key() in watched.woken, "its deletion wakes it")
    watched.cluster.patch({"metadata": {"finalizers": None}})
    await watched.until(lambda: watched.store.endpoint(watched.key()) is None, "it is forgotten")


async def test_status_arrives_and_does_not_wake(watched: Watched, kube: KubeClient) -> None:
    await watched.arrived(watched.cluster.create())
    # A class that is heard of later wakes its objects.
    await watched.until(lambda: {ObjectKey(None, "default"), watched.key()} <= set(watched.woken), "both are woken")
    watched.woken.clear()
    written = await kube.write_status(watched.cluster.read(), {"url": "https://x", "observedGeneration": 1})
    await watched.arrived(dict(written))
    # What came after it has been handled, and so has it.
    await watched.arrived(watched.cluster.create("after"))
    await watched.until(lambda: watched.key("after") in watched.woken, "the next one is woken")
    assert watched.key() not in watched.woken
    assert watched.store.raw(watched.key())["status"]["url"] == "https://x"


async def test_the_watch_leaves_no_trace_on_objects(watched: Watched) -> None:
    raw = watched.cluster.create()
    await watched.arrived(raw)
    await watched.until(lambda: watched.key() in watched.woken, "it is woken")
    assert watched.cluster.read() == raw


async def test_objects_in_other_namespaces_are_not_seen(watched: Watched) -> None:
    other = Cluster(watched.cluster.core.api_client, "default")
    name = watched.cluster.namespace
    other.create(name)
    await watched.arrived(watched.cluster.create())
    assert watched.store.endpoint(ObjectKey("default", name)) is None
    other.delete(name)


async def test_a_class_wakes_its_objects_and_an_object_its_class(watched: Watched) -> None:
    name = f"class-{watched.cluster.namespace}"
    klass = ObjectKey(None, name)
    await watched.arrived(watched.cluster.create_class(name))
    await watched.until(lambda: klass in watched.woken, "the class is woken")
    watched.woken.clear()
    await watched.arrived(watched.cluster.create(spec={"className": name}))
    await watched.until(lambda: klass in watched.woken, "the class is woken by an object that uses it")
    watched.woken.clear()
    await watched.arrived(watched.cluster.patch_class(name, {"spec": {"lifecycle": {"defaultTtl": "1h"}}}))
    await watched.until(lambda: watched.key() in watched.woken, "the object is woken by its class")
    watched.cluster.delete_class(name)
    await watched.until(lambda: watched.store.named_class(name) is None, "the class is forgotten")


async def test_a_restart_of_the_api_server_is_survived(
    watched: Watched, control_plane: ControlPlane, control_plane_state: Path
) -> None:
    if control_plane.provider not in {"assets", "build"}:
        pytest.skip(f"the control plane comes from {control_plane.provider}: it is not ours to restart")
    await watched.arrived(watched.cluster.create())
    await asyncio.to_thread(controlplane.restart_apiserver, control_plane_state, grace_seconds=0)
    watched.woken.clear()
    await watched.arrived(watched.cluster.create("afterwards"))
    await watched.until(lambda: watched.key("afterwards") in watched.woken, "what came afterwards is woken")
    await watched.arrived(watched.cluster.patch({"metadata": {"labels": {"a": "b"}}}))


async def test_who_asks_for_the_path_of_what_is_gone_is_woken(watched: Watched) -> None:
    shared = {"className": "any", "api": {"path": "/shared"}}
    await watched.arrived(watched.cluster.create("older", spec=shared))
    await watched.arrived(watched.cluster.create("younger", spec=shared))
    await watched.until(lambda: watched.key("younger") in watched.woken, "it is woken by its creation")
    watched.woken.clear()
    watched.cluster.delete("older")
    await watched.until(lambda: watched.key("younger") in watched.woken, "it is woken")
