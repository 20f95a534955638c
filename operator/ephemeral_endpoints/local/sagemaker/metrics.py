"""The CloudWatch metrics of invocations.

Source: "SageMaker AI endpoint invocation metrics" in the SageMaker developer guide. Latencies are in microseconds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from ephemeral_endpoints.local.sagemaker.aws import Aws

NAMESPACE = "AWS/SageMaker"
Item = TypeVar("Item")
_MOST_VALUES = 150
_MOST_DATA = 500


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation that reached a variant; `model_status` is 0 if the container gave no answer."""

    endpoint_name: str
    variant_name: str
    model_status: int
    model_microseconds: float
    overhead_microseconds: float

    def samples(self) -> Iterator[tuple[str, str, float]]:
        """Its metrics: name, unit, value. An error metric gets 0 from invocations without the error."""
        client, server, success = 400, 500, 200
        succeeded = success <= self.model_status < success + 100
        yield "Invocations", "Count", 1
        yield "Invocation4XXErrors", "Count", client <= self.model_status < server
        yield "Invocation5XXErrors", "Count", self.model_status >= server or self.model_status == 0
        yield "InvocationModelErrors", "Count", not succeeded
        yield "ModelLatency", "Microseconds", self.model_microseconds
        yield "OverheadLatency", "Microseconds", self.overhead_microseconds


@dataclass(slots=True)
class MetricDelivery:
    """Sends the metrics of invocations to CloudWatch."""

    aws: Aws

    async def __call__(self, invocations: list[Invocation]) -> None:
        """Send what the invocations amount to; raises botocore's errors."""
        for data in _batches(metric_data(invocations), _MOST_DATA):
            await self.aws.call("cloudwatch", "put_metric_data", Namespace=NAMESPACE, MetricData=list(data))


def metric_data(invocations: list[Invocation]) -> Iterator[dict[str, Any]]:
    """The data of PutMetricData: every value kept, with its count, so that percentiles are right."""
    values: defaultdict[tuple[str, str, str, str], Counter[float]] = defaultdict(Counter)
    for invocation in invocations:
        for name, unit, value in invocation.samples():
            values[invocation.endpoint_name, invocation.variant_name, name, unit][float(value)] += 1
    for (endpoint, variant, name, unit), counts in values.items():
        for part in _batches(counts.items(), _MOST_VALUES):
            yield {
                "MetricName": name,
                "Dimensions": [
                    {"Name": "EndpointName", "Value": endpoint},
                    {"Name": "VariantName", "Value": variant},
                ],
                "Unit": unit,
                "Values": [value for value, _ in part],
                "Counts": [float(count) for _, count in part],
            }


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
