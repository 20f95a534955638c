"""How programs reach an API server: kubeconfig files, and whether what they point at serves."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, load_kube_config
from urllib3.exceptions import HTTPError
from yaml import YAMLError

from ephemeral_endpoints.local.errors import PlatformError

_TIMEOUT_SECONDS = 5.0


def kubeconfig(server: str, *, ca: bytes, token: str) -> str:
    """Return the text of a kubeconfig with one context: the holder of `token` at `server`, whose CA is `ca` (PEM)."""
    name = "ephemeral-endpoints-local"
    cluster = {"server": server, "certificate-authority-data": b64encode(ca).decode()}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(content, indent=2)  # JSON is YAML


class Access:
    """A connection to the API server that a kubeconfig file points at (its current context)."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def server_ready(self) -> bool:
        """Tell whether `/readyz` answers that all is well, within five seconds."""
        try:
            request = self._client.param_serialize("GET", "/readyz", auth_settings=["BearerToken"])
            return bool(self._client.call_api(*request, _request_timeout=_TIMEOUT_SECONDS).status == HTTPStatus.OK)
        except (HTTPError, ApiException):
            return False

    def default_account_exists(self) -> bool:
        """Tell whether the service account controller has reached the namespace `default`."""
        try:
            CoreV1Api(self._client).read_namespaced_service_account(
                "default", "default", _request_timeout=_TIMEOUT_SECONDS
            )
        except (HTTPError, ApiException):
            return False
        return True

    def ready(self) -> bool:
        """Tell whether the control plane as a whole serves: the API server and its controllers."""
        return self.server_ready() and self.default_account_exists()


@contextmanager
def connect(path: Path) -> Iterator[Access]:
    """Open a connection with the kubeconfig file `path`; nothing is sent yet.

    Raises:
        PlatformError: the file is missing or no kubeconfig.
    """
    configuration = Configuration()
    try:
        load_kube_config(config_file=str(path), client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, YAMLError, OSError, ValueError) as error:
        raise PlatformError(f"{path} is no usable kubeconfig: {error}") from error
    configuration.retries = False  # the callers poll
    with ApiClient(configuration) as client:
        yield Access(client)
