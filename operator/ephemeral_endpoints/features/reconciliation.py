"""One reconciliation of one object: the input of its steps, and their results."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ephemeral_endpoints.aws.account import Account, Owner
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.plan import DesiredState, View
from ephemeral_endpoints.engine.resources import Key, ObservedResource, ObservedResources
from ephemeral_endpoints.features.routing.specs import (
    HTTP_API,
    ROUTE,
    ROUTE_THROTTLE,
    dedicated_api,
    possible_route_keys,
    route_key_name,
)
from ephemeral_endpoints.features.sleep.policy import AWAKE, Rest
from ephemeral_endpoints.features.subject import Resolved, Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store


@dataclass(slots=True)
class Reconciliation:
    """An object with its class, the account that its resources are in, and the owner for which calls are made.

    ``seen`` are the resources that it was seen to have and that AWS has not confirmed to be gone for good; all
    reconciliations of the object share the set.
    """

    key: ObjectKey
    subject: Subject
    account: Account
    owner: Owner
    seen: set[Key]
    view: View = field(default_factory=lambda: View(DesiredState.absent(), {}, {}))
    """The desired and the observed state, once the resources have been converged."""

    errors: Mapping[Key, ReconcileError] = field(default_factory=dict)
    """Failures and reasons to wait, by resource."""

    steps: list[str] = field(default_factory=list)
    """The steps taken, for the log."""

    rest: Rest = AWAKE
    """Whether the object is asleep."""

    derived: tuple[Subject, Resolved, DesiredState] | None = None
    """The last desired state, with what it was derived from."""

    @property
    def uid(self) -> str:
        """The object's UID, by which steps remember it."""
        return self.owner.uid

    @property
    def calls(self) -> Calls:
        """Makes AWS calls for the object."""
        return self.account.calls_for(self.owner)

    @property
    def own(self) -> ObservedResources:
        """The object's known resources in AWS.

        A route belongs to the object that it leads to. One that another client redirected is still owned by its path,
        as are settings of a route that is gone.
        """
        inventory = self.account.inventory
        apis = [*(key for key in self.others if key.kind is HTTP_API), dedicated_api(self.subject.names.base)]
        names = (route_key_name(api, key) for api in apis for key in possible_route_keys(self.subject.path))
        keys = (Key(kind, name) for name in names for kind in (ROUTE, ROUTE_THROTTLE))
        routes = (inventory.all[key] for key in keys if key in inventory.all)
        redirected = {route.key: route for route in routes if route.is_dangling or self._was_ours(route)}
        return {**inventory.of(self.owner.owner), **redirected}

    @property
    def others(self) -> ObservedResources:
        """The resources that the object shares with the other objects of its class."""
        return self.account.inventory.of(owner_hash(self.subject.endpoint_class.metadata.uid))

    def url(self, api: Key | None, path: str) -> str | None:
        """The URL of a path of an API of the object or its class, once AWS has the API."""
        inventory = self.account.inventory
        entrance = (inventory.of(self.owner.owner).get(api) or self.others.get(api)) if api else None
        return f"{entrance.url.rstrip('/')}{path}" if entrance and entrance.url else None

    def told_url(self, subject: Subject, api: Key | None) -> str | None:
        """The URL that callers know, by the status of ``subject``; before it has one, that of its path in the API."""
        return subject.endpoint.status.url or self.url(api, subject.path)

    def observe(self, desired: DesiredState) -> View:
        """The observed state beside the desired one."""
        return View(desired, self.own, self.others)

    def current(self, store: Store) -> Subject:
        """The object as it is now, as long as it is the same one."""
        newest = store.endpoint(self.key)
        if newest is None or newest.metadata.uid != self.uid:
            return self.subject
        return replace(self.subject, endpoint=newest)

    def is_gone(self, store: Store) -> bool:
        """Whether the object does not exist any more, though our finalizer should have held it."""
        newest = store.endpoint(self.key)
        return newest is None or newest.metadata.uid != self.uid

    def _was_ours(self, route: ObservedResource) -> bool:
        return route.owner is None and route.key in self.seen
