"""Which of its class's APIs an object is in: the one that has its integration, else one with free capacity."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.resources import Key, ObservedResources
from ephemeral_endpoints.engine.sharding import WHOLE, Shard
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.apis import LIMIT, Load, Place, api_number, api_with_room, loads, room_for
from ephemeral_endpoints.features.routing.desired import routes
from ephemeral_endpoints.features.routing.policy import Claim, PathState, is_dedicated, path_of, refused_path
from ephemeral_endpoints.features.routing.specs import (
    HTTP_API,
    INTEGRATION,
    ROUTE,
    HttpApiSpec,
    IntegrationSpec,
    RouteSpec,
    authorizer_key,
    dedicated_api,
    integration_key,
    route_key_name,
    route_keys,
    route_path,
)
from ephemeral_endpoints.features.routing.stage import ApiFull
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store, class_key

FORMER_STAYS: Final = timedelta(minutes=1)
"""How long the former API still leads to an object after the new URL was reported."""

ROOM_SECONDS: Final = 60.0
"""The pause between two looks for room for further routes."""

_SHARED: Final = Key(HTTP_API, "")


class Placements:
    """Remembers where objects were placed until their integration shows it: many at once must not overfill an API."""

    def __init__(self, cluster_id: str, *, shard: Shard = WHOLE, limit: Load = LIMIT) -> None:
        self._cluster_id = cluster_id
        self._shard = shard
        self._limit = limit
        self._placed: dict[str, Place] = {}
        self._apart: set[str] = set()

    def place(
        self,
        owner: str,
        base: str,
        endpoint_class: EphemeralEndpointClass,
        observed_resources: ObservedResources,
        *,
        routes: int,
    ) -> Key:
        """The API of the object whose resources are named ``base``; the same one as long as the integration exists.

        ``routes`` is how many it needs.
        """
        integration, placed = observed_resources.get(Key(INTEGRATION, base)), self._placed.get(owner)
        if integration and isinstance(integration.spec, IntegrationSpec):
            api = integration.spec.api
        elif placed and self._shard.has(api_number(placed.api)):
            api = placed.api
        else:
            taken = loads(observed_resources.values(), self._placed)
            most = room_for(routes, self._limit)
            api = api_with_room(self._cluster_id, endpoint_class, taken, shard=self._shard, most=most)
        self._placed[owner] = Place(api, routes)
        self._apart.discard(owner)
        return api

    def has_room(self, owner: str, api: Key, observed_resources: ObservedResources, *, routes: int) -> bool:
        """Whether an object that is in an API finds room for so many routes there, or has them already."""
        own = [each for each in observed_resources.values() if each.key.kind is ROUTE and each.owner == owner]
        if routes <= sum(isinstance(each.spec, RouteSpec) and each.spec.api == api for each in own):
            return True
        others = [each for each in observed_resources.values() if each.owner != owner]
        placed = {each: place for each, place in self._placed.items() if each != owner}
        return loads(others, placed).get(api, Load()).routes + routes <= self._limit.routes

    def place_apart(self, owner: str, *, is_left: bool) -> None:
        """The object has an API of its own. Its place among the others is free once it ``is_left``."""
        self._apart.add(owner)
        if is_left:
            self._placed.pop(owner, None)

    def forget(self, owner: str) -> None:
        """The object needs no place any more."""
        self._placed.pop(owner, None)
        self._apart.discard(owner)

    def of(self, owners: frozenset[str]) -> tuple[frozenset[Key], bool]:
        """The APIs in which these objects are placed, and whether all of them are: after a start they are not yet."""
        placed = owners & self._placed.keys()
        return frozenset(self._placed[owner].api for owner in placed), owners <= placed | self._apart


@dataclass(slots=True)
class Placement:
    """Where an object's URL is.

    ``api`` is None before the first look. ``former`` is another API that still leads to the object, and ``proven_at``
    when it was reported that the way through ``api`` was proven. ``held`` is the path of the object if it was seen to
    lead to it, ``paths`` are all that led to it at the last look. ``has_room`` says whether the API of the class that
    leads to it has room for all routes that it needs.
    """

    api: Key | None = None
    former: Key | None = None
    proven_at: datetime | None = None
    held: str | None = None
    has_room: bool = True
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
        """Place the object. Calls nothing; the class is enqueued where it has to create or complete the API.

        The same holds for the API's authorizer, which can be deleted once no route uses it any more.
        """
        subject, names = reconciliation.subject, reconciliation.subject.names
        inventory, placement = reconciliation.account.inventory.all, self.memory(reconciliation.uid)
        own = dedicated_api(names.base)
        if is_dedicated(subject.endpoint.spec.api, subject.endpoint_class.spec.routing):
            placement.api = own
            self._leave_shared(reconciliation)
            placement.has_room = placement.former is None or self._has_room(reconciliation, placement.former)
            return
        placement.former = _api_of(integration_key(own, names.base), inventory)
        placement.api = self._placements.place(
            names.owner, names.base, subject.endpoint_class, inventory, routes=len(routes(subject))
        )
        placement.has_room = self._has_room(reconciliation, placement.api)
        api = reconciliation.others.get(placement.api)
        is_served = api is not None and isinstance(api.spec, HttpApiSpec) and api.spec.staged
        has_issuer = subject.endpoint_class.spec.routing.auth.jwt is not None
        if not is_served or (authorizer_key(placement.api) in reconciliation.others) is not has_issuer:
            self._enqueue(class_key(subject.endpoint_class.metadata.name))

    def _has_room(self, reconciliation: Reconciliation, api: Key) -> bool:
        subject, inventory = reconciliation.subject, reconciliation.account.inventory.all
        return self._placements.has_room(subject.names.owner, api, inventory, routes=len(routes(subject)))

    def error(self, reconciliation: Reconciliation) -> ReconcileError | None:
        """Why the way to the object stays as it is; None if it does not."""
        subject, placement = reconciliation.subject, self.memory(reconciliation.uid)
        if placement.has_room or placement.api == dedicated_api(subject.names.base):
            return None
        return no_room(subject)

    def _leave_shared(self, reconciliation: Reconciliation) -> None:
        """Note whether an API of the class still leads to an object that has its own; the class may delete it then."""
        subject, placement = reconciliation.subject, self.memory(reconciliation.uid)
        inventory = reconciliation.account.inventory.all
        before, placement.former = placement.former, _api_of(integration_key(_SHARED, subject.names.base), inventory)
        self._placements.place_apart(subject.names.owner, is_left=placement.former is None)
        if before and placement.former is None:
            self._enqueue(class_key(subject.endpoint_class.metadata.name))

    def former_api(self, uid: str) -> Key | None:
        """The API that the URL leaves, until the new way was proven and callers had time to learn of it."""
        placement = self.memory(uid)
        is_over = placement.proven_at is not None and self._now() >= placement.proven_at + FORMER_STAYS
        return None if is_over else placement.former

    def hand_over(self, reconciliation: Reconciliation, *, is_proven: bool) -> None:
        """Note whether the way through the new API was proven, once that has been reported."""
        placement = self.memory(reconciliation.uid)
        if placement.former is None or not is_proven:
            placement.proven_at = None
        elif placement.proven_at is None:
            placement.proven_at = self._now()

    @override
    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        placement = self.memory(reconciliation.uid)
        if self.error(reconciliation):
            return ROOM_SECONDS
        if placement.former is None or placement.proven_at is None:
            return None
        return max(0.0, (placement.proven_at + FORMER_STAYS - self._now()) / timedelta(seconds=1))

    def path(self, reconciliation: Reconciliation, subject: Subject) -> PathState:
        """Whether the object, as ``subject`` has it, has its path.

        The owners of the routes in AWS decide, which no user of Kubernetes can write. An object whose route somebody
        deleted in AWS, and that has yet to create it again, still has its path.
        """
        apis = [key for key in reconciliation.others if key.kind is HTTP_API]
        inventory = reconciliation.account.inventory.all
        refused = refused_path(subject.endpoint, subject.endpoint_class.spec.routing)
        if refused and not _is_routed(subject, apis, inventory):
            return PathState(refused=refused)
        claiming = self._store.claiming(subject.path, subject.endpoint_class.metadata.name)
        others = {key: replace(subject, endpoint=endpoint) for key, endpoint in claiming}
        routed = {key for key, other in others.items() if _is_routed(other, apis, inventory)}
        claims = (
            Claim(holds, other.created_at, other.endpoint.metadata.uid, key.namespaced_name)
            for key, other in others.items()
            if (holds := key in routed or (not routed and self._held(other))) or self._may_take(other)
        )
        return path_of(reconciliation.uid, claims)

    def release(self, reconciliation: Reconciliation) -> None:
        """Note the object's routes, and enqueue the objects that ask for a path which no longer leads to it."""
        subject, placement = reconciliation.current(self._store), self.memory(reconciliation.uid)
        if placement.api == dedicated_api(subject.names.base):
            self._leave_shared(reconciliation)
        paths = frozenset(route_path(key) for key in reconciliation.own if key.kind is ROUTE)
        if placement.held != subject.path:
            placement.held = subject.path if subject.path in paths else None
        for path in placement.paths - paths - {placement.held}:
            for key, _ in self._store.claiming(path, subject.endpoint_class.metadata.name):
                self._enqueue(key)
        placement.paths = paths

    def withdraw(self, reconciliation: Reconciliation) -> None:
        """The object has nothing in an API any more."""
        self._placements.forget(reconciliation.owner.owner)

    def _held(self, subject: Subject) -> bool:
        placement = self._memories.get(subject.endpoint.metadata.uid)
        return placement is not None and placement.held == subject.path and not subject.is_terminating(self._now())

    def _may_take(self, subject: Subject) -> bool:
        """Whether the object would take the path if it were free."""
        endpoint = subject.endpoint
        is_refused = refused_path(endpoint, subject.endpoint_class.spec.routing) is not None
        return not (endpoint.spec.suspend or subject.is_terminating(self._now()) or is_refused)


def no_room(subject: Subject) -> ApiFull:
    """What is told of an object whose API has no room for its further routes."""
    return ApiFull(
        f"the HTTP API that the URL is in has no room for the {len(routes(subject))} routes that spec.api.auth and "
        "spec.api.cors need: set spec.api.mode to Dedicated if the class allows it, or delete the object and create it "
        "again, which gives it another URL. Until then callers authenticate as before; the operator looks again every "
        "minute"
    )


def _is_routed(subject: Subject, apis: Iterable[Key], inventory: ObservedResources) -> bool:
    """Whether a route of the object's path leads to it, in an API of the class."""
    apis = (*apis, dedicated_api(subject.names.base))
    keys = (Key(ROUTE, route_key_name(api, key)) for api in apis for key in route_keys(subject.path))
    return any(key in inventory and inventory[key].owner == subject.names.owner for key in keys)


def _api_of(integration: Key, inventory: ObservedResources) -> Key | None:
    """The API that an integration is in; None without one."""
    observed = inventory.get(integration)
    return observed.spec.api if observed and isinstance(observed.spec, IntegrationSpec) else None
