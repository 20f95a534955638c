import pytest
from kubernetes.aio.client import ApiClient
from kubernetes.client import V1ObjectMeta, V1Secret
from tests.fixtures.kubernetes import Cluster

from ephemeral_endpoints.features.reviews.errors import ForgeSecretMissing, ForgeUnavailable
from ephemeral_endpoints.features.reviews.secret import ClassSecret
from ephemeral_endpoints.kube.secrets import OwnSecrets


def secret(api: ApiClient, cluster: Cluster) -> ClassSecret:
    return ClassSecret(OwnSecrets(api, cluster.namespace, lambda: 0.0), "forge")


async def test_a_secret_that_is_missing_says_who_must_create_it(api: ApiClient, cluster: Cluster) -> None:
    held = secret(api, cluster)
    with pytest.raises(ForgeSecretMissing, match=f"the Secret {cluster.namespace}/forge does not exist: a platform"):
        await held.data()
    cluster.core.create_namespaced_secret(
        cluster.namespace, V1Secret(metadata=V1ObjectMeta(name="forge"), string_data={"token": "t"})
    )
    held.forget()
    assert await held.data() == {"token": b"t"}


async def test_one_that_may_not_be_read_says_where_that_is_granted(api: ApiClient, cluster: Cluster) -> None:
    api.set_default_header("Impersonate-User", "nobody")  # type: ignore[no-untyped-call] # as the client ships it
    with pytest.raises(
        ForgeSecretMissing, match="a platform engineer must add forge to the value secrets of the chart"
    ):
        await secret(api, cluster).data()


async def test_without_an_api_server_nothing_is_known(api: ApiClient, cluster: Cluster) -> None:
    api.configuration.host = "http://127.0.0.1:1"
    with pytest.raises(ForgeUnavailable, match="the operator tries again"):
        await secret(api, cluster).data()
