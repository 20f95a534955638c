"""The phases of the benchmark with one number of objects, and their measurements."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import requests
from prometheus_client.parser import text_string_to_metric_families

from eep_platform import operator
from eep_platform.bench.counting import CallTimes, Cost, cost, cpu_seconds, process
from eep_platform.bench.figures import CREATION, DELETION, Bound, Spread, bound
from eep_platform.bench.results import Burst, Rest, Restart, Trickle
from eep_platform.bench.watching import EndpointWatch
from eep_platform.errors import PlatformError
from eep_platform.workbench import Object, Workbench, is_ready, manifest
from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.engine.names import owner_hash, owner_of

CLUSTER_ID: Final = "bench"
TRICKLE_SECONDS: Final = 1.13
"""The time between two objects: not a multiple of the operator's intervals, so that no phase is favoured."""

_SETTLED_SECONDS: Final = 1.0
_SCRAPE_SECONDS: Final = 0.25
"""The interval between scrapes of the operator's metrics, each of which costs milliseconds."""

_TIMEOUT_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Windows:
    """The lengths of the two windows at rest, and the interval of snapshots in the second one, in seconds."""

    idle: float = 15.0
    rest: float = 30.0
    snapshot: float = 5.0


@dataclass
class Scenario:
    """One number of objects on a platform with a running operator. All methods block and may raise PlatformError."""

    bench: Workbench
    watch: EndpointWatch
    times: CallTimes
    create_seconds: float
    delete_seconds: float
    say: Callable[[str], None]
    settings: Mapping[str, str] = field(default_factory=dict)
    _changed_at: dict[str, float] = field(default_factory=dict)
    """When each spec was changed, in Unix seconds."""

    def create(self, names: Sequence[str]) -> Burst:
        """Create all objects at once and wait until all are Ready."""
        least = self._bound(CREATION, len(names), self.create_seconds)
        timeout = 3 * least.seconds + _TIMEOUT_SECONDS

        def work() -> dict[str, float]:
            for name in names:
                self._create(name)
            return self.watch.wait_ready(list(names), 1, seconds=timeout)

        before, began = cost(self.bench), time.time()
        ready = self._followed(work)
        in_service = self._in_service()
        beyond = [at - self._aws_ready(name, in_service) for name, at in ready.items()]
        return _burst(max(ready.values()) - began, least, beyond, cost(self.bench).since(before))

    def delete(self, names: Sequence[str]) -> Burst:
        """Delete all objects at once and wait until all are gone."""
        least = self._bound(DELETION, len(names), self.delete_seconds)
        timeout = 20 * least.seconds + _TIMEOUT_SECONDS

        def work() -> dict[str, float]:
            for name in names:
                self.bench.delete(name)
            return self.watch.wait_gone(list(names), seconds=timeout)

        before, began = cost(self.bench), time.time()
        gone = self._followed(work)
        beyond = [at - self._aws_empty(name) for name, at in gone.items()]
        return _burst(max(gone.values()) - began, least, beyond, cost(self.bench).since(before))

    def trickle(self, names: Sequence[str]) -> Trickle:
        """Create objects one by one, then update them one by one, then delete them one by one."""
        start = cost(self.bench)
        ready = self._followed(lambda: self._one_by_one(names, self._create, 1))
        in_service = self._in_service()
        created = [at - self._aws_ready(name, in_service) for name, at in ready.items()]
        after_creation = cost(self.bench)
        ready = self._followed(lambda: self._one_by_one(names, self._update, 2))
        in_service = self._in_service()
        updated = [at - in_service[owner_hash(self.watch.uids[name])] for name, at in ready.items()]
        acted = [self._acted(name) - at for name, at in self._changed_at.items()]
        after_update = cost(self.bench)
        gone = self._followed(lambda: self._delete_one_by_one(names))
        deleted = [at - self._aws_empty(name) for name, at in gone.items()]
        return Trickle(
            objects=len(names),
            created=Spread.of(created),
            acted=Spread.of(acted),
            updated=Spread.of(updated),
            deleted=Spread.of(deleted),
            writes_created=dict(after_creation.since(start).writes),
            writes_updated=dict(after_update.since(after_creation).writes),
            writes_deleted=dict(cost(self.bench).since(after_update).writes),
        )

    def idle(self, seconds: float) -> tuple[float, float]:
        """AWS calls and processor seconds of a window without changes."""
        calls, used = cost(self.bench).aws.total(), cpu_seconds(self.bench)
        time.sleep(seconds)
        used = cpu_seconds(self.bench) - used
        return cost(self.bench).aws.total() - calls, used

    def restart(self, names: Sequence[str], settings: Mapping[str, str]) -> Restart:
        """Restart the operator with other settings; wait until it has reconciled all objects."""
        operator.end(self.bench.platform)
        versions, before = self._versions(), cost(self.bench)
        began = time.monotonic()
        url = operator.start(self.bench.platform, {**self.settings, **settings})
        seconds = _settled(url, len(names)) - began
        after = self._objects()
        found = cost(self.bench).since(before)
        return Restart(
            seconds=seconds,
            mutating=found.mutating,
            reading=found.reading,
            writes=dict(found.writes),
            changed=sum(versions.get(name) != each["metadata"]["resourceVersion"] for name, each in after.items()),
            ready=sum(is_ready(each) for each in after.values()),
        )

    def rest(self, windows: Windows, idle: tuple[float, float]) -> Rest:
        """Measure the costs of snapshots, which the running operator takes every ``windows.snapshot`` seconds."""
        before, used = cost(self.bench), cpu_seconds(self.bench)
        time.sleep(windows.rest)
        used = cpu_seconds(self.bench) - used
        found = cost(self.bench).since(before)
        return Rest(
            idle_seconds=windows.idle,
            idle_calls=idle[0],
            idle_cpu_seconds=idle[1],
            seconds=windows.rest,
            snapshots=found.aws["apigatewayv2", "GetApis"],
            calls=found.mutating | found.reading,
            writes=dict(found.writes),
            cpu_seconds=used,
        )

    def resident(self) -> int:
        """The operator's resident memory in bytes."""
        return int(process(self.bench).memory_info().rss)

    def _bound(self, calls: Mapping[tuple[str, str], float], objects: int, aws_seconds: float) -> Bound:
        least = bound(calls, objects, self.bench.control.limits())
        return max(least, Bound(aws_seconds, "SageMaker's own time"), key=lambda each: each.seconds)

    def _followed(self, work: Callable[[], dict[str, float]]) -> dict[str, float]:
        with self.times.followed():
            done = work()
        self.times.read()
        return done

    def _one_by_one(self, names: Sequence[str], act: Callable[[str], None], generation: int) -> dict[str, float]:
        _paced(names, act)
        return self.watch.wait_ready(list(names), generation, seconds=_TIMEOUT_SECONDS)

    def _delete_one_by_one(self, names: Sequence[str]) -> dict[str, float]:
        _paced(names, self.bench.delete)
        return self.watch.wait_gone(list(names), seconds=_TIMEOUT_SECONDS)

    def _create(self, name: str) -> None:
        body = manifest(name, spec(self.bench, name), namespace=self.bench.namespace)
        self.bench.objects.create_namespaced_custom_object(GROUP, VERSION, self.bench.namespace, ENDPOINT.plural, body)

    def _update(self, name: str) -> None:
        found = self.bench.get(name)
        if found is None:
            raise PlatformError(f"{name} is gone")
        found["spec"]["model"]["environment"] = {"CHANGED": "true"}
        objects, namespace = self.bench.objects, self.bench.namespace
        self._changed_at[name] = time.time()
        objects.replace_namespaced_custom_object(GROUP, VERSION, namespace, ENDPOINT.plural, name, found)

    def _acted(self, name: str) -> float:
        return self.times.first_change(owner_hash(self.watch.uids[name]), since=self._changed_at[name])

    def _aws_ready(self, name: str, in_service: Mapping[str, float]) -> float:
        owner = owner_hash(self.watch.uids[name])
        return max(in_service[owner], self.times.last_change(owner))

    def _aws_empty(self, name: str) -> float:
        owner = owner_hash(self.watch.uids[name])
        return max(self.times.deleting_at[owner] + self.delete_seconds, self.times.last_change(owner))

    def _in_service(self) -> dict[str, float]:
        """The time when each endpoint came into service, by owner."""
        described = [each["body"] for each in self.bench.control.sagemaker_state()["endpoints"]]
        return {
            owner_of(CLUSTER_ID, each["EndpointName"]) or "": _timestamp(each["LastModifiedTime"]) for each in described
        }

    def _objects(self) -> dict[str, Object]:
        listing: Any = self.bench.objects.list_namespaced_custom_object(
            GROUP, VERSION, self.bench.namespace, ENDPOINT.plural
        )
        return {each["metadata"]["name"]: each for each in listing["items"]}

    def _versions(self) -> dict[str, str]:
        return {name: each["metadata"]["resourceVersion"] for name, each in self._objects().items()}


