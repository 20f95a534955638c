"""Secrets of the operator's own namespace, which classes name: credentials of forges and of notifications."""

import base64
from collections.abc import Callable, Mapping
from typing import Final

from kubernetes.aio.client import ApiClient

from ephemeral_endpoints.kube.errors import Gone
from ephemeral_endpoints.kube.rest import Rest

KEPT_SECONDS: Final = 300.0
"""For how long a Secret is not read again: a changed one counts soon, and one request in five minutes is cheap."""


class OwnSecrets:
    """Reads Secrets in ``namespace``. ``clock`` is monotonic seconds."""

    def __init__(self, api: ApiClient, namespace: str, clock: Callable[[], float]) -> None:
        self._rest = Rest(api)
        self._namespace = namespace
        self._clock = clock
        self._known: dict[str, tuple[float, Mapping[str, bytes] | None]] = {}

    @property
    def namespace(self) -> str:
        """Where the Secrets are."""
        return self._namespace

    async def data(self, name: str) -> Mapping[str, bytes] | None:
        """The decoded data of a Secret; None if it does not exist. Raises KubernetesError."""
        read_at, data = self._known.get(name, (float("-inf"), None))
        if self._clock() - read_at > KEPT_SECONDS:
            data = await self._read(name)
            self._known[name] = (self._clock(), data)
        return data

    def forget(self, name: str) -> None:
        """Have the Secret read again: what it holds was refused."""
        self._known.pop(name, None)

    async def _read(self, name: str) -> Mapping[str, bytes] | None:
        try:
            found = await self._rest("GET", f"/api/v1/namespaces/{self._namespace}/secrets/{name}")
        except Gone:
            return None
        return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}
