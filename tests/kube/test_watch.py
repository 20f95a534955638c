import asyncio
import contextlib
import gc
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient
from tests.aws.cloud import eventually
from tests.fixtures.connection import line_to
from tests.fixtures.gateway import Gateway, kubeconfig
from tests.fixtures.kubernetes import Cluster

from eep_platform import controlplane
from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.kube import watch
from ephemeral_endpoints.kube.cache import ObjectKey, Store, class_key, endpoint_key
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.errors import Gone
from ephemeral_endpoints.kube.rest import Deadlines
from ephemeral_endpoints.kube.triggers import Trigger, keys
from ephemeral_endpoints.kube.watch import Watch

STOP_SECONDS = 60
KUBECONFIG = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
"""What the variable of that name says, which the client read when it was imported."""


class Watched:
    """A running watch of one namespace, its store, and who was woken."""

    def __init__(self, cluster: Cluster, **settings: Any) -> None:  # noqa: ANN401 - those of a watch
        self.cluster = cluster
        self.store = Store()
        self.enqueued: list[ObjectKey] = []
        self.contexts: list[Context] = []
        self.end: Callable[[], object] = lambda: None
        self.has_ended: Callable[[], bool] = lambda: False
        self.watch = Watch(self.store, self._changed, **settings)

    def key(self, name: str = "pr-42") -> ObjectKey:
        return endpoint_key(self.cluster.namespace, name)

    def version(self, key: ObjectKey) -> str | None:
        with contextlib.suppress(Gone):
            return str(self.store.raw(key)["metadata"]["resourceVersion"])
        return None

    def _changed(self, change: Trigger) -> None:
        self.contexts.append(copy_context())
        self.enqueued.extend(keys(change, self.store))

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        async def holds() -> bool:
            return condition()

        await eventually(holds, what)

    def is_deleted(self) -> bool:
        endpoint = self.store.endpoint(self.key())
        return endpoint is not None and endpoint.metadata.deletion_timestamp is not None

    async def stopped(self) -> None:
        """Have the watch end while this event loop goes on, where its connections lead through it."""
        self.end()
        await self.until(self.has_ended, "the end of the watch")

    async def arrived(self, raw: dict[str, dict[str, str]]) -> None:
        """Wait until the store holds this version of the object."""
        await self.until(lambda: self.watch.is_up, "the watch begins")
        metadata, key = raw["metadata"], ObjectKey.of(raw)
        await self.until(lambda: self.version(key) == metadata["resourceVersion"], f"{key} arrives")


@contextlib.contextmanager
def running(watched: Watched) -> Iterator[Watched]:
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        stop = asyncio.Event()
        begun.set_result((asyncio.get_running_loop(), stop))
        await watched.watch.run([watched.cluster.namespace], stop=stop)

    # The collection at the end has to look at what is made from here on, and not at all that the suite has loaded.
    gc.freeze()
    # In a loop of its own: the test blocks now and then, and the watch must go on.
    with ThreadPoolExecutor(1) as thread:
        task = thread.submit(asyncio.run, run())
        loop, stop = begun.result(STOP_SECONDS)
        watched.end = lambda: loop.call_soon_threadsafe(stop.set)
        watched.has_ended = task.done
        try:
            yield watched
        finally:
            if not task.done():
                watched.end()
            task.result(STOP_SECONDS)
    # kopf does not close its connections when it gives up.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


@pytest.fixture
def _reachable(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KUBECONFIG, str(control_plane.kubeconfig))


@pytest.fixture
def watched(cluster: Cluster, _reachable: None) -> Iterator[Watched]:
    with running(Watched(cluster)) as found:
        yield found


async def test_objects_are_cached_and_enqueued_when_they_are_created_changed_and_deleted(watched: Watched) -> None:
    cluster, key = watched.cluster, watched.key()
    await watched.arrived(cluster.create())
    await watched.until(lambda: key in watched.enqueued, "it is woken by its creation")
    watched.enqueued.clear()

    await watched.arrived(cluster.patch({"spec": {"model": {"environment": {"A": "b"}}}}))
    endpoint = watched.store.endpoint(key)
    assert endpoint is not None
    assert endpoint.spec.model.environment == {"A": "b"}
    await watched.until(lambda: key in watched.enqueued, "it is woken by a change of its spec")
    watched.enqueued.clear()

    cluster.delete()
    await watched.until(lambda: watched.store.endpoint(key) is None, "it is forgotten")
    await watched.until(lambda: key in watched.enqueued, "it is woken by its deletion")


