import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from kubernetes.aio.client import ApiClient as AsyncApiClient
from kubernetes.aio.config import new_client_from_config
from kubernetes.client import ApiClient, V1Namespace, V1ObjectMeta
from tests.fixtures.kubernetes import ROLE, Cluster

from eep_platform import bootstrap
from eep_platform.bootstrap import Roles
from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey, class_key, endpoint_key
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.errors import Gone
from ephemeral_endpoints.kube.rest import MERGE_PATCH, Raw, Rest
from ephemeral_endpoints.uninstall import Left, Policy, Uninstallation, delay, prepare, refusal


@pytest.fixture(scope="module")
def crds(control_plane: ControlPlane) -> None:
    bootstrap.kubernetes(
        control_plane.kubeconfig, Roles(ROLE, ROLE, ROLE), region="us-east-1", git_url="https://github.com"
    )


@pytest.fixture
async def rest(crds: None, control_plane: ControlPlane) -> AsyncIterator[Rest]:  # noqa: ARG001 - the kinds are served
    async with await new_client_from_config(str(control_plane.kubeconfig), persist_config=False) as api:  # type: ignore[no-untyped-call]
        await let_all_go(api)
        yield Rest(api)
        await let_all_go(api)


@pytest.fixture
def teams(rest: Rest, kubernetes_client: ApiClient) -> Iterator[tuple[Cluster, Cluster]]:  # noqa: ARG001 - emptied before
    """Two namespaces."""
    made = tuple(Cluster(kubernetes_client, f"team-{uuid4().hex[:8]}") for _ in range(2))
    for each in made:
        each.core.create_namespace(V1Namespace(metadata=V1ObjectMeta(name=each.namespace)))
    yield made[0], made[1]
    for each in made:
        each.core.delete_namespace(each.namespace)


async def take_finalizers(rest: Rest, raw: Raw) -> None:
    body = {"metadata": {"finalizers": None}}
    await rest("PATCH", ObjectKey.of(raw).api_path, body, content_type=MERGE_PATCH)


async def let_all_go(api: AsyncApiClient) -> None:
    """Take away what other tests left on this API server: an installation is the only one of its cluster."""
    rest = Rest(api)
    async for raw in KubeClient(api, lambda: pytest.fail("no time is needed")).objects(()):
        with suppress(Gone):
            if raw["metadata"].get("finalizers"):
                await take_finalizers(rest, raw)
            if "namespace" in raw["metadata"]:
                await rest("DELETE", ObjectKey.of(raw).api_path)


async def release(rest: Rest, *namespaces: str) -> None:
    """What the operator does meanwhile: it lets go what is deleted."""
    work = Uninstallation(rest, namespaces)
    while True:
        left = await work.look()
        for raw in left.objects:
            if "deletionTimestamp" in raw["metadata"]:
                with suppress(Gone):
                    await take_finalizers(rest, raw)
        await asyncio.sleep(0.1)


async def test_nothing_stands_in_the_way_where_nothing_is(rest: Rest) -> None:
    said: list[str] = []
    assert await prepare(Uninstallation(rest, ()), Policy.REFUSE, timeout_seconds=1, say=said.append)
    assert said == ["No EphemeralEndpoint or EphemeralEndpointClass needs the operator any more."]


async def test_a_refusal_says_what_is_there_and_deletes_nothing(rest: Rest, teams: tuple[Cluster, Cluster]) -> None:
    teams[0].create("pr-1", finalizers=[FINALIZER])
    said: list[str] = []
    assert not await prepare(Uninstallation(rest, ()), Policy.REFUSE, timeout_seconds=1, say=said.append)
    assert "The operator is still needed for 1 EphemeralEndpoint: without it" in said[0]
    assert f"{teams[0].namespace}/pr-1" in said[0]
    assert "uninstall.policy=Delete" in said[0]
    assert "deletionTimestamp" not in teams[0].read("pr-1")["metadata"]


async def test_everything_is_deleted_and_the_classes_after_their_objects(
    rest: Rest, teams: tuple[Cluster, Cluster]
) -> None:
    for team in teams:
        for number in range(2):
            team.create(f"pr-{number}", finalizers=[FINALIZER])
    name = f"held-{uuid4().hex[:8]}"
    teams[0].create_class(name)
    teams[0].patch_class(name, {"metadata": {"finalizers": [FINALIZER]}})
    work = Uninstallation(rest, ())
    await work.delete(await work.look())
    (held,) = (await work.look()).by_kind()[ENDPOINT_CLASS]
    assert "deletionTimestamp" not in held["metadata"], "its objects need it yet"
    releasing = asyncio.create_task(release(rest))
    try:
        assert await prepare(work, Policy.DELETE, timeout_seconds=120, say=lambda _: None)
    finally:
        releasing.cancel()
    assert not await work.look()


