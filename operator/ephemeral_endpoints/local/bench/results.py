"""What was measured, as it is kept between runs and rendered. Times in seconds, memory in bytes."""

from dataclasses import dataclass, field

from pydantic import TypeAdapter

from ephemeral_endpoints.local.bench.figures import Bound, Spread

Counts = dict[str, float]
"""Calls or requests by name."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where, when and with what it was measured."""

    date: str
    commit: str
    processor: str
    cores: int
    memory_bytes: int
    load: float
    """The load average of the last quarter of an hour at the end: what else ran counts in it."""
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Burst:
    """Many objects created or deleted at once. Counts are totals."""

    seconds: float
    bound: Bound
    beyond_aws: Spread
    mutating: Counts
    reading: Counts
    throttled: float
    writes: Counts

    @property
    def share_of_bound(self) -> float:
        """The rate reached, as a share of what the binding limit allows."""
        return self.bound.seconds / self.seconds


@dataclass(frozen=True, slots=True)
class Trickle:
    """Objects created, updated and deleted one after the other beside those that are there. Counts are totals."""

    objects: int
    created: Spread
    acted: Spread
    """From the change of a spec to the first call that changes something in AWS."""

    updated: Spread
    deleted: Spread
    writes_created: Counts
    writes_updated: Counts
    writes_deleted: Counts


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing happens. ``idle`` is between snapshots; the snapshots are of a second window with a shorter interval."""

    idle_seconds: float
    idle_calls: float
    idle_cpu_seconds: float
    seconds: float
    snapshots: int
    calls: Counts
    writes: Counts
    cpu_seconds: float

    @property
    def calls_per_snapshot(self) -> float:
        """AWS calls that one full snapshot takes."""
        return sum(self.calls.values()) / max(1, self.snapshots)

    def calls_per_minute(self, interval: float) -> float:
        """AWS calls a minute with a snapshot every ``interval`` seconds."""
        return self.calls_per_snapshot * 60 / interval

    def cpu_share(self, interval: float) -> float:
        """The share of one core that is used with a snapshot every ``interval`` seconds."""
        idle = self.idle_cpu_seconds / self.idle_seconds
        each = max(0.0, self.cpu_seconds - idle * self.seconds) / max(1, self.snapshots)
        return idle + each / interval


@dataclass(frozen=True, slots=True)
class Restart:
    """The operator started anew over the objects."""

    seconds: float
    mutating: Counts
    reading: Counts
    writes: Counts
    changed: int
    ready: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of the operator's process."""

    empty: int
    after_burst: int
    after_restart: int


@dataclass(frozen=True, slots=True)
class Naive:
    """The reconciler to compare with, at rest."""

    objects: int
    interval: float
    seconds: float
    calls: Counts
    writes: Counts


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything about one number of objects."""

    objects: int
    machine: Machine
    create_seconds: float
    burst: Burst
    trickle: Trickle
    rest: Rest
    restart: Restart
    memory: Memory
    teardown: Burst
    left_behind: int
    naive: Naive | None = None


@dataclass(frozen=True, slots=True)
class BuildTimes:
    """One build, and how promptly the operator was before and after it."""

    asked_seconds: float
    """From the application of the object to StartBuild."""

    seconds: float
    """CodeBuild's own, from the beginning to the end of the build."""

    noticed_seconds: float
    """From the end of the build until a watch saw that the image is there."""


@dataclass(frozen=True, slots=True)
class Imaged:
    """One object with a commit, from its application on. Counts are totals until it was ready."""

    image_seconds: float
    """Until a watch saw that its image is there."""

    ready_seconds: float
    calls: Counts
    """The operator's, to CodeBuild and ECR, each named by its service and its operation."""

    build: BuildTimes | None = None
    """None where nothing had to be built."""


@dataclass(frozen=True, slots=True)
class Builds:
    """Images made from commits of the example model: each list has one entry a round, each round its own platform."""

    machine: Machine
    cold: list[Imaged]
    """Nothing was built before, and the registry was empty."""

    warm: list[Imaged]
    """The next commit, which changes one file."""

    present: list[Imaged]
    """Another object with that same commit, whose image is in ECR by then."""


@dataclass(frozen=True, slots=True)
class Results:
    """All sizes measured so far, by number of objects, and the builds if they were measured."""

    sizes: dict[int, Measured] = field(default_factory=dict)
    builds: Builds | None = None


ADAPTER: TypeAdapter[Results] = TypeAdapter(Results)
"""Reads and writes results as JSON."""
