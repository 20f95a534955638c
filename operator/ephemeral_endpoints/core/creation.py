"""What becomes of an endpoint that does not get as it is wanted: it is tried again, given up in the end, or stuck."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from ephemeral_endpoints.core.resources import FAILURES, EndpointSpec, Have, Phase

_UNDER_WAY: Final = frozenset({"Creating", "Updating", "RollingBack"})
"""In AWS's words, what is done for us and can hang; maintenance by AWS itself is not."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried in all, and the pauses in between, which double up to the longest."""

    most: int = 5
    first: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(minutes=15)

    def pause(self, failures: int) -> timedelta | None:
        """The pause after so many failures in a row (at least 1); None if that was the last try."""
        if failures >= self.most:
            return None
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 16))


@dataclass(frozen=True, slots=True)
class Goal:
    """What is tried: a configuration, for a generation of the object and the request for a fresh look that it has."""

    config: str
    generation: int
    asked_at: str | None = None


@dataclass(frozen=True, slots=True)
class Tries:
    """The tries to have one endpoint serve its goal.

    ``counted`` is the version of the endpoint in which its failure was counted, ``detail`` what SageMaker said of it.
    ``next_at`` is when it may be tried again; None if nothing failed, or if it failed too often.
    """

    goal: Goal | None = None
    failures: int = 0
    counted: str = ""
    detail: str = ""
    next_at: datetime | None = None

    def seen(self, endpoint: Have | None, goal: Goal, now: datetime, patience: Patience) -> Self:
        """Conclude from the endpoint as it is."""
        if endpoint and endpoint.phase is Phase.READY and _is_on(endpoint, goal.config):
            return type(self)(goal)
        known = self if goal == self.goal else self._anew(endpoint, goal, now)
        if endpoint is None or not _has_failed(endpoint, goal) or endpoint.version == known.counted:
            return known
        failures = known.failures + 1
        pause = patience.pause(failures)
        next_at = None if pause is None else now + pause
        return replace(known, failures=failures, counted=endpoint.version, detail=endpoint.detail, next_at=next_at)

    def is_due(self, now: datetime) -> bool:
        """Whether what failed may be tried again."""
        return self.next_at is not None and now >= self.next_at

    @property
    def is_over(self) -> bool:
        """Whether it failed too often."""
        return self.failures > 0 and self.next_at is None

    def _anew(self, endpoint: Have | None, goal: Goal, now: datetime) -> Self:
        if self.goal is None or endpoint is None:
            return type(self)(goal)
        # How it failed before is no failure of what is wanted now.
        return type(self)(goal, counted=endpoint.version, next_at=now)


def stuck_at(endpoint: Have, timeout: timedelta) -> datetime | None:
    """When the change that is under way has taken longer than that; None if none is, or nobody knows since when."""
    if endpoint.phase is not Phase.BUSY or endpoint.status not in _UNDER_WAY or endpoint.since is None:
        return None
    return endpoint.since + timeout


def _has_failed(endpoint: Have, goal: Goal) -> bool:
    return endpoint.phase in FAILURES and _is_on(endpoint, goal.config)


def _is_on(endpoint: Have, config: str) -> bool:
    return isinstance(endpoint.spec, EndpointSpec) and endpoint.spec.config == config
