"""Metrics that are computed when they are scraped."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from ephemeral_endpoints.api.v1alpha1.feedback import VariantVotes
from ephemeral_endpoints.engine.clocks import Source
from ephemeral_endpoints.telemetry.summary import Summary


class Ages(Collector):
    """The ages of snapshots: they grow while an operator cannot list AWS, which no other metric shows."""

    def __init__(self, ages: Callable[[], Mapping[tuple[str, str, str], float]]) -> None:
        self._ages = ages

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "eep_inventory_age_seconds",
            "Age of the operator's oldest list of AWS resources; without any list, time since the first failed attempt",
            labels=("account", "region", "role"),
        )
        for labels, age in self._ages().items():
            family.add_metric(labels, age)
        yield family


class Expiry(Collector):
    """What expiry depends on, and what it keeps waiting."""

    def __init__(self, skews: Callable[[], Mapping[Source, timedelta]], held: Callable[[], Mapping[str, int]]) -> None:
        self._skews = skews
        self._held = held

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _family(
            "eep_clock_skew_seconds",
            "Seconds by which the operator's clock is ahead of another, by whose it is; more than 60 holds expiry",
            "source",
            {str(source): skew.total_seconds() for source, skew in self._skews().items()},
        )
        yield _family(
            "eep_expiry_held",
            "EphemeralEndpoints that have expired and are held, by reason: clock (clocks differ) or share (too many)",
            "reason",
            self._held(),
        )


class PullRequests(Collector):
    """What is not believed of a forge, and how much more it can be asked."""

    def __init__(
        self, held: Callable[[], Mapping[str, int]], remaining: Callable[[], Mapping[tuple[str, str, str, str], int]]
    ) -> None:
        self._held = held
        self._remaining = remaining

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _family(
            "eep_pull_requests_held",
            "Closed pull requests that end no object because too many of the class were closed at once, by class",
            "class",
            self._held(),
        )
        family = GaugeMetricFamily(
            "eep_forge_requests_remaining",
            "Requests that a forge still takes until its primary limit is reset, by account and kind of request",
            labels=("url", "secret", "account", "resource"),
        )
        for labels, count in self._remaining().items():
            family.add_metric(labels, count)
        yield family


class Statuses(Collector):
    """The summary of the statuses of all objects."""

    def __init__(self, summary: Callable[[], Summary]) -> None:
        self._summary = summary

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        summary = self._summary()
        yield _family(
            "eep_endpoints_not_ready",
            "EphemeralEndpoints whose condition Ready is not True, by its reason",
            "reason",
            summary.not_ready,
        )
        yield _family(
            "eep_hourly_cost_usd", "Estimated hourly cost of capacity in USD, by class", "class", summary.usd_per_hour
        )
        yield _family(
            "eep_accrued_cost_usd",
            "Estimated cost in USD of the capacity of existing EphemeralEndpoints since each was created, by class",
            "class",
            summary.usd_accrued,
        )
        spent = GaugeMetricFamily(
            "eep_budget_spent_usd",
            "Spent of the budget in USD, by class and scope; by the object, repository or namespace that spent most",
            labels=("class", "scope"),
        )
        limit = GaugeMetricFamily(
            "eep_budget_limit_usd", "Budget of the class in USD, by class and scope", labels=("class", "scope")
        )
        for labels, (usd, most) in summary.budgets.items():
            spent.add_metric(labels, usd)
            limit.add_metric(labels, most)
        yield spent
        yield limit
        yield _family(
            "eep_class_ready",
            "0 if the condition Ready of the EphemeralEndpointClass is not True, otherwise 1",
            "class",
            summary.classes,
        )
        yield GaugeMetricFamily(
            "eep_terminating_seconds",
            "Longest time since the deletion or expiry of an EphemeralEndpoint that still exists; 0 without any",
            value=summary.terminating_seconds,
        )


def _family(name: str, help_: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


class Votes(Collector):
    """The votes on the answers of each object's variants."""

    def __init__(self, votes: Callable[[], Iterable[tuple[str, str, VariantVotes]]]) -> None:
        self._votes = votes

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "eep_feedback_votes",
            "Votes on the answers of the revision in status.feedback, by variant and vote; exported on request",
            labels=("namespace", "name", "variant", "vote"),
        )
        for namespace, name, votes in self._votes():
            family.add_metric((namespace, name, votes.variant, "up"), votes.up)
            family.add_metric((namespace, name, votes.variant, "down"), votes.down)
        yield family


class ReadyObjects(Collector):
    """Whether each object is ready."""

    def __init__(self, ready: Callable[[], Iterable[tuple[str, str, bool]]]) -> None:
        self._ready = ready

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "eep_endpoint_ready",
            "1 if the condition Ready of the EphemeralEndpoint is True, otherwise 0; exported on request",
            labels=("namespace", "name"),
        )
        for namespace, name, is_ready in self._ready():
            family.add_metric((namespace, name), is_ready)
        yield family
