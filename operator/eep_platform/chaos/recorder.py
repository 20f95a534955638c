"""Records every condition that an object and its class report during a trial."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from eep_platform.processes import wait_until
from eep_platform.watching import Stream, watching
from eep_platform.workbench import Workbench
from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS

_LAG_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ReportedCondition:
    """A condition of one version of an object."""

    kind: str
    type: str
    status: str
    reason: str
    message: str


@dataclass
class ConditionRecorder:
    """Watches a namespace and one class in the background while its context lasts."""

    bench: Workbench
    class_name: str
    _reported: list[ReportedCondition] = field(default_factory=list)
    _versions: set[tuple[str, str]] = field(default_factory=set)
    _gone: set[str] = field(default_factory=set)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        objects, namespace = self.bench.objects, self.bench.namespace
        self._follow("object", objects.list_namespaced_custom_object, GROUP, VERSION, namespace, ENDPOINT.plural)
        self._follow("class", objects.list_cluster_custom_object, GROUP, VERSION, ENDPOINT_CLASS.plural)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def forget(self) -> None:
        """Discard what was recorded so far."""
        self._reported = []

    def reported(self) -> list[ReportedCondition]:
        """The conditions recorded since then, without duplicates."""
        return list(dict.fromkeys(self._reported))

    def wait_for_version(self, name: str, version: str | None) -> None:
        """Wait until this version of an object or class has been recorded; None: until its deletion has."""
        wait_until(
            lambda: (name, version) in self._versions if version else name in self._gone,
            seconds=_LAG_SECONDS,
            what=f"the watch of {name}",
        )

    def _follow(self, kind: str, listing: Callable[..., Any], *arguments: str) -> None:
        def follow(stream: Stream) -> None:
            for event in stream(listing, *arguments):
                self._see(kind, event)

        self._open.enter_context(watching(follow))

    def _see(self, kind: str, event: Any) -> None:  # noqa: ANN401 - as the watch gives it
        seen = event["object"]
        metadata = seen["metadata"]
        if kind == "class" and metadata["name"] != self.class_name:
            return
        for each in seen.get("status", {}).get("conditions", ()):
            self._reported.append(
                ReportedCondition(kind, each["type"], each["status"], each["reason"], each["message"])
            )
        self._versions.add((metadata["name"], metadata["resourceVersion"]))
        if event["type"] == "DELETED":
            self._gone.add(metadata["name"])