def spec(bench: Workbench, name: str) -> dict[str, Any]:
    """The spec of an object with its own image."""
    return {
        "className": "default",
        "source": {"repository": "acme/bench", "pullRequest": 1, "revision": "0123abc"},
        "model": {"image": bench.image_uri(name)},
    }


def _burst(seconds: float, least: Bound, beyond: list[float], found: Cost) -> Burst:
    return Burst(
        seconds=seconds,
        bound=least,
        beyond_aws=Spread.of(beyond),
        mutating=found.mutating,
        reading=found.reading,
        throttled=found.throttled,
        writes=dict(found.writes),
    )


def _paced(names: Sequence[str], act: Callable[[str], None]) -> None:
    for name in names:
        began = time.monotonic()
        act(name)
        time.sleep(max(0.0, TRICKLE_SECONDS - (time.monotonic() - began)))


def _settled(url: str, objects: int) -> float:
    """The monotonic time of the last reconciliation, after at least so many and then none for a while."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    last, last_at = -1, time.monotonic()
    while True:
        count, now = _reconciliations(url), time.monotonic()
        if count != last:
            last, last_at = count, now
        elif count >= objects and now - last_at > _SETTLED_SECONDS:
            return last_at
        if now > deadline:
            raise PlatformError(f"only {count} reconciliations after {_TIMEOUT_SECONDS:g} s")
        time.sleep(_SCRAPE_SECONDS)


def wait_reconciled(url: str, objects: int, *, seconds: float) -> None:
    """Block until the operator has reconciled so many times. Raises PlatformError if the time runs out."""
    deadline = time.monotonic() + seconds
    while (count := _reconciliations(url)) < objects:
        if time.monotonic() > deadline:
            raise PlatformError(f"only {count} reconciliations after {seconds:g} s")
        time.sleep(_SCRAPE_SECONDS)


def _reconciliations(url: str) -> int:
    text = requests.get(f"{url}/metrics", timeout=30).text
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return int(
        sum(
            sample.value
            for sample in samples
            if sample.name == "eep_reconciliations_total" and sample.labels["kind"] == "EphemeralEndpoint"
        )
    )


def _timestamp(value: object) -> float:
    return datetime.fromisoformat(str(value)).timestamp()
