"""What the objects' statuses tell in sum, for metrics: who is not ready and why, who does not go, what it all costs."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api.base import Condition
from ephemeral_endpoints.api.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.core.conditions import RETAINED, Type

UNSEEN: Final = "Unseen"
"""Stands for the reason of an object of which nothing has been told yet."""


@dataclass(frozen=True, slots=True)
class Census:
    """Counts of objects. Those that stay in AWS on purpose are not counted as leaving."""

    not_ready: Mapping[str, int] = field(default_factory=dict)
    """Objects whose condition ``Ready`` is not true, by its reason."""

    leaving_seconds: float = 0.0
    """For how long the object that has been on its way out for longest has been so; 0 without any."""

    usd_per_hour: Mapping[str, float] = field(default_factory=dict)
    """What instances cost, by class, as far as their prices are known."""

    classes: Mapping[str, bool] = field(default_factory=dict)
    """Classes, and whether each can be used."""


def census(
    endpoints: Iterable[tuple[str | None, EphemeralEndpoint]],
    classes: Iterable[EphemeralEndpointClass],
    now: datetime,
) -> Census:
    """Count objects, each given with the name of its class. ``now`` is the time of day in UTC."""
    not_ready: Counter[str] = Counter()
    usd: defaultdict[str, float] = defaultdict(float)
    longest = timedelta(0)
    for class_name, endpoint in endpoints:
        ready = _ready(endpoint.status.conditions)
        if ready is None or ready.status != "True":
            not_ready[ready.reason if ready else UNSEEN] += 1
        longest = max(longest, _leaving_for(endpoint, ready, now))
        cost = endpoint.status.cost
        if class_name and cost and cost.hourly_usd:
            usd[class_name] += float(cost.hourly_usd)
    usable = {each.metadata.name: _is_usable(each) for each in classes}
    return Census(not_ready, longest / timedelta(seconds=1), usd, usable)


def _ready(conditions: Iterable[Condition]) -> Condition | None:
    return next((each for each in conditions if each.type == Type.READY), None)


def _leaving_for(endpoint: EphemeralEndpoint, ready: Condition | None, now: datetime) -> timedelta:
    """Since its deletion or the end of its time to live, while anything is left of it; what is retained stays."""
    deleted_at, expires_at = endpoint.metadata.deletion_timestamp, endpoint.status.expires_at
    ends = [at for at in (deleted_at, expires_at if endpoint.status.resources else None) if at and at <= now]
    is_retained = deleted_at is None and ready is not None and ready.reason == RETAINED
    return timedelta(0) if not ends or is_retained else now - min(ends)


def _is_usable(klass: EphemeralEndpointClass) -> bool:
    ready = _ready(klass.status.conditions)
    return ready is None or ready.status == "True"
