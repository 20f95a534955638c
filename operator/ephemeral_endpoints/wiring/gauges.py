"""What the metrics read of an operator whenever they are asked."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.features.capacity.budgets import furthest
from ephemeral_endpoints.kube.cache import ObjectKey
from ephemeral_endpoints.kube.workqueue import Queue
from ephemeral_endpoints.telemetry.summary import Summary, summary
from ephemeral_endpoints.wiring.base import Base
from ephemeral_endpoints.wiring.services import Services


def watch(base: Base, services: Services, accounts: Accounts, queue: Queue[ObjectKey]) -> None:
    """Have the metrics read the operator's state."""
    metrics, store, takes = base.metrics, base.store, base.settings.shard.takes
    metrics.watch_ages(partial(_ages, accounts))
    metrics.count_objects(lambda kind: store.count(kind, takes), lambda: store.count_ready(takes))
    metrics.watch_summary(partial(_summary, base))
    metrics.watch_clocks(base.clocks.skews, services.brake.held)
    reviews = services.reviews
    metrics.watch_pull_requests(reviews.pull_requests.held, reviews.connections.remaining)
    metrics.watch_queue(lambda: queue.depth, lambda: len(queue), lambda: queue.longest_running)
    if base.settings.metrics_per_object:
        metrics.watch_objects(partial(store.readiness, takes), partial(store.votes, takes))


def _ages(accounts: Accounts) -> dict[tuple[str, str, str], float]:
    return {
        (access.account, access.region, access.role.arn if access.role else ""): age
        for access, age in accounts.ages().items()
    }


def _summary(base: Base) -> Summary:
    """The sums over this shard's objects, and over the classes if they are its work."""
    store, shard = base.store, base.settings.shard
    own = (endpoint for key, endpoint in store.endpoints() if shard.takes(key.namespace))
    classes, now = store.classes() if shard.is_first else [], base.now()
    found = summary(((store.class_name_of(each), each) for each in own), classes, now)
    return replace(found, budgets=dict(_budgets(base, classes, now)))


def _budgets(
    base: Base, classes: Iterable[EphemeralEndpointClass], now: datetime
) -> Iterator[tuple[tuple[str, str], tuple[float, float]]]:
    """How far the budgets of classes are spent, by the objects of all shards."""
    for each in classes:
        name = each.metadata.name
        of_class = [endpoint for _, endpoint in base.store.of_class(name)]
        for scope, (usd, limit) in furthest(each, of_class, now).items():
            yield (name, scope.value), (float(usd), float(limit))
