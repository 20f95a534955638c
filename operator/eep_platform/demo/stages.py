"""The stages of a model, as people make them and look at them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from eep_platform import bootstrap
from eep_platform.errors import PlatformError
from eep_platform.workbench import Object, Workbench, condition
from ephemeral_endpoints.api import API_VERSION, GROUP, VERSION
from ephemeral_endpoints.api.kinds import STAGE

_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of a repository; ``say`` is told what becomes of them."""

    bench: Workbench
    repository: str
    say: Callable[[str], None]

    def make(self, name: str, *, template: Object, **spec: Any) -> None:  # noqa: ANN401 - fields of the spec
        """Create a stage whose endpoint has a spec of its own."""
        common = {"className": bootstrap.DEFAULT_CLASS, "repository": self.repository, "template": {"spec": template}}
        body = {"apiVersion": API_VERSION, "kind": STAGE.name, "metadata": {"name": name}, "spec": common | spec}
        self.bench.objects.create_namespaced_custom_object(*self._place, body)

    def delete(self, name: str) -> None:
        """Delete a stage; returns while its endpoint is there."""
        self.bench.objects.delete_namespaced_custom_object(*self._place, name)

    def wait_serving(self, name: str, version: str) -> None:
        """Wait until a version serves and has passed its checks. Raises PlatformError if the time runs out."""
        self._wait(name, lambda stage: _served(stage) == version, f"{version} serves")

    def wait_approval(self, name: str, version: str) -> None:
        """Wait until a version waits for a person. Raises PlatformError if the time runs out."""

        def is_so(stage: Object) -> bool:
            return _state(stage) == "AwaitingApproval" and stage["status"].get("candidate") == version

        self._wait(name, is_so, f"{version} waits for a person")

    def wait_pinned(self, name: str, version: str) -> None:
        """Wait until a stage went back to a version. Raises PlatformError if the time runs out."""

        def is_so(stage: Object) -> bool:
            return _state(stage) == "StagePinned" and _served(stage) == version

        self._wait(name, is_so, f"went back to {version}, and waits for a person")

    def _wait(self, name: str, is_so: Callable[[Object], bool], what: str) -> None:
        deadline = time.monotonic() + _SECONDS
        while not is_so(found := self._get(name)):
            if time.monotonic() > deadline:
                raise PlatformError(f"{name}: not seen in {_SECONDS} s: {what}: {found.get('status')}")
            time.sleep(0.2)
        self.say(f"{name}: {what}")

    def _get(self, name: str) -> Object:
        found: Any = self.bench.objects.get_namespaced_custom_object(*self._place, name)
        return dict(found)

    @property
    def _place(self) -> tuple[str, str, str, str]:
        return GROUP, VERSION, self.bench.namespace, STAGE.plural


def _served(stage: Object) -> str | None:
    version: str | None = stage.get("status", {}).get("current", {}).get("version")
    return version


def _state(stage: Object) -> str | None:
    return condition(stage, "Promoted").get("reason")
