"""Which changes cause which reconciliations: one map from a change to the keys that it affects. Pure."""

from dataclasses import dataclass

from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS, STAGE
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import LimitPolicy
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.kube.cache import ObjectKey, Store, class_key, stage_key


@dataclass(frozen=True, slots=True)
class ObjectChanged:
    """An object was created, changed or deleted; ``before`` is the EphemeralEndpoint that was known by its key."""

    key: ObjectKey
    before: EphemeralEndpoint | None = None


@dataclass(frozen=True, slots=True)
class ObjectListed:
    """A watch began with a list in which the object is as it was known. All objects that use it are listed too."""

    key: ObjectKey


@dataclass(frozen=True, slots=True)
class StatusWritten:
    """The operator has written the status of an object, or the object is gone."""

    key: ObjectKey


@dataclass(frozen=True, slots=True)
class ResourcesChanged:
    """The resources of an owner have changed in AWS, as this shard has noticed."""

    owner: str
    shard: Shard


@dataclass(frozen=True, slots=True)
class EventQueueChanged:
    """The event queue of a class can be read again, or cannot any more."""

    class_name: str


@dataclass(frozen=True, slots=True)
class PackageChanged:
    """A version of a model package group has changed in the account of a class."""

    class_name: str
    group: str


@dataclass(frozen=True, slots=True)
class ListErrorChanged:
    """AWS can be listed again in some account, or cannot any more."""


@dataclass(frozen=True, slots=True)
class TimeJumped:
    """The time of day moved on while timers stood, so that any object may be due."""


Trigger = (
    ObjectChanged
    | ObjectListed
    | StatusWritten
    | ResourcesChanged
    | EventQueueChanged
    | PackageChanged
    | ListErrorChanged
    | TimeJumped
)


def keys(trigger: Trigger, index: Store) -> list[ObjectKey]:  # noqa: PLR0911 - one for each trigger
    """The keys to reconcile, regardless of the shard; the changed object itself comes first.

    ``index`` is the cache as it is after the change.
    """
    match trigger:
        case ObjectChanged(key, before):
            return [key, *_concerned_by(key, before, index), *_stages(key, index)]
        case ObjectListed(key):
            return [key]
        case StatusWritten(key):
            return [*index.asking(key), *_limited_class(key, index), *_stages(key, index)]
        case ResourcesChanged(owner, shard):
            owning = index.by_owner(owner)
            return [owning, *_waiting_for(owning, index, shard)] if owning else []
        case EventQueueChanged(class_name):
            return [class_key(class_name)]
        case PackageChanged(class_name, group):
            return [*index.stages_of_class(class_name), *_serving(group, class_name, index)]
        case ListErrorChanged():
            return _all_classes(index)
        case TimeJumped():
            return [*index.uids()]


def _concerned_by(key: ObjectKey, before: EphemeralEndpoint | None, index: Store) -> list[ObjectKey]:
    if key.kind == ENDPOINT_CLASS.name:
        return index.affected_by_class(key.name)
    if endpoint := index.endpoint(key):
        name = index.class_name_of(endpoint)
        return [*([class_key(name)] if name else []), *_rivals(key, before, endpoint, index)]
    if key.kind == ENDPOINT.name:
        return [*(_claimants(before, index) if before else ()), *index.asking(key), *_all_classes(index)]
    return []


def _stages(key: ObjectKey, index: Store) -> list[ObjectKey]:
    """The stages that depend on an object: that of an endpoint, those of a class, and those after a stage."""
    if key.kind == ENDPOINT.name:
        stage = stage_key(key.namespace, key.name)
        return [stage] if index.get(ModelStage, stage) else []
    if key.kind == STAGE.name:
        return index.stages_after(key)
    return index.stages_of_class(key.name) if key.kind == ENDPOINT_CLASS.name else []


def _serving(group: str, class_name: str, index: Store) -> list[ObjectKey]:
    asked = ((key, endpoint.spec.model.package) for key, endpoint in index.of_class(class_name))
    return [key for key, package in asked if package and package.group_name == group]


def _limited_class(key: ObjectKey, index: Store) -> list[ObjectKey]:
    """The class of an object if its status tells of limits: they are made from the statuses of its objects."""
    endpoint = index.endpoint(key)
    name = index.class_name_of(endpoint) if endpoint else None
    endpoint_class = index.named_class(name) if name else None
    has_limits = endpoint_class is not None and endpoint_class.spec.limits != LimitPolicy()
    return [class_key(name)] if name and has_limits else []


def _waiting_for(owning: ObjectKey, index: Store, shard: Shard) -> list[ObjectKey]:
    """Objects that use a class's resources, or that wait for the path of another shard's object to end in AWS."""
    if owning.kind == ENDPOINT_CLASS.name:
        return index.affected_by_class(owning.name)
    endpoint = index.endpoint(owning)
    return [] if endpoint is None or shard.takes(owning.namespace) else _claimants(endpoint, index)


def _rivals(
    key: ObjectKey, before: EphemeralEndpoint | None, endpoint: EphemeralEndpoint, index: Store
) -> list[ObjectKey]:
    """Objects that can take a path which the object gives up, and the one for whose path it begins or ceases to wait.

    Which object has a path is taken from the statuses: one that is wrong costs a reconciliation, and decides nothing.
    """
    if before and _claim(before) == _claim(endpoint):
        return []
    left = _claimants(before, index) if before and before.path != endpoint.path else []
    if before and not _has_path(key, before):
        left = [each for each in left if _has_path(each, index.endpoint(each))]
    entered = [each for each in _claimants(endpoint, index) if _has_path(each, index.endpoint(each))]
    return [each for each in (*left, *entered) if each != key]


def _claim(endpoint: EphemeralEndpoint) -> tuple[object, ...]:
    return endpoint.path, endpoint.spec.suspend, endpoint.metadata.deletion_timestamp


def _has_path(key: ObjectKey, endpoint: EphemeralEndpoint | None) -> bool:
    route = endpoint.status.route if endpoint else None
    return route is not None and route.holder == key.namespaced_name


def _claimants(endpoint: EphemeralEndpoint, index: Store) -> list[ObjectKey]:
    return [key for key, _ in index.claiming(endpoint.path, index.class_name_of(endpoint))]


def _all_classes(index: Store) -> list[ObjectKey]:
    return [class_key(name) for name in index.class_names()]