@pytest.mark.parametrize(
    "metadata", [{"labels": {"a": "b"}}, {"annotations": {"a": "b"}}, {"finalizers": ["example.com/other"]}]
)
async def test_changes_of_metadata_enqueue(watched: Watched, metadata: dict[str, object]) -> None:
    await watched.arrived(watched.cluster.create())
    await watched.until(lambda: watched.key() in watched.enqueued, "it is woken")
    watched.enqueued.clear()
    await watched.arrived(watched.cluster.patch({"metadata": metadata}))
    await watched.until(lambda: watched.key() in watched.enqueued, "it is woken")
    watched.cluster.patch({"metadata": {"finalizers": None}})


async def test_a_deletion_that_waits_for_finalizers_enqueues(watched: Watched) -> None:
    await watched.arrived(watched.cluster.create(finalizers=["example.com/other"]))
    await watched.until(lambda: watched.key() in watched.enqueued, "it is woken")
    watched.enqueued.clear()
    watched.cluster.delete()
    await watched.until(lambda: watched.is_deleted() and watched.key() in watched.enqueued, "its deletion wakes it")
    watched.cluster.patch({"metadata": {"finalizers": None}})
    await watched.until(lambda: watched.store.endpoint(watched.key()) is None, "it is forgotten")


async def test_a_status_is_cached_and_does_not_enqueue(watched: Watched, kube: KubeClient) -> None:
    await watched.arrived(watched.cluster.create())
    # A class that is heard of later wakes its objects.
    await watched.until(lambda: {class_key("default"), watched.key()} <= set(watched.enqueued), "both are woken")
    watched.enqueued.clear()
    written = await kube.write_status(watched.cluster.read(), {"url": "https://x", "observedGeneration": 1})
    await watched.arrived(dict(written))
    # What came after it has been handled, and so has it.
    await watched.arrived(watched.cluster.create("after"))
    await watched.until(lambda: watched.key("after") in watched.enqueued, "the next one is woken")
    assert watched.key() not in watched.enqueued
    assert watched.store.raw(watched.key())["status"]["url"] == "https://x"


async def test_the_watch_leaves_no_trace_on_objects(watched: Watched) -> None:
    raw = watched.cluster.create()
    await watched.arrived(raw)
    await watched.until(lambda: watched.key() in watched.enqueued, "it is woken")
    assert watched.cluster.read() == raw


async def test_what_a_change_begins_does_not_keep_the_object_as_it_was_read(watched: Watched) -> None:
    await watched.arrived(watched.cluster.create())
    await watched.until(lambda: bool(watched.contexts), "it is reported")
    assert [dict(each) for each in watched.contexts] == [{}] * len(watched.contexts)


