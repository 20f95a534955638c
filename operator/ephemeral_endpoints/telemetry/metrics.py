"""Prometheus metrics of the operator."""

import platform
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from ephemeral_endpoints import __version__
from ephemeral_endpoints.api.kinds import KINDS as OBJECT_KINDS
from ephemeral_endpoints.api.kinds import ObjectKind
from ephemeral_endpoints.api.v1alpha1.feedback import VariantVotes
from ephemeral_endpoints.engine.clocks import Source
from ephemeral_endpoints.engine.sharding import WHOLE, Shard
from ephemeral_endpoints.features.registry import KINDS
from ephemeral_endpoints.telemetry.collectors import Ages, Expiry, PullRequests, ReadyObjects, Statuses, Votes
from ephemeral_endpoints.telemetry.summary import Summary

# When a series began is known from its first sample; without this each counter and histogram has a second series.
disable_created_metrics()  # type: ignore[no-untyped-call]  # shipped without annotations

_BUILD_SECONDS: Final = (5, 15, 30, 60, 120, 300, 600, 1200, 3600)
_RECONCILE_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one operator process, which handles one shard, in a registry of their own."""

    def __init__(self, shard: Shard = WHOLE) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = Gauge(
            "eep_build_info",
            "1, with the versions of the operator and of Python, and the processor's architecture",
            ("version", "python", "architecture"),
            registry=self.registry,
        )
        build.labels(__version__, platform.python_version(), platform.machine()).set(1)
        leader = Gauge(
            "eep_leader",
            "1 if this replica is the leader of its shard, otherwise 0",
            ("shard",),
            registry=self.registry,
        )
        self._leader = leader.labels(str(shard.index))
        self._leader.set(1)
        shards = Gauge("eep_shards", "Configured number of shards", registry=self.registry)
        shards.set(shard.count)
        self._add_calls()
        self._add_queue()
        self._add_sweep()
        self._add_builds()
        self._add_outside()
        self.orphans({}, held=0)

    def leads(self, is_leading: Callable[[], bool]) -> None:
        """Export ``is_leading`` at every scrape; until this is called, the replica counts as the leader."""
        self._leader.set_function(is_leading)

    def aws_call(self, service: str, operation: str, outcome: str, seconds: float) -> None:
        """Count a call to AWS."""
        self._aws_calls.labels(service, operation, outcome).inc()
        self._aws_seconds.labels(service).observe(seconds)

    def reconciled(self, kind: str, outcome: str, seconds: float) -> None:
        """Count a reconciliation."""
        self._reconciles.labels(kind, outcome).inc()
        self._reconcile_seconds.labels(kind).observe(seconds)

    def waited(self, kind: str, seconds: float) -> None:
        """Count how long an object waited for its reconciliation."""
        self._queue_seconds.labels(kind).observe(seconds)

    def watch_queue(self, depth: Callable[[], int], running: Callable[[], int], longest: Callable[[], float]) -> None:
        """Export the state of the work queue at every scrape."""
        self._queue_depth.set_function(depth)
        self._queue_running.set_function(running)
        self._queue_longest.set_function(longest)

    def orphans(self, by_kind: Mapping[str, int], *, held: int) -> None:
        """Set how many orphans the last sweep found, and in how many namespaces it held them."""
        for kind in KINDS:
            self._orphans.labels(kind.name).set(by_kind.get(kind.name, 0))
        self._held.set(held)

    def swept(self, kind: str, outcome: str) -> None:
        """Count an attempt to delete an orphan."""
        self._swept.labels(kind, outcome).inc()

    def build_ended(self, class_name: str, result: str, seconds: float, usd: float) -> None:
        """Count a finished build, its duration and its cost in USD."""
        self._builds.labels(class_name, result).inc()
        self._build_seconds.labels(class_name).observe(seconds)
        self._build_cost.labels(class_name).inc(usd)

    def notified(self, class_name: str, target: str, outcome: str) -> None:
        """Count what became of a notification."""
        self._notifications.labels(class_name, target, outcome).inc()

    def webhook(self, answer: str) -> None:
        """Count a request to the port for webhooks."""
        self._webhooks.labels(answer).inc()

    def forge_request(self, url: str, secret: str, kind: str, outcome: str) -> None:
        """Count a request to a forge."""
        self._forge_requests.labels(url, secret, kind, outcome).inc()

    def watch_ages(self, ages: Callable[[], Mapping[tuple[str, str, str], float]]) -> None:
        """Export the ages of the snapshots of AWS at every scrape.

        ``ages`` returns seconds by account, region and assumed role.
        """
        self.registry.register(Ages(ages))

    def watch_summary(self, summary: Callable[[], Summary]) -> None:
        """Export the summary of all statuses at every scrape."""
        self.registry.register(Statuses(summary))

    def watch_objects(
        self,
        ready: Callable[[], Iterable[tuple[str, str, bool]]],
        votes: Callable[[], Iterable[tuple[str, str, VariantVotes]]],
    ) -> None:
        """Export for each object, by namespace and name, whether it is ready, and its votes: a few series each."""
        self.registry.register(ReadyObjects(ready))
        self.registry.register(Votes(votes))

    def watch_clocks(
        self, skews: Callable[[], Mapping[Source, timedelta]], held: Callable[[], Mapping[str, int]]
    ) -> None:
        """Export by how much clocks differ, and how many expired objects are held by reason, at every scrape."""
        self.registry.register(Expiry(skews, held))

    def watch_pull_requests(
        self, held: Callable[[], Mapping[str, int]], remaining: Callable[[], Mapping[tuple[str, str, str, str], int]]
    ) -> None:
        """Export at every scrape how many closed pull requests end no object by class, and what forges still take.

        ``remaining`` returns requests by URL, Secret, account and resource.
        """
        self.registry.register(PullRequests(held, remaining))

    def count_objects(self, objects: Callable[[ObjectKind], int], ready: Callable[[], int]) -> None:
        """Export the numbers of objects of each kind at every scrape."""
        for kind in OBJECT_KINDS:
            self._objects.labels(kind.name).set_function(partial(objects, kind))
        self._ready.set_function(ready)

    def _add_calls(self) -> None:
        """Calls to AWS, and reconciliations."""
        self._aws_calls = Counter(
            "eep_aws_calls",
            "AWS API calls, by service, operation and outcome",
            ("service", "operation", "outcome"),
            registry=self.registry,
        )
        self._aws_seconds = Histogram(
            "eep_aws_call_duration_seconds",
            "Duration of AWS API calls, by service",
            ("service",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._reconciles = Counter(
            "eep_reconciliations",
            "Reconciliations, by kind of object and outcome",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self._reconcile_seconds = Histogram(
            "eep_reconciliation_duration_seconds",
            "Duration of reconciliations, by kind of object; most of it is spent waiting for AWS and its rate limits",
            ("kind",),
            buckets=_RECONCILE_SECONDS,
            registry=self.registry,
        )
        self._queue_seconds = Histogram(
            "eep_queue_wait_seconds",
            "Time from a trigger to the reconciliation that it causes, by kind of object",
            ("kind",),
            buckets=_SECONDS,
            registry=self.registry,
        )

    def _add_queue(self) -> None:
        """The work queue, and the objects in the cache."""
        self._queue_depth = Gauge(
            "eep_queue_depth",
            "Objects that wait for a reconciliation, in most cases until their present one ends",
            registry=self.registry,
        )
        self._queue_running = Gauge("eep_queue_running", "Objects that are being reconciled", registry=self.registry)
        self._queue_longest = Gauge(
            "eep_queue_longest_running_seconds",
            "How long the longest present reconciliation has been running; 0 without any",
            registry=self.registry,
        )
        self._objects = Gauge(
            "eep_objects", "Objects in the operator's cache, by kind", ("kind",), registry=self.registry
        )
        self._ready = Gauge(
            "eep_endpoints_ready", "EphemeralEndpoints whose condition Ready is True", registry=self.registry
        )

    def _add_sweep(self) -> None:
        """Sweeps."""
        self._orphans = Gauge(
            "eep_orphans",
            "AWS resources without an object found by the last sweep, by kind; a lower bound if the sweep is blocked",
            ("kind",),
            registry=self.registry,
        )
        self._held = Gauge(
            "eep_orphan_sweep_blocked",
            "Namespaces whose orphans the last sweep held because too many objects were gone; classes count as one",
            registry=self.registry,
        )
        self._swept = Counter(
            "eep_orphan_deletions",
            "Attempts to delete an orphan, by kind and outcome",
            ("kind", "outcome"),
            registry=self.registry,
        )

    def _add_builds(self) -> None:
        """Builds of images."""
        self._builds = Counter(
            "eep_builds", "Finished image builds, by class and outcome", ("class", "outcome"), registry=self.registry
        )
        self._build_seconds = Histogram(
            "eep_build_duration_seconds",
            "Duration of finished image builds, by class",
            ("class",),
            buckets=_BUILD_SECONDS,
            registry=self.registry,
        )
        self._build_cost = Counter(
            "eep_build_cost_usd",
            "Estimated cost of finished image builds in USD, by class",
            ("class",),
            registry=self.registry,
        )

    def _add_outside(self) -> None:
        """Whoever is told, and who asks: targets of notifications, webhooks, forges."""
        self._notifications = Counter(
            "eep_notifications",
            "Notifications, by class, target and outcome; dropped are those of which there were too many at once",
            ("class", "target", "outcome"),
            registry=self.registry,
        )
        self._webhooks = Counter(
            "eep_webhook_requests",
            "Requests to the port for webhooks, by the answer; those with a wrong signature are Forbidden",
            ("answer",),
            registry=self.registry,
        )
        self._forge_requests = Counter(
            "eep_forge_requests",
            "Requests to forges, by the URL and the Secret that classes name, by kind (read or write) and outcome",
            ("url", "secret", "kind", "outcome"),
            registry=self.registry,
        )
