"""Requests to the API server as plain dictionaries: Pods are passed on and patched, not modelled."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.config import new_client_from_config

MERGE_PATCH: Final = "application/merge-patch+json"

_JSON: Final = "application/json"
_TIMEOUT_SECONDS: Final = 10.0

Raw = Mapping[str, Any]


class Api:
    """The API server of a kubeconfig. For several threads at once; calls block for ten seconds at most."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client: ApiClient = new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]

    def __call__(self, method: str, path: str, body: Raw | None = None, *, content_type: str = _JSON) -> Raw:
        """Send one request and return what answers it.

        Raises ApiException for a refusal, and urllib3's HTTPError where nobody answers.
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
        """The object at a path, None if there is none."""
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
        """The certificate (PEM) of the authority that the API server is known by."""
        return Path(str(self._client.configuration.ssl_ca_cert)).read_bytes()
