"""What every part of an operator is built on."""

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from functools import partial

import aiohttp

from ephemeral_endpoints.engine.clocks import Clocks
from ephemeral_endpoints.features.reviews.reviews import Enqueue
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.triggers import Trigger
from ephemeral_endpoints.settings import Settings
from ephemeral_endpoints.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Base:
    """The edges, the clocks, the cache, and how objects are enqueued.

    ``clock`` is monotonic seconds, ``clocks`` knows the times of the API server and AWS.
    """

    settings: Settings
    cluster_id: str
    _: KW_ONLY
    kube: KubeClient
    session: aiohttp.ClientSession
    metrics: Metrics
    clock: Callable[[], float]
    clocks: Clocks
    enqueue: Enqueue
    trigger: Callable[[Trigger], None]
    """Enqueues what an event concerns."""

    store: Store = field(default_factory=Store)

    def now(self) -> datetime:
        """The time of day in UTC."""
        return self.clocks.now()

    def enqueue_by(self, trigger: str) -> Callable[[ObjectKey], None]:
        """Enqueues objects for one and the same reason."""
        return partial(self.enqueue, trigger=trigger)

    def subjects(self) -> Iterator[tuple[ObjectKey, Subject]]:
        """This shard's objects, as far as they have a class."""
        for key, endpoint in self.store.endpoints():
            endpoint_class = self.store.named_class(self.store.class_name_of(endpoint) or "")
            if endpoint_class and self.settings.shard.takes(key.namespace):
                yield key, Subject(self.cluster_id, endpoint, endpoint_class)
