from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import pytest
from kubernetes.aio.client import ApiClient as AsyncApiClient
from kubernetes.aio.config import new_client_from_config
from kubernetes.client import ApiClient, CoreV1Api, CustomObjectsApi, V1Namespace, V1ObjectMeta

from ephemeral_endpoints.api import API_VERSION, GROUP, VERSION
from ephemeral_endpoints.kube.client import CLASSES, ENDPOINTS, KubeClient
from ephemeral_endpoints.local import bootstrap
from ephemeral_endpoints.local.bootstrap import Roles
from ephemeral_endpoints.local.controlplane import ControlPlane

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/any"
SPEC = {
    "source": {"repository": "acme/sentiment", "pullRequest": 42, "revision": "1f0c2a9"},
    "model": {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/models:1"},
}
CLASS_SPEC = {"region": "us-east-1", "executionRoleArn": ROLE, "forwarderRoleArn": ROLE, "invokeRoleArn": ROLE}


class Cluster:
    """The objects of one new namespace, and classes, as a user of kubectl handles them. Methods block."""

    def __init__(self, api: ApiClient, namespace: str) -> None:
        self.core = CoreV1Api(api)
        self.namespace = namespace
        self._objects = CustomObjectsApi(api)

    def create(  # an object as the API gives it
        self, name: str = "pr-42", spec: Mapping[str, object] = MappingProxyType({}), **metadata: object
    ) -> Any:  # noqa: ANN401
        body = {
            "apiVersion": API_VERSION,
            "kind": "EphemeralEndpoint",
            "metadata": {"name": name, **metadata},
            "spec": {**SPEC, **spec},
        }
        return self._objects.create_namespaced_custom_object(GROUP, VERSION, self.namespace, ENDPOINTS, body)

    def read(self, name: str = "pr-42") -> Any:  # noqa: ANN401 - likewise
        return self._objects.get_namespaced_custom_object(GROUP, VERSION, self.namespace, ENDPOINTS, name)

    def patch(self, patch: dict[str, Any], name: str = "pr-42") -> Any:  # noqa: ANN401 - likewise
        return self._objects.patch_namespaced_custom_object(GROUP, VERSION, self.namespace, ENDPOINTS, name, patch)

    def delete(self, name: str = "pr-42") -> None:
        self._objects.delete_namespaced_custom_object(GROUP, VERSION, self.namespace, ENDPOINTS, name)

    def create_class(self, name: str) -> Any:  # noqa: ANN401 - likewise
        body = {
            "apiVersion": API_VERSION,
            "kind": "EphemeralEndpointClass",
            "metadata": {"name": name},
            "spec": CLASS_SPEC,
        }
        return self._objects.create_cluster_custom_object(GROUP, VERSION, CLASSES, body)

    def patch_class(self, name: str, patch: dict[str, Any]) -> Any:  # noqa: ANN401 - likewise
        return self._objects.patch_cluster_custom_object(GROUP, VERSION, CLASSES, name, patch)

    def delete_class(self, name: str) -> None:
        self._objects.delete_cluster_custom_object(GROUP, VERSION, CLASSES, name)


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane) -> None:
    """The API server serves our kinds."""
    bootstrap.kubernetes(
        control_plane.kubeconfig, Roles(ROLE, ROLE, ROLE), region="us-east-1", git_url="https://github.com"
    )


@pytest.fixture
def cluster(crds: None, kubernetes_client: ApiClient) -> Cluster:  # noqa: ARG001 - the kinds are served
    namespace = f"test-{uuid4().hex[:8]}"
    cluster = Cluster(kubernetes_client, namespace)
    cluster.core.create_namespace(V1Namespace(metadata=V1ObjectMeta(name=namespace)))
    return cluster


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[AsyncApiClient]:
    async with await new_client_from_config(str(control_plane.kubeconfig), persist_config=False) as api:  # type: ignore[no-untyped-call]
        yield api


@pytest.fixture
def kube(api: AsyncApiClient) -> KubeClient:
    return KubeClient(api, lambda: NOW)
