"""What was told while something went wrong: every condition of every version of an object and of its class."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from kubernetes import watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.kube.client import CLASSES, ENDPOINTS
from ephemeral_endpoints.local.processes import wait_until
from ephemeral_endpoints.local.workbench import Workbench

_RECONNECT_SECONDS = 3600
_LAG_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Told:
    """A condition as it stood in some version."""

    kind: str
    type: str
    status: str
    reason: str
    message: str


@dataclass
class Witness:
    """Watches a namespace and one class in the background, from ``with`` on until its end."""

    bench: Workbench
    class_name: str
    _told: list[Told] = field(default_factory=list)
    _versions: set[tuple[str, str]] = field(default_factory=set)
    _gone: set[str] = field(default_factory=set)
    _stopped: bool = False

    def __enter__(self) -> Self:
        objects, namespace = self.bench.objects, self.bench.namespace
        self._follow("object", objects.list_namespaced_custom_object, GROUP, VERSION, namespace, ENDPOINTS)
        self._follow("class", objects.list_cluster_custom_object, GROUP, VERSION, CLASSES)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True

    def forget(self) -> None:
        """What was told so far does not count."""
        self._told = []

    def told(self) -> list[Told]:
        """What was told since, without repetition."""
        return list(dict.fromkeys(self._told))

    def catch_up(self, name: str, version: str | None) -> None:
        """Wait until that version of an object was seen; None: until it was seen to go."""
        wait_until(
            lambda: (name, version) in self._versions if version else name in self._gone,
            seconds=_LAG_SECONDS,
            what=f"the watch of {name}",
        )

    def _follow(self, kind: str, listing: Callable[..., Any], *arguments: str) -> None:
        threading.Thread(target=self._run, args=(kind, listing, arguments), daemon=True, name="witness").start()

    def _run(self, kind: str, listing: Callable[..., Any], arguments: tuple[str, ...]) -> None:
        # The client ships its watch without annotations.
        stream: Callable[..., Iterator[Any]] = watch.Watch().stream  # type: ignore[no-untyped-call]
        while not self._stopped:
            with suppress(ApiException, HTTPError):
                for event in stream(listing, *arguments, timeout_seconds=_RECONNECT_SECONDS):
                    self._see(kind, event)

    def _see(self, kind: str, event: Any) -> None:  # noqa: ANN401 - as the watch gives it
        seen = event["object"]
        metadata = seen["metadata"]
        if kind == "class" and metadata["name"] != self.class_name:
            return
        for each in seen.get("status", {}).get("conditions", ()):
            self._told.append(Told(kind, each["type"], each["status"], each["reason"], each["message"]))
        self._versions.add((metadata["name"], metadata["resourceVersion"]))
        if event["type"] == "DELETED":
            self._gone.add(metadata["name"])
