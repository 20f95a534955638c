"""Objects with versions and annotations as the API server keeps them, in memory."""

from collections.abc import AsyncIterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey, Store
from ephemeral_endpoints.kube.errors import Gone
from ephemeral_endpoints.kube.rest import Raw

NAMESPACE = "nlp"


@dataclass
class Cluster:
    """What outlives an operator. As far as reviews need it, a ``Kube``; ``store`` is told of every change at once."""

    store: Store = field(default_factory=Store)
    kept: dict[ObjectKey, dict[str, Any]] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=list)
    version: int = 0
    """Grows with every change."""

    def create(self, kind: str, name: str, spec: Mapping[str, Any], now: datetime) -> ObjectKey:
        """Create an object, or a class."""
        metadata = {"name": name, "uid": f"uid-{name}", "generation": 1, "creationTimestamp": timestamp(now)}
        if kind.endswith("Endpoint"):
            metadata |= {"namespace": NAMESPACE, "finalizers": [FINALIZER]}
        return self._keep({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": dict(spec)})

    def change(self, key: ObjectKey, *, spec: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        """Change members of the spec, and of the status."""
        raw = deepcopy(self.kept[key])
        raw["spec"] |= spec
        raw["status"] = {**raw.get("status", {}), **status}
        self._keep(raw)

    def vanish(self, key: ObjectKey) -> None:
        """Remove an object and its finalizer."""
        self.version += 1
        self.store.remove(key, self.kept.pop(key)["metadata"]["uid"])

    async def objects(self) -> AsyncIterator[Raw]:
        """All objects, afresh."""
        for key, each in list(self.kept.items()):
            if key.namespace:
                yield deepcopy(each)

    async def annotate(self, raw: Raw, annotations: Mapping[str, str | None]) -> Raw:
        """See ``Kube``."""
        changed = self._current(raw)
        kept = {**changed["metadata"].get("annotations", {}), **annotations}
        changed["metadata"]["annotations"] = {name: value for name, value in kept.items() if value is not None}
        self._keep(changed)
        return changed

    async def delete(self, raw: Raw) -> Raw:
        """See ``Kube``."""
        changed = self._current(raw)
        changed["metadata"].setdefault("deletionTimestamp", changed["metadata"]["creationTimestamp"])
        self._keep(changed)
        return changed

    async def event(self, raw: Raw, *, type_: str, reason: Reason, message: str) -> None:
        """See ``Kube``."""
        del type_, message
        self.events.append((raw["metadata"]["name"], reason.name))

    def _current(self, raw: Raw) -> dict[str, Any]:
        if ObjectKey.of(raw) not in self.kept:
            raise Gone(str(ObjectKey.of(raw)))
        return deepcopy(self.kept[ObjectKey.of(raw)])

    def _keep(self, raw: dict[str, Any]) -> ObjectKey:
        self.version += 1
        raw["metadata"] = {**raw["metadata"], "resourceVersion": str(self.version)}
        key = self.store.put(raw)
        self.kept[key] = raw
        return key
