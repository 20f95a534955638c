"""The objects as last seen: what the watch delivered, or what the answer to a write of our own said.

Whichever is newer.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from ephemeral_endpoints.api.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.core.names import owner_hash
from ephemeral_endpoints.core.paths import path_of

logger = logging.getLogger(__name__)

FINALIZER: Final = "ephemeral-endpoints.io/cleanup"
CLASS_ANNOTATION: Final = "ephemeral-endpoints.io/class"
"""The class that an object resolved to when it was taken in.

Its things live there, whatever the default becomes later.
"""

REMEMBERED_GONE: Final = 256
"""UIDs of objects that are gone; answers arrive late by seconds, so that a few are enough."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """What is reconciled: an object, or with ``namespace`` None a class."""

    namespace: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else f"class {self.name}"


class Store:
    """Objects and classes by name.

    Resource versions are compared as numbers, which Kubernetes has guaranteed since 1.35 (KEP-5504).
    """

    def __init__(self) -> None:
        self._endpoints: dict[ObjectKey, EphemeralEndpoint] = {}
        self._classes: dict[str, EphemeralEndpointClass] = {}
        self._bare: dict[ObjectKey, Mapping[str, Any]] = {}
        self._by_owner: dict[str, ObjectKey] = {}
        self._by_path: dict[str, set[ObjectKey]] = {}
        self._gone: deque[str] = deque(maxlen=REMEMBERED_GONE)

    def put(self, raw: Mapping[str, Any]) -> ObjectKey:
        """Take over an object unless this version of it is known, or a newer one; returns its key.

        An object that does not parse, which the CRD's schema should have prevented, is logged and otherwise ignored.
        """
        metadata = raw["metadata"]
        key = ObjectKey(metadata.get("namespace"), metadata["name"])
        known = self._bare.get(key)
        if metadata["uid"] in self._gone or (known and _version(known) >= _version(raw)):
            return key
        try:
            self._parse(key, raw)
        except ValidationError:
            logger.exception("the object does not fit its own schema", extra={"object": str(key)})
            return key
        if known and known["metadata"]["uid"] != metadata["uid"]:
            self._by_owner.pop(owner_hash(known["metadata"]["uid"]), None)
        self._bare[key] = _bare(raw)
        self._by_owner[owner_hash(metadata["uid"])] = key
        return key

    def remove(self, key: ObjectKey, uid: str) -> None:
        """Forget an object that is gone, unless another one already carries its name.

        The answer to an earlier write that arrives late does not bring it back.
        """
        self._gone.append(uid)
        if key in self._bare and self._bare[key]["metadata"]["uid"] == uid:
            del self._bare[key]
            self._by_owner.pop(owner_hash(uid), None)
            self._forget_path(key)
            self._endpoints.pop(key, None)
            if key.namespace is None:
                self._classes.pop(key.name, None)

    def endpoint(self, key: ObjectKey) -> EphemeralEndpoint | None:
        """The object of that name."""
        return self._endpoints.get(key)

    def uids(self) -> dict[ObjectKey, str]:
        """The UIDs of all objects and classes."""
        return {key: raw["metadata"]["uid"] for key, raw in self._bare.items()}

    def endpoints(self) -> list[tuple[ObjectKey, EphemeralEndpoint]]:
        """All objects."""
        return list(self._endpoints.items())

    def named_class(self, name: str) -> EphemeralEndpointClass | None:
        """The class of that name."""
        return self._classes.get(name)

    def class_name_of(self, endpoint: EphemeralEndpoint) -> str | None:
        """The class that an object uses.

        The one that it names, which cannot change; else the one that it was taken in with, or the default one. What was
        noted is believed where nothing else tells only: whoever may write the object could have written it.
        """
        pinned = (
            endpoint.metadata.annotations.get(CLASS_ANNOTATION) if FINALIZER in endpoint.metadata.finalizers else None
        )
        return endpoint.spec.class_name or pinned or self._default_class()

    def of_class(self, name: str) -> list[tuple[ObjectKey, EphemeralEndpoint]]:
        """The objects that use a class."""
        return [(key, endpoint) for key, endpoint in self._endpoints.items() if self.class_name_of(endpoint) == name]

    def by_owner(self, owner: str) -> ObjectKey | None:
        """The object or class that an owner hash in names stands for."""
        return self._by_owner.get(owner)

    def sharing_path(self, path: str, class_name: str | None) -> list[tuple[ObjectKey, EphemeralEndpoint]]:
        """The objects of a class that ask for the path."""
        asking = ((key, self._endpoints[key]) for key in sorted(self._by_path.get(path, ())))
        return [(key, endpoint) for key, endpoint in asking if self.class_name_of(endpoint) == class_name]

    def affected_by_class(self, name: str) -> list[ObjectKey]:
        """The objects that a change of a class can concern: its own, and those that have no class yet."""
        return [key for key, each in self._endpoints.items() if self.class_name_of(each) in {name, None}]

    def count_endpoints(self, is_counted: Callable[[str | None], bool]) -> int:
        """How many objects there are in the namespaces that count."""
        return sum(is_counted(key.namespace) for key in self._endpoints)

    def count_classes(self) -> int:
        """How many classes there are."""
        return len(self._classes)

    def count_ready(self, is_counted: Callable[[str | None], bool]) -> int:
        """How many objects in the namespaces that count say that they are ready."""
        return sum(
            any(each.type == "Ready" and each.status == "True" for each in endpoint.status.conditions)
            for key, endpoint in self._endpoints.items()
            if is_counted(key.namespace)
        )

    def class_names(self) -> list[str]:
        """The names of all classes."""
        return sorted(self._classes)

    def essence(self, key: ObjectKey) -> tuple[Any, ...] | None:
        """What of an object can matter to its reconciliation.

        Everything but its status and the API server's bookkeeping.
        """
        if key not in self._bare:
            return None
        metadata = self._bare[key]["metadata"]
        return tuple(
            metadata.get(each)
            for each in ("uid", "generation", "deletionTimestamp", "labels", "annotations", "finalizers")
        )

    def raw(self, key: ObjectKey) -> Mapping[str, Any]:
        """The object as the API server gave it, without its spec. Raises KeyError for one that is not known."""
        parsed = self._endpoints[key] if key.namespace else self._classes[key.name]
        return {**self._bare[key], "status": parsed.status.to_wire()}

    def _default_class(self) -> str | None:
        return min((name for name, klass in self._classes.items() if klass.is_default), default=None)

    def _parse(self, key: ObjectKey, raw: Mapping[str, Any]) -> None:
        if key.namespace is None:
            self._classes[key.name] = EphemeralEndpointClass.model_validate(raw)
        else:
            endpoint = EphemeralEndpoint.model_validate(raw)
            self._forget_path(key)
            self._endpoints[key] = endpoint
            self._by_path.setdefault(path_of(endpoint), set()).add(key)

    def _forget_path(self, key: ObjectKey) -> None:
        if known := self._endpoints.get(key):
            path = path_of(known)
            self._by_path[path].discard(key)
            if not self._by_path[path]:
                del self._by_path[path]


def _bare(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object without what is never read or is kept parsed, which is most of it."""
    metadata = {name: value for name, value in raw["metadata"].items() if name != "managedFields"}
    return {**{name: value for name, value in raw.items() if name not in {"spec", "status"}}, "metadata": metadata}


def _version(raw: Mapping[str, Any]) -> int:
    return int(raw["metadata"]["resourceVersion"])
