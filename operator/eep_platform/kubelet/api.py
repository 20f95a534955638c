"""Requests to the API server with plain dictionaries."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Final

from kubernetes.client.exceptions import ApiException

from eep_platform.controlplane.access import client_of
from eep_platform.kubelet.pods import Raw

MERGE_PATCH: Final = "application/merge-patch+json"

_JSON: Final = "application/json"
_TIMEOUT_SECONDS: Final = 60.0


class Api:
    """The API server of a kubeconfig. Thread-safe; calls block for at most ten seconds."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = client_of(kubeconfig)

    def __call__(self, method: str, path: str, body: Raw | None = None, *, content_type: str = _JSON) -> Raw:
        """Send a request and return the answer.

        Raises ApiException for an error answer, and urllib3's HTTPError if the API server does not answer.
        """
        headers = {"Accept": _JSON, **({"Content-Type": content_type} if body is not None else {})}
        prepared = self._client.param_serialize(
            method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        answer = self._client.call_api(*prepared, _request_timeout=_TIMEOUT_SECONDS)
        content: bytes = answer.read()  # type: ignore[no-untyped-call]
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ApiException(status=answer.status, reason=answer.reason, body=content.decode(errors="replace"))
        parsed: Raw = json.loads(content)
        return parsed

    def find(self, path: str) -> Raw | None:
        """The object at a path; None if there is none."""
        try:
            return self("GET", path)
        except ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self._client.configuration.host)

    @property
    def certificate(self) -> bytes:
        """The CA certificate (PEM) of the API server."""
        return Path(str(self._client.configuration.ssl_ca_cert)).read_bytes()
