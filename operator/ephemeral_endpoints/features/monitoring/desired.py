"""Monitoring of the endpoints of one object: log groups and alarms."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from ephemeral_endpoints.api.v1alpha1.monitoring import Alarms
from ephemeral_endpoints.engine.names import Names, endpoint_logs
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP, AlarmSpec, LogGroupSpec
from ephemeral_endpoints.features.serving.desired import Served, variants_of
from ephemeral_endpoints.features.subject import Resolved, Subject

ALARM_PERIOD_SECONDS: Final = 60
ALARM_PERIODS: Final = 3
_MICROSECONDS: Final = 1000


def desired(subject: Subject, _: Resolved, __: DesiredState) -> DesiredState:
    """The log groups and the alarms of an object."""
    variants, names, spec, tags = variants_of(subject), subject.names, subject.endpoint.spec.monitoring, subject.tags
    groups = log_groups(variants, names, spec.log_retention_days, tags)
    if not spec.alarms.enabled:
        return DesiredState(tuple(groups))
    actions = subject.endpoint_class.spec.alarms.actions
    return DesiredState((*groups, *alarms(variants, names, spec.alarms, actions=actions, tags=tags)))


def log_groups(variants: tuple[Served, ...], names: Names, retention_days: int, tags: Tags) -> list[DesiredResource]:
    """The forwarder's log group, and one for each endpoint."""
    spec = LogGroupSpec(retention_days, tags)
    endpoints = dict.fromkeys(endpoint_logs(each.endpoint) for each in variants)
    return [DesiredResource(Key(LOG_GROUP, name), spec) for name in (names.forwarder_logs, *endpoints)]


def alarms(
    variants: tuple[Served, ...], names: Names, limits: Alarms, *, actions: Iterable[str], tags: Tags
) -> list[DesiredResource]:
    """Two alarms for each variant: on the time that the model takes, and on its errors."""
    is_alone, topics = len(variants) == 1, tuple(sorted(set(actions)))
    return [
        DesiredResource(
            Key(ALARM, names.alarm(subject if is_alone else f"{subject}-{variant.name}")),
            replace(spec, actions=topics, tags=tags),
        )
        for variant in variants
        for subject, spec in (("latency", _latency(variant, limits)), ("errors", _errors(variant, limits)))
    ]


def _latency(variant: Served, limits: Alarms) -> AlarmSpec:
    return _alarm(
        variant,
        metric="ModelLatency",
        threshold=float(limits.latency_ms * _MICROSECONDS),
        description=f"The model takes more than {limits.latency_ms} ms on average",
    )


def _errors(variant: Served, limits: Alarms) -> AlarmSpec:
    # SageMaker emits 0 or 1 for every request, so that the average is the rate.
    return _alarm(
        variant,
        metric="Invocation5XXErrors",
        threshold=limits.error_rate_percent / 100,
        description=f"More than {limits.error_rate_percent} % of the requests fail in the model",
    )


def _alarm(variant: Served, *, metric: str, threshold: float, description: str) -> AlarmSpec:
    return AlarmSpec(
        namespace="AWS/SageMaker",
        metric=metric,
        dimensions=(("EndpointName", variant.endpoint), ("VariantName", variant.name)),
        threshold=threshold,
        period_seconds=ALARM_PERIOD_SECONDS,
        evaluation_periods=ALARM_PERIODS,
        description=description,
    )
