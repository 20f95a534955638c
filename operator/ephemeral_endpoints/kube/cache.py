"""The objects as last seen: in the watch, or in the answer to a write of our own, whichever is newer."""

import logging
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from pydantic import ValidationError

from ephemeral_endpoints import api
from ephemeral_endpoints.api.kinds import BY_NAME, ENDPOINT, ENDPOINT_CLASS, KINDS, STAGE, ObjectKind
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.feedback import VariantVotes
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.kube.errors import Gone

logger = logging.getLogger(__name__)


FINALIZER: Final = api.FINALIZER

_COMMON: Final = {each: each for each in (api.API_VERSION, FINALIZER, *BY_NAME)}
"""Texts of every object."""

REMEMBERED_GONE: Final = 256
"""UIDs of objects that are gone; answers arrive late by seconds, so that a few are enough."""


T = TypeVar("T", bound=ApiModel)
K = TypeVar("K")


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """Which object is meant: its kind, its namespace, None where the kind has none, and its name."""

    kind: str
    namespace: str | None
    name: str

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """The key of an object as the API server gives it."""
        return cls(raw["kind"], raw["metadata"].get("namespace"), raw["metadata"]["name"])

    @property
    def api_path(self) -> str:
        """Where the API server has the object."""
        return f"{BY_NAME[self.kind].folder(self.namespace)}/{self.name}"

    @property
    def namespaced_name(self) -> str:
        """The name among objects of the same kind, as people write it: with the namespace, where there is one."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def log_fields(self) -> Mapping[str, str | None]:
        """The fields that identify the object in the log."""
        return {"kind": self.kind, "namespace": self.namespace, "object_name": self.name}

    def __str__(self) -> str:
        return f"{self.kind} {self.namespaced_name}"


def endpoint_key(namespace: str, name: str) -> ObjectKey:
    """The key of an EphemeralEndpoint."""
    return ObjectKey(ENDPOINT.name, namespace, name)


def class_key(name: str) -> ObjectKey:
    """The key of an EphemeralEndpointClass."""
    return ObjectKey(ENDPOINT_CLASS.name, None, name)


def stage_key(namespace: str | None, name: str) -> ObjectKey:
    """The key of a ModelStage."""
    return ObjectKey(STAGE.name, namespace, name)


class Store:
    """Objects of all kinds, by their keys.

    Resource versions are compared as numbers, which Kubernetes has guaranteed since 1.35 (KEP-5504).
    """

    def __init__(self) -> None:
        self._parsed: Mapping[str, dict[ObjectKey, Any]] = {kind.name: {} for kind in KINDS}
        self._bare: dict[ObjectKey, Mapping[str, Any]] = {}
        self._by_owner: dict[str, ObjectKey] = {}
        self._by_namespace: dict[str | None, set[ObjectKey]] = {}
        self._by_path: dict[str, set[ObjectKey]] = {}
        self._below_path: dict[str, set[ObjectKey]] = {}
        self._by_asked: dict[ObjectKey, set[ObjectKey]] = {}
        self._gone: deque[str] = deque(maxlen=REMEMBERED_GONE)

    def put(self, raw: Mapping[str, Any]) -> ObjectKey:
        """Take over an object unless this version of it is known, or a newer one; returns its key.

        An object that does not parse, which the CRD's schema should have prevented, is logged and otherwise ignored.
        """
        metadata, key = raw["metadata"], ObjectKey.of(raw)
        known = self._bare.get(key)
        if metadata["uid"] in self._gone or (known and _version(known) >= _version(raw)):
            return key
        try:
            shared = _with_shared_texts(raw, dict(_COMMON))
            parsed = BY_NAME[key.kind].model.model_validate(shared)
        except ValidationError:
            logger.exception(
                "the operator ignores an object that its schema does not allow: apply the CRDs of this version",
                extra=key.log_fields,
            )
            return key
        metadata, key = shared["metadata"], ObjectKey.of(shared)
        if known and known["metadata"]["uid"] != metadata["uid"]:
            self._by_owner.pop(owner_hash(known["metadata"]["uid"]), None)
        self._forget_indexed(key)
        self._parsed[key.kind][key] = parsed
        self._bare[key] = _bare(shared)
        self._by_owner[owner_hash(metadata["uid"])] = key
        if isinstance(parsed, EphemeralEndpoint):
            self._by_namespace.setdefault(key.namespace, set()).add(key)
            self._by_path.setdefault(parsed.path, set()).add(key)
            for path in _above(parsed.path):
                self._below_path.setdefault(path, set()).add(key)
            for other in _asked_by(key, parsed):
                self._by_asked.setdefault(other, set()).add(key)
        return key

    def remove(self, key: ObjectKey, uid: str) -> None:
        """Forget an object that is gone, unless another one already carries its name.

        The answer to an earlier write that arrives late does not bring it back.
        """
        self._gone.append(uid)
        if key in self._bare and self._bare[key]["metadata"]["uid"] == uid:
            self._forget_indexed(key)
            self._by_owner.pop(owner_hash(uid), None)
            del self._bare[key], self._parsed[key.kind][key]

    def get(self, model: type[T], key: ObjectKey) -> T | None:
        """The object of that key and model."""
        return self.all(model).get(key)

    def all(self, model: type[T]) -> Mapping[ObjectKey, T]:
        """All objects of a model, as they are at this moment and later."""
        return self._parsed[model.__name__]

    def count(self, kind: ObjectKind, is_counted: Callable[[str | None], bool]) -> int:
        """How many objects of a kind there are in the namespaces that count, None being that of those without one."""
        return sum(is_counted(key.namespace) for key in self._parsed[kind.name])

    def endpoint(self, key: ObjectKey) -> EphemeralEndpoint | None:
        """The EphemeralEndpoint of that key."""
        return self.get(EphemeralEndpoint, key)

    def uids(self) -> dict[ObjectKey, str]:
        """The UIDs of all objects."""
        return {key: raw["metadata"]["uid"] for key, raw in self._bare.items()}

    def endpoints(self) -> list[tuple[ObjectKey, EphemeralEndpoint]]:
        """All EphemeralEndpoints."""
        return list(self._endpoints.items())

    def named_class(self, name: str) -> EphemeralEndpointClass | None:
        """The class of that name."""
        return self.get(EphemeralEndpointClass, class_key(name))

    def classes(self) -> list[EphemeralEndpointClass]:
        """All classes that can be read, by name."""
        return [each for name in self.class_names() if (each := self.named_class(name))]

    def class_name_of(self, endpoint: EphemeralEndpoint) -> str | None:
        """The class that an object uses.

        The one that its spec names, which cannot change. An object that names none gets the name of the default class
        together with the finalizer, before anything is created for it in AWS.
        """
        return endpoint.spec.class_name or self._default_class()

    def of_class(self, name: str) -> list[tuple[ObjectKey, EphemeralEndpoint]]:
        """The objects that use a class."""
        return [(key, endpoint) for key, endpoint in self._endpoints.items() if self.class_name_of(endpoint) == name]

    def in_namespace(self, namespace: str) -> list[EphemeralEndpoint]:
        """The EphemeralEndpoints of a namespace."""
        return [self._endpoints[key] for key in self._by_namespace.get(namespace, ())]

    def by_owner(self, owner: str) -> ObjectKey | None:
        """The object or class with that owner hash in the names of its resources."""
        return self._by_owner.get(owner)

    def claiming(self, path: str, class_name: str | None) -> list[tuple[ObjectKey, EphemeralEndpoint]]:
        """The objects of a class that claim the path, one above it, or one below it: a URL takes all that is below."""
        found = {key for each in (path, *_above(path)) for key in self._by_path.get(each, ())}
        found |= self._below_path.get(path, set())
        asking = ((key, self._endpoints[key]) for key in sorted(found))
        return [(key, endpoint) for key, endpoint in asking if self.class_name_of(endpoint) == class_name]

    def asking(self, other: ObjectKey) -> list[ObjectKey]:
        """The objects that ask the models of the one of that key, whether it exists or not."""
        return sorted(self._by_asked.get(other, ()))

    def affected_by_class(self, name: str) -> list[ObjectKey]:
        """The objects that a change of a class can concern: its own, and those that have no class yet."""
        return [key for key, each in self._endpoints.items() if self.class_name_of(each) in {name, None}]

    def stages_of_class(self, name: str) -> list[ObjectKey]:
        """The stages that use a class."""
        return [key for key, each in self.all(ModelStage).items() if each.spec.class_name == name]

    def stages_after(self, stage: ObjectKey) -> list[ObjectKey]:
        """The stages whose source is the one of that key."""
        stages = self.all(ModelStage).items()
        after = ((key, each.spec.source.from_) for key, each in stages if key.namespace == stage.namespace)
        return [key for key, source in after if source and source.stage == stage.name]

    def count_ready(self, is_counted: Callable[[str | None], bool]) -> int:
        """How many objects in the namespaces that count report that they are ready."""
        return sum(is_ready for _, _, is_ready in self.readiness(is_counted))

    def readiness(self, is_counted: Callable[[str | None], bool]) -> Iterator[tuple[str, str, bool]]:
        """Namespace and name of each object in the namespaces that count, and whether it reports that it is ready."""
        for key, endpoint in self._endpoints.items():
            if is_counted(key.namespace):
                ready = any(each.type == "Ready" and each.status == "True" for each in endpoint.status.conditions)
                yield key.namespace or "", key.name, ready

    def votes(self, is_counted: Callable[[str | None], bool]) -> Iterator[tuple[str, str, VariantVotes]]:
        """Namespace, name and votes of each variant of the objects in the namespaces that count."""
        for key, endpoint in self._endpoints.items():
            if is_counted(key.namespace):
                yield from ((key.namespace or "", key.name, each) for each in endpoint.status.feedback)

    def class_names(self) -> list[str]:
        """The names of all classes."""
        return sorted(key.name for key in self._classes)

    def relevant_fields(self, key: ObjectKey) -> tuple[Any, ...] | None:
        """The part of an object that can matter to its reconciliation.

        Everything but its status and the API server's bookkeeping; of a class also the prices that its status has.
        """
        if key not in self._bare:
            return None
        metadata, endpoint_class = self._bare[key]["metadata"], self._classes.get(key)
        listed = endpoint_class.status.prices if endpoint_class else None
        return tuple(
            metadata.get(each)
            for each in (
                *("uid", "generation", "deletionTimestamp"),
                *("labels", "annotations", "finalizers", "ownerReferences"),
            )
        ) + ((listed.items,) if listed else ())

    def raw(self, key: ObjectKey) -> Mapping[str, Any]:
        """The object as the API server gave it, without its spec. Raises Gone for one that is not known (any more)."""
        if key not in self._bare:
            raise Gone(f"{key} does not exist")
        return {**self._bare[key], "status": self._parsed[key.kind][key].status.to_wire()}

    @property
    def _endpoints(self) -> Mapping[ObjectKey, EphemeralEndpoint]:
        return self.all(EphemeralEndpoint)

    @property
    def _classes(self) -> Mapping[ObjectKey, EphemeralEndpointClass]:
        return self.all(EphemeralEndpointClass)

    def _default_class(self) -> str | None:
        return min((key.name for key, each in self._classes.items() if each.is_default), default=None)

    def _forget_indexed(self, key: ObjectKey) -> None:
        if known := self._endpoints.get(key):
            _discard(self._by_namespace, key.namespace, key)
            _discard(self._by_path, known.path, key)
            for path in _above(known.path):
                _discard(self._below_path, path, key)
            for other in _asked_by(key, known):
                _discard(self._by_asked, other, key)


def _asked_by(key: ObjectKey, endpoint: EphemeralEndpoint) -> set[ObjectKey]:
    """The other objects whose models an object asks: its base, and that which gets its answers."""
    compare, postprocess = endpoint.spec.compare, endpoint.spec.api.postprocess
    names = {compare.with_.endpoint if compare else None, postprocess.endpoint if postprocess else None}
    return {ObjectKey(key.kind, key.namespace, name) for name in names if name}


def _above(path: str) -> list[str]:
    """The paths that a path is below of."""
    segments = path.split("/")
    return ["/".join(segments[:length]) for length in range(2, len(segments))]


def _discard(index: dict[K, set[ObjectKey]], at: K, key: ObjectKey) -> None:
    index[at].discard(key)
    if not index[at]:
        del index[at]


def _bare(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object without the fields that are never read or are kept parsed, which are most of it."""
    metadata = _fields(raw["metadata"], without={"managedFields"})
    return {**_fields(raw, without={"spec", "status", "metadata"}), "metadata": metadata}


def _fields(raw: Mapping[str, Any], *, without: Collection[str]) -> dict[str, Any]:
    """Some of the fields, whose names are the same for all objects: JSON is read with new ones each time."""
    return {sys.intern(name): value for name, value in raw.items() if name not in without}


def _with_shared_texts(value: Any, known: dict[str, str]) -> Any:  # noqa: ANN401 - any JSON
    """The same with one text for all that are equal: an object names its commit up to ten times."""
    if isinstance(value, str):
        return known.setdefault(value, value)
    if isinstance(value, dict):
        return {name: _with_shared_texts(each, known) for name, each in value.items()}
    return [_with_shared_texts(each, known) for each in value] if isinstance(value, list) else value


def _version(raw: Mapping[str, Any]) -> int:
    return int(raw["metadata"]["resourceVersion"])
