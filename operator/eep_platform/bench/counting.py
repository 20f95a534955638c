"""Counts the operator's costs: AWS calls, requests to the API server, processor time, memory."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

import psutil
from prometheus_client.parser import text_string_to_metric_families

from eep_platform import operator
from eep_platform.aws.ledger import Call, Outcome
from eep_platform.bench.figures import DATA_PLANE, Operation, is_reading
from eep_platform.errors import PlatformError
from eep_platform.processes import find
from eep_platform.workbench import Workbench
from ephemeral_endpoints.api.kinds import KINDS
from ephemeral_endpoints.engine.names import owner_of

_OURS: Final = frozenset(kind.plural for kind in KINDS)
_WRITES: Final = {
    "PATCH": _OURS | {"secrets", "events"},
    "PUT": frozenset({"secrets", "events"}),
    "POST": frozenset({"secrets", "events"}),
}
"""The operator's write requests: the benchmark creates, replaces and deletes objects, and never patches them."""

_LINE: Final = re.compile(rf'^apiserver_request_total{{.*resource="(?:{"|".join(_OURS)}|secrets|events)"')
_LOG_SECONDS: Final = 2.0
_LOG_ROWS: Final = 2000
_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class Cost:
    """Counts at a moment, or between two moments."""

    aws: Counter[Operation]
    throttled: int
    writes: Counter[str]

    def since(self, before: "Cost") -> "Cost":
        """The counts between two moments."""
        return Cost(self.aws - before.aws, self.throttled - before.throttled, self.writes - before.writes)

    @property
    def mutating(self) -> dict[str, float]:
        """Mutating calls by operation."""
        return self._named(is_read=False)

    @property
    def reading(self) -> dict[str, float]:
        """Reading calls by operation."""
        return self._named(is_read=True)

    def _named(self, *, is_read: bool) -> dict[str, float]:
        """Counts by operation; operations of the same name in several services, such as ListTags, are added up."""
        found: dict[str, float] = {}
        for operation, count in sorted(self.aws.items()):
            if operation[0] not in DATA_PLANE and is_reading(operation) is is_read:
                found[operation[1]] = found.get(operation[1], 0) + count
        return found


def cost(bench: Workbench) -> Cost:
    """The costs up to now."""
    throttled = bench.control.calls(Outcome.THROTTLED)
    return Cost(_flat(bench.control.calls()), _flat(throttled).total(), writes(api_server_metrics(bench)))


def _flat(counts: dict[str, dict[str, int]]) -> Counter[Operation]:
    return Counter({(service, name): count for service, each in counts.items() for name, count in each.items()})


def api_server_metrics(bench: Workbench) -> str:
    """The API server's metrics."""
    api: Any = bench.objects.api_client
    answer = api.call_api(*api.param_serialize("GET", "/metrics", auth_settings=["BearerToken"]))
    return str(answer.read().decode())


def writes(metrics: str) -> Counter[str]:
    """The operator's write requests in the API server's metrics, by verb and resource, successful or not."""
    lines = "\n".join(line for line in metrics.splitlines() if _LINE.match(line))
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(lines + "\n"):
        for sample in family.samples:
            labels = sample.labels
            verb = "PATCH" if labels["verb"] == "APPLY" else labels["verb"]
            if labels["resource"] in _WRITES.get(verb, ()):
                name = f"{labels['resource']}/{labels['subresource']}".rstrip("/")
                found[f"{verb} {name}"] += int(sample.value)
    return found


def process(bench: Workbench) -> psutil.Process:
    """The operator's process. Raises PlatformError if it does not run."""
    found = find(operator.NAME, bench.platform.state)
    if found is None:
        raise PlatformError(f"the operator ended: see {operator.log(bench.platform)}")
    return psutil.Process(found.pid)


def cpu_seconds(bench: Workbench) -> float:
    """Processor time that the operator has used."""
    times = process(bench).cpu_times()
    return times.user + times.system


@dataclass
class CallTimes:
    """The times of the mutating AWS calls of each owner, read from the meter's log while it keeps them."""

    bench: Workbench
    cluster_id: str
    changes: dict[str, list[float]] = field(default_factory=dict)
    """By owner: Unix seconds of the successful mutating calls."""
    deleting_at: dict[str, float] = field(default_factory=dict)
    """By owner: Unix seconds of DeleteEndpoint."""
    _seen: int = 0

    def first_change(self, owner: str, *, since: float) -> float:
        """The time of the owner's first mutating call at or after ``since``. Raises ValueError if there was none."""
        return min(at for at in self.changes[owner] if at >= since)

    def last_change(self, owner: str) -> float:
        """The time of the owner's latest mutating call. Raises KeyError if there was none."""
        return max(self.changes[owner])

    @contextmanager
    def followed(self) -> Iterator[Self]:
        """Read the meter's log from now on until the end of the block."""
        self._seen = max((call.number for call in self.bench.control.log(1)), default=0)
        done = threading.Event()

        def follow() -> None:
            while not done.wait(_LOG_SECONDS):
                self.read()

        thread = threading.Thread(target=follow, name="call-times")
        thread.start()
        try:
            yield self
        finally:
            done.set()
            thread.join()

    def read(self) -> None:
        """Read the new calls in the log. Raises PlatformError if the request fails."""
        calls = [call for call in self.bench.control.log(_LOG_ROWS) if call.number > self._seen]
        if calls and calls[0].number != self._seen + 1:
            calls = [call for call in self.bench.control.log() if call.number > self._seen]
        for call in calls:
            self._seen = call.number
            self._take_in(call)

    def _take_in(self, call: Call) -> None:
        if is_reading((call.service, call.operation)) or call.service in DATA_PLANE or not call.resource:
            return
        if call.status is not None and call.status >= _ERROR:
            return
        for name in call.resource.split(","):
            if owner := owner_of(self.cluster_id, name):
                self.changes.setdefault(owner, []).append(call.time.timestamp())
                if call.operation == "DeleteEndpoint":
                    self.deleting_at[owner] = call.time.timestamp()
