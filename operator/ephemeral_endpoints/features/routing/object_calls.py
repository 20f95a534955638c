"""When objects were called, as forwarders tell through the queue of their class: who is used, and who is to wake."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.features.expiry.observe import Activities
from ephemeral_endpoints.features.routing.forwarder.notices import USED, WAKE
from ephemeral_endpoints.features.serving.notices import Notice
from ephemeral_endpoints.features.sleep.policy import Calls, answers_asleep, is_asleep
from ephemeral_endpoints.kube.cache import ObjectKey, Store

_KINDS: Final = frozenset({USED, WAKE})


class ObjectCalls:
    """The calls of objects. ``enqueue`` has one reconciled, for the reason given.

    ``now`` is the time by which use is counted: none is later. ``is_certain`` says whether the clocks agree, by which
    it is told how long ago that was.
    """

    def __init__(
        self,
        activities: Activities,
        store: Store,
        enqueue: Callable[[ObjectKey, str], None],
        now: Callable[[], datetime],
        *,
        is_certain: Callable[[], bool],
    ) -> None:
        self._activities = activities
        self._store = store
        self._enqueue = enqueue
        self._now = now
        self._is_certain = is_certain
        self._started_at = now()

    def noticed(self, class_name: str, notice: Notice) -> None:
        """Take over what a forwarder of the class tells of one of its objects; a later version may tell more."""
        key = self._store.by_owner(owner_hash(notice.uid)) if notice.kind in _KINDS else None
        endpoint = self._store.endpoint(key) if key else None
        if key is None or endpoint is None or self._store.class_name_of(endpoint) != class_name:
            return
        at = min(notice.at, self._now())
        # A call that finds the endpoint asleep is use as well, and use of one that answers asleep is all it is told of.
        if self._activities.note_use(endpoint, at):
            self._enqueue(key, "Used")
        if is_asleep(endpoint) and (notice.kind == WAKE or answers_asleep(endpoint.spec.serving)):
            self._activities.note_wake(endpoint, at)
            self._enqueue(key, "Woken")

    def of(self, endpoint: EphemeralEndpoint) -> Calls:
        """When the object was called, as far as this process knows, or its status tells."""
        last_use = self._activities.last_use(endpoint, started_at=self._started_at)
        return Calls(
            last_use and min(last_use, self._now()), self._activities.woken_at(endpoint), is_certain=self._is_certain()
        )
