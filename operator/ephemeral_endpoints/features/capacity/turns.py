"""Whose turn it is by the limits of classes: who may go on, who waits, and who is woken when that changes."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass, LimitPolicy
from ephemeral_endpoints.aws.inventory import Inventory
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.features.capacity.limits import Candidate, Wait, cause, waits
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store

_NO_LIMITS: Final = LimitPolicy()


class Turns:
    """What each object of a limited class waits for, by namespace. ``enqueue`` has one reconciled.

    Nothing must survive the process: what an object has in AWS, where no user of Kubernetes can write, shows that it
    has a place. ``now`` is the time of day in UTC.
    """

    def __init__(self, store: Store, enqueue: Callable[[ObjectKey], None], now: Callable[[], datetime]) -> None:
        self._store = store
        self._enqueue = enqueue
        self._now = now
        self._found: dict[tuple[str, str], dict[str, Wait | None]] = {}

    def wait(self, reconciliation: Reconciliation) -> Cause | None:
        """Why an active object must wait; None if it may go on. Enqueues others whose turn has changed."""
        subject, namespace = reconciliation.subject, reconciliation.key.namespace or ""
        endpoint_class = subject.endpoint_class
        place = (namespace, endpoint_class.metadata.name)
        if endpoint_class.spec.limits == _NO_LIMITS:
            self._found.pop(place, None)
            return None
        before = self._found.get(place, {})
        candidates = self._candidates(subject, namespace, reconciliation.account.inventory, before)
        found = self._found[place] = waits(candidates, endpoint_class.spec.limits)
        for uid, each in found.items():
            if uid != reconciliation.uid and uid in before and before[uid] != each:
                self._wake(uid)
        mine = found[reconciliation.uid]
        return cause(mine, namespace, endpoint_class.metadata.name) if mine else None

    def leave(self, key: ObjectKey, uid: str) -> None:
        """The object has nothing in AWS and asks for nothing: wake the first one that waits, which wakes the others."""
        for (namespace, _), found in self._found.items():
            if namespace == key.namespace and uid in found:
                del found[uid]
                if first := next((each for each, wait in found.items() if wait), None):
                    self._wake(first)

    def _candidates(
        self, subject: Subject, namespace: str, inventory: Inventory, before: dict[str, Wait | None]
    ) -> Iterator[Candidate]:
        """The objects of the class in the namespace that count, or want to."""
        for other in self._others(subject.cluster_id, subject.endpoint_class, namespace):
            metadata, spec = other.endpoint.metadata, other.endpoint.spec
            # One that has its place keeps it until it leaves: something may be about to be created for it.
            has_place = bool(inventory.of(other.names.owner)) or before.get(metadata.uid, _NONE) is None
            if has_place or not (spec.suspend or other.is_terminating(self._now())):
                repository = spec.source.repository.lower()
                yield Candidate(other.created_at, metadata.uid, metadata.name, repository, has_place)

    def _others(self, cluster_id: str, endpoint_class: EphemeralEndpointClass, namespace: str) -> Iterator[Subject]:
        for endpoint in self._store.in_namespace(namespace):
            if self._store.class_name_of(endpoint) == endpoint_class.metadata.name:
                yield Subject(cluster_id, endpoint, endpoint_class)

    def _wake(self, uid: str) -> None:
        if key := self._store.by_owner(owner_hash(uid)):
            self._enqueue(key)


_NONE: Final = Wait(0)
"""Of an object that was not looked at."""
