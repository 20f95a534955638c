"""Prometheus metrics, health endpoints and structured logs of the operator."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from typing_extensions import override

from ephemeral_endpoints.api.kinds import KINDS as OBJECT_KINDS
from ephemeral_endpoints.api.kinds import ObjectKind
from ephemeral_endpoints.engine.clocks import Source
from ephemeral_endpoints.engine.sharding import WHOLE, Shard
from ephemeral_endpoints.features.registry import KINDS
from ephemeral_endpoints.telemetry.summary import Summary

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_PLAIN: Final = (str, int, float, bool)
_BUILD_SECONDS: Final = (5, 15, 30, 60, 120, 300, 600, 1200, 3600)
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one operator process, which handles one shard, in a registry of their own."""

    def __init__(self, shard: Shard = WHOLE) -> None:
        self.registry = CollectorRegistry()
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
        self._objects = Gauge(
            "eep_objects", "Objects in the operator's cache, by kind", ("kind",), registry=self.registry
        )
        self._ready = Gauge(
            "eep_endpoints_ready", "EphemeralEndpoints whose condition Ready is True", registry=self.registry
        )
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
        self.orphans({}, held=0)

    def leads(self, is_leading: Callable[[], bool]) -> None:
        """Export ``is_leading`` at every scrape; until this is called, the replica counts as the leader."""
        self._leader.set_function(is_leading)

    def aws_call(self, service: str, operation: str, outcome: str, seconds: float) -> None:
        """Count a call to AWS."""
        self._aws_calls.labels(service, operation, outcome).inc()
        self._aws_seconds.labels(service).observe(seconds)

    def reconciled(self, kind: str, outcome: str) -> None:
        """Count a reconciliation."""
        self._reconciles.labels(kind, outcome).inc()

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

    def watch_ages(self, ages: Callable[[], Mapping[tuple[str, str, str], float]]) -> None:
        """Export the ages of the snapshots of AWS at every scrape.

        ``ages`` returns seconds by account, region and assumed role.
        """
        self.registry.register(_Ages(ages))

    def watch_summary(self, summary: Callable[[], Summary]) -> None:
        """Export the summary of all statuses at every scrape."""
        self.registry.register(_Statuses(summary))

    def watch_clocks(
        self, skews: Callable[[], Mapping[Source, timedelta]], held: Callable[[], Mapping[str, int]]
    ) -> None:
        """Export by how much clocks differ, and how many expired objects are held by reason, at every scrape."""
        self.registry.register(_Expiry(skews, held))

    def count_objects(self, objects: Callable[[ObjectKind], int], ready: Callable[[], int]) -> None:
        """Export the numbers of objects of each kind at every scrape."""
        for kind in OBJECT_KINDS:
            self._objects.labels(kind.name).set_function(partial(objects, kind))
        self._ready.set_function(ready)


class _Ages(Collector):
    """The ages of snapshots: they grow while an operator cannot list AWS, which no other metric shows."""

    def __init__(self, ages: Callable[[], Mapping[tuple[str, str, str], float]]) -> None:
        self._ages = ages

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "eep_inventory_age_seconds",
            "Age of the operator's oldest list of AWS resources; without any list, time since the first failed attempt",
            labels=("account", "region", "role"),
        )
        for labels, age in self._ages().items():
            family.add_metric(labels, age)
        yield family


class _Expiry(Collector):
    """What expiry depends on, and what it keeps waiting."""

    def __init__(self, skews: Callable[[], Mapping[Source, timedelta]], held: Callable[[], Mapping[str, int]]) -> None:
        self._skews = skews
        self._held = held

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _family(
            "eep_clock_skew_seconds",
            "Seconds by which the operator's clock is ahead of another, by whose it is; more than 60 holds expiry",
            "source",
            {str(source): skew.total_seconds() for source, skew in self._skews().items()},
        )
        yield _family(
            "eep_expiry_held",
            "EphemeralEndpoints that have expired and are held, by reason: clock (clocks differ) or share (too many)",
            "reason",
            self._held(),
        )


class _Statuses(Collector):
    """The summary of the statuses of all objects."""

    def __init__(self, summary: Callable[[], Summary]) -> None:
        self._summary = summary

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        summary = self._summary()
        yield _family(
            "eep_endpoints_not_ready",
            "EphemeralEndpoints whose condition Ready is not True, by its reason",
            "reason",
            summary.not_ready,
        )
        yield _family(
            "eep_hourly_cost_usd", "Estimated hourly cost of instances in USD, by class", "class", summary.usd_per_hour
        )
        yield _family(
            "eep_class_ready",
            "0 if the condition Ready of the EphemeralEndpointClass is not True, otherwise 1",
            "class",
            summary.classes,
        )
        yield GaugeMetricFamily(
            "eep_terminating_seconds",
            "Longest time since the deletion or expiry of an EphemeralEndpoint that still exists; 0 without any",
            value=summary.terminating_seconds,
        )


def _family(name: str, help_: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


Inspect = Callable[[str, str], Mapping[str, object] | None]
"""Returns the inspection of the object with that namespace and name; None if it is not known."""


def http_app(metrics: Metrics, is_ready: Callable[[], bool], inspect: Inspect = lambda *_: None) -> web.Application:
    """The operator's HTTP endpoints.

    /healthz answers while the event loop responds, /readyz once the watch is established, and /metrics always.
    /inspect/NAMESPACE/NAME shows the retries and holds of an object, with reasons but without messages, because the
    port does not authenticate callers.
    """

    async def inspection(request: web.Request) -> web.Response:
        found = inspect(request.match_info["namespace"], request.match_info["name"])
        if found is None:
            return web.json_response({"unknown": "the operator has not reconciled this object"})
        return web.json_response(found)

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        return (
            web.Response(text="ok") if is_ready() else web.Response(status=503, text="the watch is not established yet")
        )

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", scrape)
    app.router.add_get("/inspect/{namespace}/{name}", inspection)
    return app


class JsonFormatter(logging.Formatter):
    """Writes one JSON object per line; plain values passed as ``extra`` become its members."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {
            key: value for key, value in record.__dict__.items() if key not in _STANDARD and isinstance(value, _PLAIN)
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(level: str) -> None:
    """Write the process's logs to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("aiohttp.access", "kopf", "botocore", "kubernetes", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