async def test_objects_are_listed_in_pages(
    cluster: Cluster, gateway: Gateway, control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[str | None] = []

    def note(request: web.Request) -> None:
        if "watch" not in request.query and request.path.endswith("/ephemeralendpoints"):
            limits.append(request.query.get("limit"))

    gateway.answer = note
    monkeypatch.setattr(KUBECONFIG, str(kubeconfig(gateway.url, control_plane, tmp_path)))
    monkeypatch.setattr(watch, "_PAGE", 2)
    raws = [cluster.create(f"pr-{number}") for number in range(5)]
    with running(Watched(cluster)) as watched:
        for raw in raws:
            await watched.arrived(raw)
    assert limits == ["2"] * 3


async def test_objects_in_other_namespaces_are_not_seen(watched: Watched) -> None:
    other = Cluster(watched.cluster.core.api_client, "default")
    name = watched.cluster.namespace
    other.create(name)
    await watched.arrived(watched.cluster.create())
    assert watched.store.endpoint(endpoint_key("default", name)) is None
    other.delete(name)


async def test_a_class_enqueues_its_objects_and_an_object_its_class(watched: Watched) -> None:
    name = f"class-{watched.cluster.namespace}"
    endpoint_class = class_key(name)
    await watched.arrived(watched.cluster.create_class(name))
    await watched.until(lambda: endpoint_class in watched.enqueued, "the class is woken")
    watched.enqueued.clear()
    await watched.arrived(watched.cluster.create(spec={"className": name}))
    await watched.until(lambda: endpoint_class in watched.enqueued, "the class is woken by an object that uses it")
    watched.enqueued.clear()
    await watched.arrived(watched.cluster.patch_class(name, {"spec": {"lifecycle": {"defaultTtl": "1h"}}}))
    await watched.until(lambda: watched.key() in watched.enqueued, "the object is woken by its class")
    watched.cluster.delete_class(name)
    await watched.until(lambda: watched.store.named_class(name) is None, "the class is forgotten")


async def test_a_restart_of_the_api_server_is_survived(
    watched: Watched, control_plane: ControlPlane, control_plane_state: Path
) -> None:
    if control_plane.provider not in {"assets", "build"}:
        pytest.skip(f"the control plane comes from {control_plane.provider}: it is not ours to restart")
    await watched.arrived(watched.cluster.create())
    await asyncio.to_thread(controlplane.restart_apiserver, control_plane_state, grace_seconds=0)
    watched.enqueued.clear()
    await watched.arrived(watched.cluster.create("afterwards"))
    await watched.until(lambda: watched.key("afterwards") in watched.enqueued, "what came afterwards is woken")
    await watched.arrived(watched.cluster.patch({"metadata": {"labels": {"a": "b"}}}))


async def test_objects_that_claim_the_path_of_a_deleted_one_are_enqueued(watched: Watched) -> None:
    shared = {"className": "any", "api": {"path": "/shared"}}
    await watched.arrived(watched.cluster.create("older", spec=shared))
    await watched.arrived(watched.cluster.create("younger", spec=shared))
    await watched.until(lambda: watched.key("younger") in watched.enqueued, "it is woken by its creation")
    watched.enqueued.clear()
    watched.cluster.delete("older")
    await watched.until(lambda: watched.key("younger") in watched.enqueued, "it is woken")


@pytest.fixture
def through_gateway(
    cluster: Cluster, gateway: Gateway, control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watched]:
    """A watch through a gateway, which gives up and begins again soon."""
    monkeypatch.setattr(KUBECONFIG, str(kubeconfig(gateway.url, control_plane, tmp_path)))
    with running(Watched(cluster, pauses=(0.05,))) as watched:
        yield watched


STORM = 5
"""Refusals that are awaited: more than kopf makes attempts."""


@pytest.mark.parametrize("code", [401, 410, 429, 500])
async def test_a_storm_of_refusals_is_survived(through_gateway: Watched, gateway: Gateway, code: int) -> None:
    watched = through_gateway
    await watched.arrived(watched.cluster.create())
    gateway.refuse(code)
    gateway.disconnect()
    changed = watched.cluster.patch({"metadata": {"labels": {"a": "b"}}})
    await watched.until(lambda: gateway.refused >= STORM, "a storm")
    gateway.heal()
    await watched.arrived(changed)
    await watched.until(lambda: watched.watch.is_up, "the watch is up again")


async def test_a_task_that_takes_its_end_for_a_lost_connection_holds_up_no_new_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "CANCEL_SECONDS", 0.1)

    async def failing() -> None:
        raise ConnectionError("a storm")

    async def reconnecting() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    others = asyncio.all_tasks()
    tasks = [asyncio.create_task(failing()), asyncio.create_task(reconnecting())]
    with pytest.raises(ConnectionError, match="a storm"):
        async with asyncio.timeout(STOP_SECONDS):
            await watch.run_tasks(tasks, others)
    assert all(each.done() for each in tasks)


async def test_renewed_credentials_are_used(through_gateway: Watched, gateway: Gateway, tmp_path: Path) -> None:
    watched, file = through_gateway, tmp_path / "kubeconfig"
    await watched.arrived(watched.cluster.create())
    # Whatever differs makes them other credentials.
    file.write_text(file.read_text().replace("127.0.0.1", "localhost"))
    gateway.refuse(401, times=1)
    gateway.disconnect()
    await watched.arrived(watched.cluster.patch({"metadata": {"labels": {"a": "b"}}}))
    assert gateway.refused == 1


async def test_watches_whose_version_has_expired_time_and_again_are_begun_with_a_list(
    through_gateway: Watched, gateway: Gateway
) -> None:
    watched = through_gateway
    await watched.arrived(watched.cluster.create())
    gateway.expire_watches()
    gateway.disconnect()
    await watched.until(lambda: gateway.refused >= 4, "watches that expire")
    await watched.arrived(watched.cluster.patch({"metadata": {"labels": {"a": "b"}}}))
    await watched.arrived(watched.cluster.create("meanwhile"))
    gateway.heal()
    await watched.arrived(watched.cluster.create("afterwards"))


async def test_a_watch_whose_connection_was_dropped_goes_on_with_another_one(
    cluster: Cluster, api: ApiClient, control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with line_to(api.configuration) as (line, configuration):
        monkeypatch.setattr(KUBECONFIG, str(kubeconfig(str(configuration.host), control_plane, tmp_path)))
        with running(Watched(cluster, deadlines=Deadlines(silence=2.0))) as watched:
            await watched.arrived(cluster.create())
            line.drop()
            await watched.arrived(cluster.patch({"metadata": {"labels": {"a": "b"}}}))
            await watched.stopped()