async def test_a_class_that_holds_nothing_stays(rest: Rest, teams: tuple[Cluster, Cluster]) -> None:
    name = f"idle-{uuid4().hex[:8]}"
    teams[0].create_class(name)
    assert await prepare(Uninstallation(rest, ()), Policy.DELETE, timeout_seconds=1, say=lambda _: None)
    teams[0].delete_class(name)


async def test_an_installation_for_some_namespaces_touches_no_other_and_no_class(
    rest: Rest, teams: tuple[Cluster, Cluster]
) -> None:
    mine, others = teams
    mine.create("pr-1", finalizers=[FINALIZER])
    others.create("pr-1", finalizers=[FINALIZER])
    name = f"shared-{uuid4().hex[:8]}"
    mine.create_class(name)
    mine.patch_class(name, {"metadata": {"finalizers": [FINALIZER]}})
    work = Uninstallation(rest, (mine.namespace,))
    releasing = asyncio.create_task(release(rest, mine.namespace))
    try:
        assert await prepare(work, Policy.DELETE, timeout_seconds=120, say=lambda _: None)
    finally:
        releasing.cancel()
    assert "deletionTimestamp" not in others.read("pr-1")["metadata"]
    assert [each["metadata"]["name"] for each in (await Uninstallation(rest, ()).look()).by_kind()[ENDPOINT_CLASS]] == [
        name
    ]
    mine.patch_class(name, {"metadata": {"finalizers": None}})
    mine.delete_class(name)


async def test_objects_that_remain_at_the_timeout_are_reported(rest: Rest, teams: tuple[Cluster, Cluster]) -> None:
    teams[0].create("pr-1", finalizers=[FINALIZER])
    teams[0].delete("pr-1")
    said: list[str] = []
    assert not await prepare(Uninstallation(rest, ()), Policy.DELETE, timeout_seconds=1.5, say=said.append)
    assert "After 1.5 s, the cluster still has 1 EphemeralEndpoint" in said[0]
    assert "the operator has not reported a status" in said[0]


async def test_more_objects_than_fit_on_a_page_are_all_found(rest: Rest, teams: tuple[Cluster, Cluster]) -> None:
    for number in range(101):
        teams[0].create(f"pr-{number}")
    assert len((await Uninstallation(rest, (teams[0].namespace,)).look()).objects) == 101


@pytest.mark.usefixtures("rest")
def test_the_program_ends_as_its_job_must(teams: tuple[Cluster, Cluster], control_plane: ControlPlane) -> None:
    namespace = teams[0].namespace
    command = [sys.executable, "-m", "ephemeral_endpoints", "uninstall", "--namespaces", f"{namespace},other"]
    environment = {**os.environ, "KUBECONFIG": str(control_plane.kubeconfig), "PYTHONPATH": "operator"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the program itself
            [*command, *arguments],
            env=environment,
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    teams[0].create("pr-1")
    refused = run("--policy", "Refuse")
    assert (refused.returncode, f"{namespace}/pr-1" in refused.stderr) == (1, True)
    assert run("--policy", "Delete", "--timeout", "50").returncode == 0


def raw(key: ObjectKey, *conditions: dict[str, str], **metadata: str) -> Raw:
    metadata |= {"name": key.name, **({"namespace": key.namespace} if key.namespace else {})}
    return {"kind": key.kind, "metadata": metadata, "status": {"conditions": list(conditions)}}


def test_a_refusal_fits_into_what_kubernetes_keeps_of_it() -> None:
    keys = endpoint_key("n" * 63, "p" * 63), class_key("c" * 63)
    left = Left([raw(key) for key in keys for _ in range(1000)])
    reported = refusal(left)
    assert "1000 EphemeralEndpoints and 1000 EphemeralEndpointClasses" in reported
    assert len(reported.encode()) < 2048
    assert len(delay(left, 600).encode()) < 2048


def test_a_delay_is_explained_by_what_the_operator_says() -> None:
    ready = {"type": "Ready", "reason": "Deleting", "message": "waiting for the endpoint"}
    reported = delay(
        Left([raw(endpoint_key("a", "pr-1"), ready, deletionTimestamp="now"), raw(class_key("default"))]), 600
    )
    assert "EphemeralEndpoint a/pr-1: Deleting: waiting for the endpoint" in reported
    assert "EphemeralEndpointClass default: waits for its objects" in reported
