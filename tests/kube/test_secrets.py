"""Secrets of the operator's own namespace on a real API server."""

from kubernetes.aio.client import ApiClient
from kubernetes.client import V1ObjectMeta, V1Secret
from tests.fixtures.kubernetes import Cluster

from ephemeral_endpoints.kube.secrets import KEPT_SECONDS, OwnSecrets


class Held:
    """The Secret ``forge`` in a namespace, read by a clock that the test moves."""

    def __init__(self, api: ApiClient, cluster: Cluster) -> None:
        self.now = 0.0
        self.secrets = OwnSecrets(api, cluster.namespace, lambda: self.now)
        self._cluster = cluster

    def put(self, **data: str) -> None:
        self._cluster.core.create_namespaced_secret(
            self._cluster.namespace, V1Secret(metadata=V1ObjectMeta(name="forge"), string_data=data or None)
        )

    def change(self, **data: str) -> None:
        self._cluster.core.patch_namespaced_secret("forge", self._cluster.namespace, {"stringData": data})


async def test_a_secret_is_read_once_in_a_while_and_when_it_was_refused(api: ApiClient, cluster: Cluster) -> None:
    held = Held(api, cluster)
    held.put(key="first")
    assert await held.secrets.data("forge") == {"key": b"first"}
    held.change(key="second")
    held.now += KEPT_SECONDS
    assert await held.secrets.data("forge") == {"key": b"first"}
    held.now += 1
    assert await held.secrets.data("forge") == {"key": b"second"}
    held.change(key="third")
    held.secrets.forget("forge")
    assert await held.secrets.data("forge") == {"key": b"third"}


async def test_one_that_is_not_there_is_looked_for_again(api: ApiClient, cluster: Cluster) -> None:
    held = Held(api, cluster)
    assert await held.secrets.data("forge") is None
    held.put()
    assert await held.secrets.data("forge") is None
    held.now += KEPT_SECONDS + 1
    assert await held.secrets.data("forge") == {}, "one without keys"
