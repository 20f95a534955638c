"""What the generator has seen. Pure."""

from dataclasses import dataclass

from ephemeral_endpoints.features.checks.load.plan import LoadPlan


@dataclass(frozen=True, slots=True)
class Sample:
    """A request that counted. Seconds, from the moment at which it was due until it was sent, and until its end."""

    lateness: float
    latency: float
    status: int | None
    variant: str


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The requests before. ``median`` is that of the answered ones, None if there are none; ``status`` the last one."""

    sent: int
    median: float | None
    status: int | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """All requests of a plan, in their order; without samples where the load was not begun."""

    plan: LoadPlan
    warm_up: WarmUp
    samples: tuple[Sample, ...] = ()
