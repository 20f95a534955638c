"""etcd forgets earlier versions of objects (its compaction) while somebody still needs one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from tests.fixtures.gateway import Gateway
from tests.kube.test_watch import Watched, through_gateway

from eep_platform import controlplane
from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.kube import client
from ephemeral_endpoints.kube.cache import ObjectKey
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.errors import Unavailable
from ephemeral_endpoints.kube.resync import Resync

__all__ = ["through_gateway"]

GONE = 410


@pytest.fixture(autouse=True)
def _is_ours(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_PAGE", 1)
    if control_plane.provider not in {"assets", "build"}:
        pytest.skip(f"the control plane comes from {control_plane.provider}: its etcd is not ours")


def is_expired(api: ApiClient, namespace: str, version: str) -> bool:
    """Whether the API server refuses a watch from this version."""
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{ENDPOINT.plural}"
    query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "1"}
    try:
        answer: Any = api.call_api(
            *api.param_serialize("GET", path, query_params=list(query.items()), auth_settings=["BearerToken"])
        )
        return f'"code":{GONE}' in answer.read().decode()
    except ApiException as error:
        return bool(error.status == GONE)


async def test_who_needs_a_version_that_is_compacted_away_begins_anew_and_misses_nothing(
    through_gateway: Watched,
    gateway: Gateway,
    kube: KubeClient,
    control_plane_state: Path,
    kubernetes_client: ApiClient,
) -> None:
    watched, cluster = through_gateway, through_gateway.cluster
    await watched.arrived(cluster.create())
    await watched.arrived(cluster.create("deleted"))
    last, known = str(cluster.read("deleted")["metadata"]["resourceVersion"]), watched.store.uids()
    resync = Resync(kube, watched.store, [cluster.namespace], lambda _: None)
    pages = resync.objects()
    while ObjectKey.of(await anext(pages)) != watched.key("deleted"):
        pass  # the first of two pages is read
    # Watches end at once and bring nothing, so that the next one asks for the same version again.
    gateway.answer = lambda request: web.Response() if "watch" in request.query else None
    gateway.disconnect()
    changed, created = cluster.patch({"metadata": {"labels": {"a": "b"}}}), cluster.create("meanwhile")
    cluster.delete("deleted")
    await asyncio.to_thread(controlplane.compact_etcd, control_plane_state)
    # The API server itself remembers some versions.
    await asyncio.to_thread(controlplane.restart_apiserver, control_plane_state, grace_seconds=0)
    assert is_expired(kubernetes_client, cluster.namespace, last)
    with pytest.raises(Unavailable, match=r"too old|did not answer"):
        await anext(pages)
    assert watched.store.uids() == known, "a list that is not complete forgets nothing"

    gateway.heal()
    await watched.arrived(changed)
    await watched.arrived(created)
    await watched.arrived(cluster.create("afterwards"))
    async for _ in resync.objects():
        pass
    assert watched.store.endpoint(watched.key("deleted")) is None, "no event tells: the next list does"
