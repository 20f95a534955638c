from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from kubernetes.client import (
    ApiClient,
    AuthenticationV1TokenRequest,
    RbacAuthorizationV1Api,
    V1ObjectMeta,
    V1ServiceAccount,
    V1TokenRequestSpec,
)
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import Cluster
from tests.fixtures.model_server import ModelServer, serving

from eep_platform.controlplane import ControlPlane

NO_AWS: Mapping[str, str | None] = {
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ACCESS_KEY_ID": None,
    "AWS_SECRET_ACCESS_KEY": None,
    "AWS_PROFILE": None,
}
"""A shell without AWS credentials."""


@pytest.fixture
def run(cluster: Cluster, control_plane: ControlPlane) -> Callable[..., Result]:
    """Run `eep` as the administrator, in the namespace of the test."""

    def command(*arguments: str, **environment: str | None) -> Result:
        return eep(*arguments, "-n", cluster.namespace, KUBECONFIG=str(control_plane.kubeconfig), **environment)

    return command


@pytest.fixture
def kubeconfig_with(
    cluster: Cluster, control_plane: ControlPlane, kubernetes_client: ApiClient, tmp_path: Path
) -> Callable[..., str]:
    """Makes a user of the test's namespace with certain rights; gives the path of a kubeconfig for them."""

    def make(*rules: Mapping[str, Any]) -> str:
        where = cluster.namespace
        cluster.core.create_namespaced_service_account(where, V1ServiceAccount(metadata=V1ObjectMeta(name="user")))
        rbac: Any = RbacAuthorizationV1Api(kubernetes_client)
        rbac.create_namespaced_role(where, {"metadata": {"name": "user"}, "rules": list(rules)})
        binding = {
            "metadata": {"name": "user"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "user"},
            "subjects": [{"kind": "ServiceAccount", "name": "user", "namespace": where}],
        }
        rbac.create_namespaced_role_binding(where, binding)
        request = AuthenticationV1TokenRequest(spec=V1TokenRequestSpec(audiences=[], expiration_seconds=600))
        issued: Any = cluster.core.create_namespaced_service_account_token("user", where, request)
        content = yaml.safe_load(control_plane.kubeconfig.read_text())
        content["users"][0]["user"] = {"token": issued.status.token}
        content["contexts"][0]["context"]["namespace"] = where
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(content))
        return str(file)

    return make


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with serving() as server:
        yield server
