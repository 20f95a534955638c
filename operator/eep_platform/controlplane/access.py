"""Access to API servers: kubeconfig files, clients, and readiness."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, load_kube_config
from urllib3.exceptions import HTTPError
from yaml import YAMLError

from eep_platform.errors import PlatformError

_TIMEOUT_SECONDS = 30.0


def kubeconfig(server: str, *, ca: bytes, user: Mapping[str, str]) -> str:
    """Return the text of a kubeconfig with one context: `user`'s credentials at `server`, whose CA is `ca` (PEM)."""
    name = "ephemeral-endpoints-local"
    cluster = {"server": server, "certificate-authority-data": b64encode(ca).decode()}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(content, indent=2)  # JSON is YAML


class Access:
    """A connection to an API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def server_ready(self) -> bool:
        """Whether `/readyz` answers 200 within half a minute."""
        try:
            request = self._client.param_serialize("GET", "/readyz", auth_settings=["BearerToken"])
            answer = self._client.call_api(*request, _request_timeout=_TIMEOUT_SECONDS)
            answer.read()  # type: ignore[no-untyped-call]  # else its connection is lost to the next request, and left open
            return bool(answer.status == HTTPStatus.OK)
        except (HTTPError, ApiException):
            return False

    def default_account_exists(self) -> bool:
        """Whether the service account controller has created the account of the namespace `default`."""
        try:
            CoreV1Api(self._client).read_namespaced_service_account(
                "default", "default", _request_timeout=_TIMEOUT_SECONDS
            )
        except (HTTPError, ApiException):
            return False
        return True

    def ready(self) -> bool:
        """Whether the whole control plane serves: the API server and the controllers."""
        return self.server_ready() and self.default_account_exists()


def client_of(path: Path, **settings: object) -> ApiClient:
    """A client for the current context of the kubeconfig file `path`; sends nothing yet.

    `settings` are attributes of its Configuration.

    Raises:
        PlatformError: the file is missing or is not a kubeconfig.
    """
    configuration = Configuration()
    try:
        load_kube_config(config_file=str(path), client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, YAMLError, OSError, ValueError) as error:
        raise PlatformError(f"{path} is not a usable kubeconfig: {error}") from error
    for name, value in settings.items():
        setattr(configuration, name, value)
    return ApiClient(configuration)


@contextmanager
def connect(path: Path) -> Iterator[Access]:
    """Open a connection with the kubeconfig file `path`; see `client_of`."""
    with client_of(path, retries=False) as client:  # the callers poll
        yield Access(client)
