"""What watches over the endpoints of one object: log groups and alarms."""

from typing import Final

from ephemeral_endpoints.api.endpoint import Alarms
from ephemeral_endpoints.core.names import Names, endpoint_logs
from ephemeral_endpoints.core.resources import AlarmSpec, Key, Kind, LogGroupSpec, Want
from ephemeral_endpoints.core.serving import Served
from ephemeral_endpoints.core.tags import Tags

ALARM_PERIOD_SECONDS: Final = 60
ALARM_PERIODS: Final = 3
_MICROSECONDS: Final = 1000


def log_groups(variants: tuple[Served, ...], names: Names, retention_days: int, tags: Tags) -> list[Want]:
    """The forwarder's log group, and one for each endpoint."""
    spec = LogGroupSpec(retention_days, tags)
    endpoints = dict.fromkeys(endpoint_logs(each.endpoint) for each in variants)
    return [Want(Key(Kind.LOG_GROUP, name), spec) for name in (names.forwarder_logs, *endpoints)]


def alarms(variants: tuple[Served, ...], names: Names, limits: Alarms, tags: Tags) -> list[Want]:
    """Two alarms for each variant: on the time that the model takes, and on its errors."""
    is_alone = len(variants) == 1
    return [
        Want(Key(Kind.ALARM, names.alarm(what if is_alone else f"{what}-{variant.name}")), spec)
        for variant in variants
        for what, spec in (("latency", _latency(variant, limits, tags)), ("errors", _errors(variant, limits, tags)))
    ]


def _latency(variant: Served, limits: Alarms, tags: Tags) -> AlarmSpec:
    return _alarm(
        variant,
        metric="ModelLatency",
        threshold=float(limits.latency_ms * _MICROSECONDS),
        description=f"The model takes more than {limits.latency_ms} ms on average",
        tags=tags,
    )


def _errors(variant: Served, limits: Alarms, tags: Tags) -> AlarmSpec:
    # SageMaker emits 0 or 1 for every request, so that the average is the rate.
    return _alarm(
        variant,
        metric="Invocation5XXErrors",
        threshold=limits.error_rate_percent / 100,
        description=f"More than {limits.error_rate_percent} % of the requests fail in the model",
        tags=tags,
    )


def _alarm(variant: Served, *, metric: str, threshold: float, description: str, tags: Tags) -> AlarmSpec:
    return AlarmSpec(
        namespace="AWS/SageMaker",
        metric=metric,
        dimensions=(("EndpointName", variant.endpoint), ("VariantName", variant.name)),
        threshold=threshold,
        period_seconds=ALARM_PERIOD_SECONDS,
        evaluation_periods=ALARM_PERIODS,
        description=description,
        tags=tags,
    )
