"""The primary and secondary rate limits, by user or installation; times are the service's."""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from eep_platform.github.access import Caller
from eep_platform.github.errors import primary_limit, secondary_limit
from eep_platform.github.settings import GitHubSettings, Limits

_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
_FREE_REPOSITORIES: Final = 20
_MORE_PER_REPOSITORY: Final = 50
_MOST_OF_INSTALLATION: Final = 12_500
_CONCURRENCY_RETRY_SECONDS: Final = 60


@dataclass(slots=True)
class Quota:
    """The requests of one hour, which begins with the first of them."""

    limit: int
    used: int
    reset: datetime

    @property
    def remaining(self) -> int:
        """How many requests are left until ``reset``."""
        return max(0, self.limit - self.used)

    def headers(self, resource: str) -> dict[str, str]:
        """The headers of an answer that say so."""
        values = {"limit": self.limit, "remaining": self.remaining, "used": self.used}
        reset = math.ceil(self.reset.timestamp())
        shown = {**values, "reset": reset, "resource": resource}
        return {f"X-RateLimit-{name.capitalize()}": str(value) for name, value in shown.items()}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request counts for the secondary limits. ``resource`` is core or graphql."""

    resource: str
    points: int
    creates_content: bool = False
    creates_token: bool = False


class Limiter:
    """Admits requests."""

    def __init__(self, settings: GitHubSettings) -> None:
        self._settings = settings
        self._quotas: dict[tuple[str, str], Quota] = {}
        self._events: defaultdict[tuple[str, str], deque[tuple[datetime, int]]] = defaultdict(deque)
        self._running: Counter[str] = Counter()

    def quota(self, caller: Caller, resource: str, repositories: int = 0) -> Quota:
        """The caller's quota now; ``repositories`` is how many an installation has."""
        now, key = self._settings.clock(), (caller.bucket, resource)
        limit = _limit(self._settings.now.limits, caller, resource, repositories)
        quota = self._quotas.get(key)
        if quota is None or quota.reset <= now:
            quota = self._quotas[key] = Quota(limit, 0, now + _HOUR)
        quota.limit = limit
        return quota

    def admit(self, caller: Caller, quota: Quota, cost: Cost) -> None:
        """Count a request for the secondary limits. Raises the error of the limit that it exceeds, uncounted."""
        if quota.remaining == 0:
            raise primary_limit(caller.bucket)
        limits, bucket, now = self._settings.now.limits, caller.bucket, self._settings.clock()
        points = limits.graphql_points_per_minute if cost.resource == "graphql" else limits.rest_points_per_minute
        rules = [(f"points {cost.resource}", cost.points, points, _MINUTE)]
        if cost.creates_content:
            rules.append(("content", 1, limits.content_per_minute, _MINUTE))
            rules.append(("content", 1, limits.content_per_hour, _HOUR))
        if cost.creates_token:
            rules.append(("tokens", 1, limits.tokens_per_hour, _HOUR))
        for kind, amount, most, period in rules:
            events = self._events[bucket, kind]
            recent = [each for each in events if each[0] > now - period]
            if sum(each[1] for each in recent) + amount > most:
                oldest = recent[0][0] if recent else now
                raise secondary_limit(max(1, math.ceil((oldest + period - now).total_seconds())))
        for kind, amount in {kind: amount for kind, amount, _, _ in rules}.items():
            events = self._events[bucket, kind]
            events.append((now, amount))
            while events[0][0] <= now - _HOUR:
                events.popleft()

    @contextmanager
    def running(self, caller: Caller) -> Iterator[None]:
        """The time in which a request runs. Raises the error of the secondary limit if too many run at once."""
        if self._running[caller.bucket] >= self._settings.now.limits.concurrent:
            raise secondary_limit(_CONCURRENCY_RETRY_SECONDS)
        self._running[caller.bucket] += 1
        try:
            yield
        finally:
            self._running[caller.bucket] -= 1

    def clear(self) -> None:
        """Forget what was counted."""
        self._quotas.clear()
        self._events.clear()


def _limit(limits: Limits, caller: Caller, resource: str, repositories: int) -> int:
    if caller.token is None and caller.app is None:
        return limits.anonymous_per_hour
    most = limits.graphql_per_hour if resource == "graphql" else limits.core_per_hour
    if caller.via is None or repositories <= _FREE_REPOSITORIES:
        return most
    more = most + _MORE_PER_REPOSITORY * (repositories - _FREE_REPOSITORIES)
    return max(most, min(more, _MOST_OF_INSTALLATION))
