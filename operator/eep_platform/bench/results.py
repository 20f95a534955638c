"""The measurements, which are kept between runs. Times are in seconds, memory is in bytes."""

from dataclasses import dataclass, field

from pydantic import TypeAdapter

from eep_platform.bench.figures import Bound, Spread

Counts = dict[str, float]
"""Calls or requests by name."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine, the date and the versions of a measurement."""

    date: str
    commit: str
    processor: str
    cores: int
    memory_bytes: int
    load: float
    """The load average of the last 15 minutes at the end, including other programs."""
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
        """The rate reached as a fraction of the binding limit."""
        return self.bound.seconds / self.seconds


@dataclass(frozen=True, slots=True)
class Trickle:
    """Objects created, updated and deleted one by one, in addition to the existing ones. Counts are totals."""

    objects: int
    created: Spread
    acted: Spread
    """From the change of a spec to the first mutating AWS call."""

    updated: Spread
    deleted: Spread
    writes_created: Counts
    writes_updated: Counts
    writes_deleted: Counts


@dataclass(frozen=True, slots=True)
class Rest:
    """Objects at rest. ``idle`` is between snapshots; a second window with a shorter interval counts snapshots."""

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
        """AWS calls per snapshot."""
        return sum(self.calls.values()) / max(1, self.snapshots)

    def calls_per_minute(self, interval: float) -> float:
        """AWS calls per minute with a snapshot every ``interval`` seconds."""
        return self.calls_per_snapshot * 60 / interval

    def cpu_share(self, interval: float) -> float:
        """The fraction of one core used with a snapshot every ``interval`` seconds."""
        idle = self.idle_cpu_seconds / self.idle_seconds
        each = max(0.0, self.cpu_seconds - idle * self.seconds) / max(1, self.snapshots)
        return idle + each / interval


@dataclass(frozen=True, slots=True)
class Restart:
    """A restart of the operator with the objects."""

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
    """The reconciler for comparison, at rest."""

    objects: int
    interval: float
    seconds: float
    calls: Counts
    writes: Counts


@dataclass(frozen=True, slots=True)
class Measured:
    """All measurements with one number of objects."""

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
    """One build, and the operator's delays before and after it."""

    asked_seconds: float
    """From the application of the object to StartBuild."""

    seconds: float
    """CodeBuild's time from the start to the end of the build."""

    noticed_seconds: float
    """From the end of the build until a watch saw ImageReady."""


@dataclass(frozen=True, slots=True)
class Imaged:
    """One object with a commit, from its application until Ready. Counts are totals."""

    image_seconds: float
    """Until a watch saw ImageReady."""

    ready_seconds: float
    calls: Counts
    """The operator's calls to CodeBuild and ECR, by service and operation."""

    build: BuildTimes | None = None
    """None if no build was needed."""


@dataclass(frozen=True, slots=True)
class Builds:
    """Images built from commits of the example model: one entry per round, each on a new platform."""

    machine: Machine
    cold: list[Imaged]
    """Nothing was built before, and the registry was empty."""

    warm: list[Imaged]
    """The next commit, which changes one file."""

    present: list[Imaged]
    """Another object with the same commit, whose image is in ECR already."""


@dataclass(frozen=True, slots=True)
class ReviewsAtRest:
    """The requests to GitHub of objects that are published, by operation, of which ``writes`` change something."""

    objects: int
    repositories: int
    seconds: float
    requests: Counts
    writes: int

    @property
    def requests_per_minute(self) -> float:
        """Requests a minute."""
        return sum(self.requests.values()) * 60 / self.seconds


@dataclass(frozen=True, slots=True)
class OffAndOn:
    """Resident memory of the operator after a restart, without and with reviews, checks and comparisons."""

    objects: int
    off: int
    on: int

    @property
    def growth(self) -> int:
        """By how much it is larger with them."""
        return self.on - self.off


@dataclass(frozen=True, slots=True)
class ReviewMemory:
    """What reviews, checks and comparisons take, with few objects and with many.

    ``after_runs`` is that of the process that carried out the checks of many objects, before the restart.
    """

    few: OffAndOn
    many: OffAndOn
    after_runs: int

    @property
    def per_object(self) -> float:
        """The bytes that each further object takes for them."""
        return (self.many.growth - self.few.growth) / (self.many.objects - self.few.objects)

    def growth(self, objects: int) -> float:
        """The bytes for so many objects, on the line through both measurements."""
        return self.few.growth + self.per_object * (objects - self.few.objects)


@dataclass(frozen=True, slots=True)
class Reviews:
    """Objects of pull requests. Times are from the merge until the object is gone, and with it all that it had."""

    machine: Machine
    grace: float
    """The class's ``closeGrace``, in seconds."""

    notified: list[float]
    """With a webhook."""

    polled: list[float]
    """Without one."""

    left_behind: int
    first_revision: Counts
    """Requests that change something, by operation, of one object with checks and a comparison."""

    next_revision: Counts
    at_rest: ReviewsAtRest
    memory: ReviewMemory


@dataclass(frozen=True, slots=True)
class Forwarder:
    """Warm requests through the forwarder and to the model alone. Times are in milliseconds."""

    machine: Machine
    answered: Spread
    """Through the forwarder."""

    overhead: Spread
    """The same without its wait for the model."""

    bare: Spread
    """InvokeEndpoint alone."""

    validated: Spread
    """The validation of a request and its answer."""

    imported: Spread
    """The import of the function in a new process."""

    request_bytes: int
    bundle_bytes: int
    page_bytes: int
    """The page, compressed by gzip."""


@dataclass(frozen=True, slots=True)
class Trained:
    """One object that trains, from its application until Ready. Counts are totals."""

    started_seconds: float
    """From the application, or from the end of the build if there was one, to StartPipelineExecution."""

    modelled_seconds: float
    """From the registration of the package to CreateModel."""

    ready_seconds: float
    calls: Counts
    """The operator's calls about pipelines, packages and figures, by operation."""


@dataclass(frozen=True, slots=True)
class Trainings:
    """Trainings of the example model: one entry per round, each on a new platform."""

    machine: Machine
    first: list[Trained]
    """A first commit, whose image is built and whose pipeline is made."""

    changed: list[Trained]
    """Another hyperparameter, of which only the first step is in SageMaker's cache."""

    cached: list[Trained]
    """Another object that trains the same."""

    rest_seconds: float
    rest_calls: Counts
    """The operator's calls of that kind in so many seconds of rest, of all rounds together."""


@dataclass(frozen=True, slots=True)
class ReaperRun:
    """One run of the reaper. ``waiting`` are the objects that are left to later runs, ``failed`` kinds of resources."""

    seconds: float
    calls: Counts
    """By service."""

    deleted: int
    waiting: int
    failed: int


@dataclass(frozen=True, slots=True)
class Reaped:
    """Runs of the reaper over previews without operator and cluster."""

    machine: Machine
    previews: int
    at_rest: ReaperRun
    all_due: list[ReaperRun]
    """Those that deleted something, from the moment when all previews are due."""

    left_behind: int
    """Resources of the previews in AWS after the last run."""


@dataclass(frozen=True, slots=True)
class Results:
    """All measured sizes by number of objects, and the other sections if measured."""

    sizes: dict[int, Measured] = field(default_factory=dict)
    builds: Builds | None = None
    reviews: Reviews | None = None
    forwarder: Forwarder | None = None
    trainings: Trainings | None = None
    reaped: Reaped | None = None


ADAPTER: TypeAdapter[Results] = TypeAdapter(Results)
"""Reads and writes results as JSON."""
