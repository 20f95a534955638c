"""What the operator tells about itself: Prometheus metrics, health, and structured logs."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from ephemeral_endpoints.core.census import Census
from ephemeral_endpoints.core.resources import Kind
from ephemeral_endpoints.core.sharding import WHOLE, Shard

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_PLAIN: Final = (str, int, float, bool)
_BUILD_SECONDS: Final = (5, 15, 30, 60, 120, 300, 600, 1200, 3600)
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of an operator that takes a shard of the objects, in a registry of their own."""

    def __init__(self, shard: Shard = WHOLE) -> None:
        self.registry = CollectorRegistry()
        self._aws_calls = Counter(
            "eep_aws_calls", "AWS calls made", ("service", "operation", "outcome"), registry=self.registry
        )
        self._aws_seconds = Histogram(
            "eep_aws_call_seconds", "Time until AWS answered", ("service",), buckets=_SECONDS, registry=self.registry
        )
        self._reconciles = Counter(
            "eep_reconciliations", "Reconciliations", ("kind", "outcome"), registry=self.registry
        )
        self._objects = Gauge("eep_objects", "Objects that are known", ("kind",), registry=self.registry)
        self._ready = Gauge("eep_objects_ready", "EphemeralEndpoints that are ready", registry=self.registry)
        leader = Gauge("eep_leader", "Whether this replica is the one that acts", ("shard",), registry=self.registry)
        self._leader = leader.labels(str(shard.index))
        self._leader.set(1)
        shards = Gauge("eep_shards", "Between how many shards the objects are divided", registry=self.registry)
        shards.set(shard.count)
        self._orphans = Gauge(
            "eep_orphans",
            "What the last sweep found in AWS without an object; counting ends when there is too much",
            ("kind",),
            registry=self.registry,
        )
        self._held = Gauge(
            "eep_sweep_held", "1 if the last sweep found too much to delete anything", registry=self.registry
        )
        self._swept = Counter("eep_swept", "Deletions of orphans", ("kind", "outcome"), registry=self.registry)
        self._builds = Counter("eep_builds", "Builds that ended", ("class", "result"), registry=self.registry)
        self._build_seconds = Histogram(
            "eep_build_seconds", "How long builds took", ("class",), buckets=_BUILD_SECONDS, registry=self.registry
        )
        self._build_cost = Counter("eep_build_cost_usd", "What builds cost", ("class",), registry=self.registry)
        self.orphans({}, too_many=False)

    def leads(self, is_leading: Callable[[], bool]) -> None:
        """Have it asked when metrics are scraped whether this replica leads; without that, it does."""
        self._leader.set_function(is_leading)

    def aws_call(self, service: str, operation: str, outcome: str, seconds: float) -> None:
        """Count a call to AWS."""
        self._aws_calls.labels(service, operation, outcome).inc()
        self._aws_seconds.labels(service).observe(seconds)

    def reconciled(self, kind: str, outcome: str) -> None:
        """Count a reconciliation."""
        self._reconciles.labels(kind, outcome).inc()

    def orphans(self, by_kind: Mapping[str, int], *, too_many: bool) -> None:
        """Set what the last sweep found, and whether it was too much to be deleted."""
        for kind in Kind:
            self._orphans.labels(kind).set(by_kind.get(kind, 0))
        self._held.set(too_many)

    def swept(self, kind: str, outcome: str) -> None:
        """Count a deletion of an orphan."""
        self._swept.labels(kind, outcome).inc()

    def build_ended(self, class_name: str, result: str, seconds: float, usd: float) -> None:
        """Count a build that ended, the time it took, and what it cost in USD."""
        self._builds.labels(class_name, result).inc()
        self._build_seconds.labels(class_name).observe(seconds)
        self._build_cost.labels(class_name).inc(usd)

    def watch_ages(self, ages: Callable[[], Mapping[tuple[str, str, str], float]]) -> None:
        """Have read when metrics are scraped how old what is known of AWS is.

        ``ages`` gives seconds by account, region and the assumed role.
        """
        self.registry.register(_Ages(ages))

    def take_census(self, census: Callable[[], Census]) -> None:
        """Have read when metrics are scraped what the objects' statuses tell."""
        self.registry.register(_Statuses(census))

    def count_objects(self, endpoints: Callable[[], int], classes: Callable[[], int], ready: Callable[[], int]) -> None:
        """Have the numbers of objects read when metrics are scraped."""
        self._objects.labels("EphemeralEndpoint").set_function(endpoints)
        self._objects.labels("EphemeralEndpointClass").set_function(classes)
        self._ready.set_function(ready)


class _Ages(Collector):
    """An operator that may not list what it keeps up sees nothing and says nothing: this grows then."""

    def __init__(self, ages: Callable[[], Mapping[tuple[str, str, str], float]]) -> None:
        self._ages = ages

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See ``Collector``."""
        family = GaugeMetricFamily(
            "eep_inventory_age_seconds",
            "Time since the oldest list of what there is in AWS began; without any, since the first failure",
            labels=("account", "region", "role"),
        )
        for labels, age in self._ages().items():
            family.add_metric(labels, age)
        yield family


class _Statuses(Collector):
    """What the statuses of all objects tell in sum."""

    def __init__(self, census: Callable[[], Census]) -> None:
        self._census = census

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See ``Collector``."""
        census = self._census()
        yield _family(
            "eep_objects_not_ready", "EphemeralEndpoints that are not ready, by why", "reason", census.not_ready
        )
        yield _family(
            "eep_cost_usd_per_hour", "What instances cost an hour, by known prices", "class", census.usd_per_hour
        )
        yield _family("eep_class_ready", "Whether a class can be used", "class", census.classes)
        yield GaugeMetricFamily(
            "eep_leaving_seconds",
            "For how long the EphemeralEndpoint that should have gone first has been deleted or expired; 0 if none is",
            value=census.leaving_seconds,
        )


def _family(name: str, help_: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def http_app(metrics: Metrics, is_ready: Callable[[], bool]) -> web.Application:
    """The operator's HTTP endpoints: /healthz while the event loop turns, /readyz once the watch is up, /metrics."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok") if is_ready() else web.Response(status=503, text="the watch is not up yet")

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", scrape)
    return app


class JsonFormatter(logging.Formatter):
    """One JSON object a line; what is passed as ``extra`` becomes members of it, if it is plain."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
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
    """Write the logs of this process as JSON lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("aiohttp.access", "kopf", "botocore", "kubernetes", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
