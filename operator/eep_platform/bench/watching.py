"""The times at which a watch saw objects become Ready or disappear. Times are Unix seconds of arrival."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from kubernetes import client

from eep_platform.controlplane.access import client_of
from eep_platform.errors import PlatformError
from eep_platform.platform import Platform
from eep_platform.watching import Stream, watching
from eep_platform.workbench import condition, is_ready
from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT


@dataclass
class EndpointWatch:
    """Watches the objects of a namespace in the background, inside a ``with`` block."""

    platform: Platform
    namespace: str
    ready_at: dict[tuple[str, int], float] = field(default_factory=dict)
    """By name and generation: when that generation was first seen Ready."""
    imaged_at: dict[tuple[str, int], float] = field(default_factory=dict)
    """By name and generation: when that generation was first seen with ImageReady."""
    gone_at: dict[str, float] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    _version: str = "0"
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self._objects = client.CustomObjectsApi(self._open.enter_context(client_of(self.platform.kubeconfig)))
        self._open.enter_context(watching(self._follow))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def wait_ready(self, names: list[str], generation: int, *, seconds: float) -> dict[str, float]:
        """Block until that generation of all objects was seen Ready; returns the times. Raises PlatformError."""
        keys = [(name, generation) for name in names]
        self._wait(lambda: sum(key not in self.ready_at for key in keys), seconds, "not ready")
        return {name: self.ready_at[name, generation] for name in names}

    def wait_gone(self, names: list[str], *, seconds: float) -> dict[str, float]:
        """Block until all objects were seen to disappear; returns the times. Raises PlatformError."""
        self._wait(lambda: sum(name not in self.gone_at for name in names), seconds, "still there")
        return {name: self.gone_at[name] for name in names}

    def _wait(self, count: Callable[[], int], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while left := count():
            if time.monotonic() > deadline:
                raise PlatformError(f"{left} objects are {what} after {seconds:g} s")
            time.sleep(0.1)

    def _follow(self, stream: Stream) -> None:
        listing = self._objects.list_namespaced_custom_object
        for event in stream(listing, GROUP, VERSION, self.namespace, ENDPOINT.plural, resource_version=self._version):
            self._version = self._see(event, time.time())

    def _see(self, event: Any, now: float) -> str:  # noqa: ANN401 - as the watch gives it
        seen = event["object"]
        metadata = seen["metadata"]
        self.uids[metadata["name"]] = metadata["uid"]
        if event["type"] == "DELETED":
            self.gone_at[metadata["name"]] = now
            return str(metadata["resourceVersion"])
        generation = (metadata["name"], metadata["generation"])
        if is_ready(seen):
            self.ready_at.setdefault(generation, now)
        if has_image(seen):
            self.imaged_at.setdefault(generation, now)
        return str(metadata["resourceVersion"])


def has_image(obj: Mapping[str, Any]) -> bool:
    """Whether the object has ImageReady at its present generation."""
    image = condition(obj, "ImageReady")
    return image.get("status") == "True" and image.get("observedGeneration") == obj["metadata"]["generation"]
