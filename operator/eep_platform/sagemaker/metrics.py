"""The CloudWatch metrics of endpoints.

Sources: "SageMaker AI endpoint invocation metrics", "Alarms and logs for tracking metrics from asynchronous endpoints"
and, for the dimension `EndpointConfigName`, "Auto-Rollback Configuration and Monitoring" in the SageMaker developer
guide. Latencies are in microseconds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, Protocol, TypeVar

from eep_platform.emulation.aws import Aws

NAMESPACE = "AWS/SageMaker"
Item = TypeVar("Item")
_MOST_VALUES = 150
_MOST_DATA = 500
_CLIENT, _SERVER, _SUCCESS = 400, 500, 200


Dimensions = dict[str, str]


class Measurement(Protocol):
    """Values of several metrics that share their dimensions."""

    def dimensions(self) -> Iterator[Dimensions]:
        """The sets of dimensions to publish each metric with."""

    def samples(self) -> Iterator[tuple[str, str, float]]:
        """The metrics as (name, unit, value)."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """An invocation that reached a variant; `model_status` is 0 if the container gave no answer.

    `instances` is the variant's instance count, 0 for a serverless one. On instances, `config_name` distinguishes the
    old fleet from the new one. Invocations of asynchronous endpoints are `queued` and have fewer metrics.
    """

    endpoint_name: str
    variant_name: str
    model_status: int
    model_microseconds: float
    overhead_microseconds: float
    instances: int = 0
    config_name: str = ""
    queued: bool = False

    def dimensions(self) -> Iterator[Dimensions]:
        """Endpoint and variant, and the same with the endpoint's configuration."""
        variant = {"EndpointName": self.endpoint_name, "VariantName": self.variant_name}
        yield variant
        if self.instances:
            yield variant | {"EndpointConfigName": self.config_name}

    def samples(self) -> Iterator[tuple[str, str, float]]:
        """Its metrics. An invocation without an error contributes 0 to the error metrics."""
        succeeded = _SUCCESS <= self.model_status < _SUCCESS + 100
        yield "Invocation4XXErrors", "Count", _CLIENT <= self.model_status < _SERVER
        yield "Invocation5XXErrors", "Count", self.model_status >= _SERVER or self.model_status == 0
        yield "InvocationModelErrors", "Count", not succeeded
        yield "ModelLatency", "Microseconds", self.model_microseconds
        if self.queued:
            return
        yield "Invocations", "Count", 1
        yield "OverheadLatency", "Microseconds", self.overhead_microseconds
        if self.instances:
            yield "InvocationsPerInstance", "None", 1 / self.instances


@dataclass(frozen=True, slots=True)
class Backlog:
    """The number of waiting and running requests of an asynchronous endpoint at one moment."""

    endpoint_name: str
    size: int
    instances: int

    def dimensions(self) -> Iterator[Dimensions]:
        """The endpoint."""
        yield {"EndpointName": self.endpoint_name}

    def samples(self) -> Iterator[tuple[str, str, float]]:
        """Its metrics."""
        yield "ApproximateBacklogSize", "Count", self.size
        yield "ApproximateBacklogSizePerInstance", "Count", self.size / max(1, self.instances)
        yield "HasBacklogWithoutCapacity", "Count", self.size > 0 and not self.instances


@dataclass(frozen=True, slots=True)
class Processed:
    """A finished request of an asynchronous endpoint."""

    endpoint_name: str
    failed: bool
    backlog_seconds: float

    def dimensions(self) -> Iterator[Dimensions]:
        """The endpoint."""
        yield {"EndpointName": self.endpoint_name}

    def samples(self) -> Iterator[tuple[str, str, float]]:
        """Its metrics."""
        yield "InvocationsProcessed", "Count", 1
        yield "InvocationFailures", "Count", self.failed
        yield "TimeInBacklog", "Milliseconds", round(self.backlog_seconds * 1000)


async def deliver_metrics(aws: Aws, namespace: str, measurements: Sequence[Measurement]) -> None:
    """Send the metrics of measurements to CloudWatch; raises botocore's errors."""
    for data in _batches(metric_data(measurements), _MOST_DATA):
        await aws.call("cloudwatch", "put_metric_data", Namespace=namespace, MetricData=list(data))


def metric_data(measurements: Iterable[Measurement]) -> Iterator[dict[str, Any]]:
    """The data of PutMetricData; keeps every value with its count, so that percentiles are exact."""
    values: defaultdict[tuple[tuple[tuple[str, str], ...], str, str], Counter[float]] = defaultdict(Counter)
    for measurement in measurements:
        for dimensions, (name, unit, value) in product(measurement.dimensions(), measurement.samples()):
            values[tuple(dimensions.items()), name, unit][float(value)] += 1
    for (pairs, name, unit), counts in values.items():
        for part in _batches(counts.items(), _MOST_VALUES):
            yield {
                "MetricName": name,
                "Dimensions": [{"Name": dimension, "Value": value} for dimension, value in pairs],
                "Unit": unit,
                "Values": [value for value, _ in part],
                "Counts": [float(count) for _, count in part],
            }


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
