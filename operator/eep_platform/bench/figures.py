"""Arithmetic of measurements; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, Self

from eep_platform.aws.limits import Limit

Operation = tuple[str, str]
"""A service as boto3 names it, and one of its operations."""

DATA_PLANE: Final = frozenset({"execute-api", "sagemaker-runtime"})
"""Services whose calls are requests to endpoints and not to the account."""

CREATION: Final[Mapping[Operation, float]] = {
    ("logs", "CreateLogGroup"): 2,
    ("logs", "PutRetentionPolicy"): 2,
    ("cloudwatch", "PutMetricAlarm"): 2,
    ("sagemaker", "CreateModel"): 1,
    ("sagemaker", "CreateEndpointConfig"): 1,
    ("sagemaker", "CreateEndpoint"): 1,
    ("lambda", "CreateFunction"): 1,
    ("apigatewayv2", "CreateIntegration"): 1,
    ("apigatewayv2", "CreateRoute"): 2,
}
"""The mutating calls that the creation of one object needs at least."""

DELETION: Final[Mapping[Operation, float]] = {
    ("apigatewayv2", "DeleteRoute"): 1,
    ("apigatewayv2", "DeleteIntegration"): 1,
    ("lambda", "DeleteFunction"): 1,
    ("sagemaker", "DeleteEndpoint"): 1,
    ("sagemaker", "DeleteEndpointConfig"): 1,
    ("sagemaker", "DeleteModel"): 1,
    ("cloudwatch", "DeleteAlarms"): 2 / 100,
    ("logs", "DeleteLogGroup"): 2,
}
"""The mutating calls that the deletion of one of many objects needs at least: DeleteAlarms takes 100 alarms."""

_READING: Final = ("Get", "List", "Describe", "BatchGet")


@dataclass(frozen=True, slots=True)
class Spread:
    """The distribution of values, in their own unit."""

    count: int
    median: float
    p99: float
    worst: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """The distribution of values. Raises ValueError if there are none."""
        ordered = sorted(values)
        return cls(len(ordered), percentile(ordered, 50), percentile(ordered, 99), percentile(ordered, 100))


@dataclass(frozen=True, slots=True)
class Bound:
    """The minimum time that a limit allows for some work, and the limit."""

    seconds: float
    limit: str


@dataclass(frozen=True, slots=True)
class LinearFit:
    """A straight line fitted to measured points."""

    intercept: float
    slope: float


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest of the ascending values that at least ``percent`` percent do not exceed (nearest rank)."""
    if not ordered:
        raise ValueError("there is no percentile of no values")
    return ordered[max(1, ceil(len(ordered) * percent / 100)) - 1]


def bound(per_object: Mapping[Operation, float], objects: int, limits: Iterable[Limit]) -> Bound:
    """The minimum time for the calls of so many objects with token buckets that are full at first."""
    bounds = [Bound(0.0, "none")]
    for limit in limits:
        calls = ceil(objects * sum(count for called, count in per_object.items() if limit.covers(*called)))
        bounds.append(Bound(max(0.0, (calls - limit.capacity) / limit.rate), named(limit)))
    return max(bounds, key=lambda each: each.seconds)


def named(limit: Limit) -> str:
    """A short name of a limit."""
    what = limit.service if limit.operations == "*" else ", ".join(limit.operations)
    return f"{what} {limit.rate:g}/s"


def is_reading(operation: Operation) -> bool:
    """Whether a call only reads, judging by its name."""
    return operation[1].startswith((*_READING, "Assume"))


def fit(points: Sequence[tuple[float, float]]) -> LinearFit:
    """The least squares fit of points. Raises ValueError unless there are two different abscissae."""
    count = len(points)
    if len({x for x, _ in points}) < 2:  # noqa: PLR2004 - two points make a line
        raise ValueError("a line needs two different points")
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return LinearFit(mean_y - slope * mean_x, slope)
