"""The targets, and the check of measurements against them; pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from eep_platform.bench.figures import LinearFit, fit
from eep_platform.bench.results import Measured, Results
from ephemeral_endpoints.settings import Settings

SNAPSHOT_SECONDS: Final = Settings.from_environment({}).snapshot_seconds
"""The operator's default."""

MANY: Final = 100
"""The number of objects from which the limits determine the duration of a burst, rather than a single object."""

_KB: Final = 1024
_MB: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Target:
    """A target for some sizes. Values are in ``unit``."""

    what: str
    most: float
    unit: str
    value: Callable[[Measured], float]
    least_objects: int = 1
    at_least: bool = False

    def applies(self, measured: Measured) -> bool:
        """Whether the target is for this many objects."""
        return measured.objects >= self.least_objects

    def is_met(self, value: float) -> bool:
        """Whether a value meets the target."""
        return value >= self.most if self.at_least else value <= self.most


TARGETS: Final = (
    Target("Ready after AWS is done, median", 1, "s", lambda m: m.trickle.created.median),
    Target("Ready after AWS is done, p99", 2, "s", lambda m: m.trickle.created.p99),
    Target("Finalizer gone after AWS is empty, median", 1, "s", lambda m: m.trickle.deleted.median),
    Target("Finalizer gone after AWS is empty, p99", 2, "s", lambda m: m.trickle.deleted.p99),
    Target("Changed spec acted on, median", 0.1, "s", lambda m: m.trickle.acted.median),
    Target("Burst, Ready after AWS is done, median", 1, "s", lambda m: m.burst.beyond_aws.median),
    Target("Burst, Ready after AWS is done, p99", 2, "s", lambda m: m.burst.beyond_aws.p99),
    Target("Burst, finalizer gone after AWS is empty, median", 1, "s", lambda m: m.teardown.beyond_aws.median),
    Target("Burst, finalizer gone after AWS is empty, p99", 2, "s", lambda m: m.teardown.beyond_aws.p99),
    Target(
        "Burst of creations against the limits", 95, "%", lambda m: 100 * m.burst.share_of_bound, MANY, at_least=True
    ),
    Target(
        "Burst of deletions against the limits", 95, "%", lambda m: 100 * m.teardown.share_of_bound, MANY, at_least=True
    ),
    Target("Burst, reading calls per object", 1, "", lambda m: sum(m.burst.reading.values()) / m.objects, MANY),
    Target("At rest, AWS calls a minute", 10, "", lambda m: m.rest.calls_per_minute(SNAPSHOT_SECONDS)),
    Target("At rest, Kubernetes writes", 0, "", lambda m: sum(m.rest.writes.values())),
    Target("Restart, mutating calls", 0, "", lambda m: sum(m.restart.mutating.values())),
    Target("Restart, Kubernetes writes", 0, "", lambda m: sum(m.restart.writes.values())),
    Target("Restart, objects not Ready or changed", 0, "", lambda m: m.objects - m.restart.ready + m.restart.changed),
    Target("Restart, time until settled", 5, "s", lambda m: m.restart.seconds),
    Target("Memory of the operator", 200, "MB", lambda m: max(m.memory.after_burst, m.memory.after_restart) / _MB),
    Target("Left behind in AWS at the end", 0, "", lambda m: m.left_behind),
)

MEMORY_PER_OBJECT: Final = 50.0
"""The target for the growth of memory per object, in KB."""


def memory_line(results: Results) -> LinearFit | None:
    """Resident memory in KB against objects, after the burst; None for fewer than two sizes."""
    points = [(float(size), each.memory.after_burst / _KB) for size, each in results.sizes.items()]
    return fit(points) if len(points) > 1 else None


def missed(results: Results) -> Iterator[tuple[Target, Measured, float]]:
    """The missed targets with the size and the value."""
    for target in TARGETS:
        for measured in results.sizes.values():
            if target.applies(measured) and not target.is_met(value := target.value(measured)):
                yield target, measured, value
