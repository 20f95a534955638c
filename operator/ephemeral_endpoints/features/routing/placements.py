"""Which of its class's APIs an object is in: the one that has its integration, else one with free capacity."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.resources import Key, ObservedResources
from ephemeral_endpoints.engine.sharding import WHOLE, Shard
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.apis import INTEGRATIONS_PER_API, api_number, api_with_room, loads
from ephemeral_endpoints.features.routing.policy import Claim, PathState, path_of, refused_path
from ephemeral_endpoints.features.routing.specs import (
    HTTP_API,
    INTEGRATION,
    ROUTE,
    HttpApiSpec,
    IntegrationSpec,
    route_key,
    route_key_name,
)
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store, class_key


class Placements:
    """Remembers where objects were placed until their integration shows it: many at once must not overfill an API."""

    def __init__(self, cluster_id: str, *, shard: Shard = WHOLE, limit: int = INTEGRATIONS_PER_API) -> None:
        self._cluster_id = cluster_id
        self._shard = shard
        self._limit = limit
        self._placed: dict[str, Key] = {}

    def place(
        self, owner: str, base: str, endpoint_class: EphemeralEndpointClass, observed_resources: ObservedResources
    ) -> Key:
        """The API of the object whose resources are named ``base``; the same one as long as the integration exists."""
        integration = observed_resources.get(Key(INTEGRATION, base))
        if integration and isinstance(integration.spec, IntegrationSpec):
            self._placed[owner] = integration.spec.api
        elif owner not in self._placed or not self._shard.has(api_number(self._placed[owner])):
            self._placed[owner] = api_with_room(
                self._cluster_id, endpoint_class, self._loads(observed_resources), shard=self._shard, limit=self._limit
            )
        return self._placed[owner]

    def forget(self, owner: str) -> None:
        """The object needs no place any more."""
        self._placed.pop(owner, None)

    def of(self, owners: frozenset[str]) -> tuple[frozenset[Key], bool]:
        """The APIs in which these objects are placed, and whether all of them are: after a start they are not yet."""
        return frozenset(self._placed[owner] for owner in owners & self._placed.keys()), owners <= self._placed.keys()

    def _loads(self, observed_resources: ObservedResources) -> Mapping[Key, int]:
        integrated = {
            observed.owner for observed in observed_resources.values() if isinstance(observed.spec, IntegrationSpec)
        }
        waiting = Counter(key for owner, key in self._placed.items() if owner not in integrated)
        return loads(observed_resources.values()) + waiting


@dataclass(slots=True)
class Placement:
    """Where an object's URL is.

    ``api`` is None before the first look. ``held`` is the path of the object if it was seen to lead to it, ``paths``
    are all that led to it at the last look.
    """

    api: Key | None = None
    held: str | None = None
    paths: frozenset[str] = frozenset()


class PlacementStep(Step[Placement]):
    """Finds the API, and the object that has the path. ``now`` is the time of day in UTC."""

    def __init__(
        self,
        placements: Placements,
        store: Store,
        enqueue: Callable[[ObjectKey], None],
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(Placement)
        self._placements = placements
        self._store = store
        self._enqueue = enqueue
        self._now = now

    async def run(self, reconciliation: Reconciliation) -> None:
        """Place the object. Calls nothing; the class is enqueued where it has to create or complete the API."""
        subject, names = reconciliation.subject, reconciliation.subject.names
        inventory, placement = reconciliation.account.inventory.all, self.memory(reconciliation.uid)
        placement.api = self._placements.place(names.owner, names.base, subject.endpoint_class, inventory)
        api = reconciliation.others.get(placement.api)
        if api is None or not (isinstance(api.spec, HttpApiSpec) and api.spec.staged):
            self._enqueue(class_key(subject.endpoint_class.metadata.name))

    def path(self, reconciliation: Reconciliation, subject: Subject) -> PathState:
        """Whether the object, as ``subject`` has it, has its path.

        The owners of the routes in AWS decide, which no user of Kubernetes can write. An object whose route somebody
        deleted in AWS, and that has yet to create it again, still has its path.
        """
        owners, own = self._owners(reconciliation, subject.path), subject.names.owner
        refused = refused_path(subject.endpoint, subject.endpoint_class.spec.routing)
        if refused and own not in owners:
            return PathState(refused=refused)
        asking = dict(self._store.sharing_path(subject.path, subject.endpoint_class.metadata.name))
        if own not in owners and (holders := asking.keys() & {self._store.by_owner(owner) for owner in owners}):
            return PathState(holder=min(holders).namespaced_name)
        others = ((key, replace(subject, endpoint=endpoint)) for key, endpoint in asking.items())
        claims = (
            Claim(holds, other.created_at, other.endpoint.metadata.uid, key.namespaced_name)
            for key, other in others
            if (holds := other.names.owner in owners or (not owners and self._held(other))) or self._may_take(other)
        )
        return path_of(reconciliation.uid, claims)

    def release(self, reconciliation: Reconciliation) -> None:
        """Note the object's routes, and enqueue the objects that ask for a path which no longer leads to it."""
        subject, placement = reconciliation.current(self._store), self.memory(reconciliation.uid)
        paths = frozenset(_path(key) for key in reconciliation.own if key.kind is ROUTE)
        if placement.held != subject.path:
            placement.held = subject.path if subject.path in paths else None
        for path in placement.paths - paths - {placement.held}:
            for key, _ in self._store.sharing_path(path, subject.endpoint_class.metadata.name):
                self._enqueue(key)
        placement.paths = paths

    def withdraw(self, reconciliation: Reconciliation) -> None:
        """The object has nothing in an API any more."""
        self._placements.forget(reconciliation.owner.owner)

    def _owners(self, reconciliation: Reconciliation, path: str) -> frozenset[str]:
        """The owners of the routes with that path in the APIs of the class."""
        inventory = reconciliation.account.inventory.all
        apis = (key for key in reconciliation.others if key.kind is HTTP_API)
        routes = (inventory.get(Key(ROUTE, route_key_name(api, route_key(path)))) for api in apis)
        return frozenset(route.owner for route in routes if route and route.owner)

    def _held(self, subject: Subject) -> bool:
        placement = self._memories.get(subject.endpoint.metadata.uid)
        return placement is not None and placement.held == subject.path and not subject.is_terminating(self._now())

    def _may_take(self, subject: Subject) -> bool:
        """Whether the object would take the path if it were free."""
        endpoint = subject.endpoint
        is_refused = refused_path(endpoint, subject.endpoint_class.spec.routing) is not None
        return not (endpoint.spec.suspend or subject.is_terminating(self._now()) or is_refused)


def _path(route: Key) -> str:
    return route.name.rpartition(" ")[2]
