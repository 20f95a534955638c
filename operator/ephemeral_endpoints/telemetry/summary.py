"""The summary of all statuses, for metrics: objects not ready by reason, the longest termination, and cost."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.conditions import ConditionType
from ephemeral_endpoints.features.capacity.accrual import accrued
from ephemeral_endpoints.features.expiry.stage import RETAINED

UNSEEN: Final = "Unseen"
"""In place of a reason for an object without the condition ``Ready``."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of objects. An object retained by its deletion policy does not count as terminating."""

    not_ready: Mapping[str, int] = field(default_factory=dict)
    """Objects whose condition ``Ready`` is not True, by its reason."""

    terminating_seconds: float = 0.0
    """How long the object that has been terminating longest has been so; 0 without any."""

    usd_per_hour: Mapping[str, float] = field(default_factory=dict)
    """Hourly cost of capacity by class, as far as its prices are known."""

    usd_accrued: Mapping[str, float] = field(default_factory=dict)
    """What the capacity of existing objects has cost until now, by class, as far as its prices are known."""

    classes: Mapping[str, bool] = field(default_factory=dict)
    """Classes by name, and whether each is usable."""

    budgets: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    """By class and scope, what was spent of its budget in USD where that is most, and the limit."""


def summary(
    endpoints: Iterable[tuple[str | None, EphemeralEndpoint]],
    classes: Iterable[EphemeralEndpointClass],
    now: datetime,
) -> Summary:
    """Summarise objects, each given with the name of its class. ``now`` is in UTC."""
    not_ready: Counter[str] = Counter()
    usd: defaultdict[str, float] = defaultdict(float)
    usd_accrued: defaultdict[str, float] = defaultdict(float)
    longest = timedelta(0)
    for class_name, endpoint in endpoints:
        ready = _ready(endpoint.status.conditions)
        if ready is None or ready.status != "True":
            not_ready[ready.reason if ready else UNSEEN] += 1
        longest = max(longest, _terminating_for(endpoint, ready, now))
        cost = endpoint.status.cost
        if class_name and cost and cost.hourly_usd:
            usd[class_name] += float(cost.hourly_usd)
        if class_name and (so_far := accrued(cost, now)) is not None:
            usd_accrued[class_name] += float(so_far)
    usable = {each.metadata.name: _is_usable(each) for each in classes}
    return Summary(not_ready, longest / timedelta(seconds=1), usd, usd_accrued, usable)


def _ready(conditions: Iterable[Condition]) -> Condition | None:
    return next((each for each in conditions if each.type == ConditionType.READY), None)


def _terminating_for(endpoint: EphemeralEndpoint, ready: Condition | None, now: datetime) -> timedelta:
    """Time since its deletion or expiry, while it has AWS resources; 0 for a retained object."""
    deleted_at, expires_at = endpoint.metadata.deletion_timestamp, endpoint.status.expires_at
    ends = [at for at in (deleted_at, expires_at if endpoint.status.resources else None) if at and at <= now]
    is_retained = deleted_at is None and ready is not None and ready.reason == RETAINED.name
    return timedelta(0) if not ends or is_retained else now - min(ends)


def _is_usable(endpoint_class: EphemeralEndpointClass) -> bool:
    ready = _ready(endpoint_class.status.conditions)
    return ready is None or ready.status == "True"
