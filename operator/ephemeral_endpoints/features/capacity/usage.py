"""What the use of an object costs: what CloudWatch has counted, times prices. Pure.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html. Durations are in milliseconds, latencies of
models in microseconds. API Gateway counts the requests to an API, which objects share; each of them invokes a function.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.serving import Serverless
from ephemeral_endpoints.features.capacity.prices import (
    API_REQUEST,
    LAMBDA_REQUEST,
    LAMBDA_SECOND,
    SERVERLESS,
    Price,
    Prices,
)
from ephemeral_endpoints.features.serving.desired import ONLY_VARIANT

_MILLI: Final = Decimal("0.001")
_MICRO: Final = Decimal("0.000001")
_ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of CloudWatch, whose sum counts."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """What is charged by use: each of the metric's units is so many requests, or seconds with ``gb`` of memory.

    ``item`` is the price's; None: of no known price.
    """

    words: str
    metric: Metric
    scale: Decimal
    item: str | None
    gb: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What was used: ``counted`` requests or seconds, None if CloudWatch does not tell; and its price."""

    measure: Measure
    counted: Decimal | None
    price: Price | None

    @property
    def usd(self) -> Decimal | None:
        """What it costs; None if that is not known. What was not used costs nothing at any price."""
        if self.counted is None:
            return None
        if not self.counted:
            return Decimal(0)
        return self.counted * (self.measure.gb or _ONE) * self.price.usd if self.price else None

    @property
    def formula(self) -> str:
        """How its USD come about."""
        if self.counted is None:
            return "not known"
        gb = self.measure.gb
        quantity = f"{self.counted.normalize():f}" + ("" if gb is None else f" s x {gb.normalize():f} GB")
        return f"{quantity} x {self.price or 'an unknown price'}"


def measures(endpoint: EphemeralEndpoint, forwarder_mb: int) -> tuple[Measure, ...]:
    """What of an object is charged by use and counted by CloudWatch; nothing before the operator has named it.

    ``forwarder_mb`` is the memory of its forwarder.
    """
    base = endpoint.status.endpoint_name
    if not base:
        return ()
    function = (("FunctionName", base),)
    invocations = Metric("AWS/Lambda", "Invocations", function)
    return (
        Measure("API requests", invocations, _ONE, API_REQUEST),
        Measure("forwarder, requests", invocations, _ONE, LAMBDA_REQUEST),
        Measure(
            "forwarder, seconds",
            Metric("AWS/Lambda", "Duration", function),
            _MILLI,
            LAMBDA_SECOND,
            Decimal(forwarder_mb) / 1024,
        ),
        *_of_models(endpoint, base),
    )


def used(found: Iterable[Measure], sums: Mapping[Metric, Decimal | None], prices: Prices) -> tuple[Use, ...]:
    """What was used by the sums of metrics; a metric without a sum is not known."""
    counted = ((each, sums.get(each.metric)) for each in found)
    return tuple(
        Use(each, None if total is None else total * each.scale, prices.get(each.item) if each.item else None)
        for each, total in counted
    )


def _of_models(endpoint: EphemeralEndpoint, base: str) -> Iterator[Measure]:
    """The seconds of serverless models. What answers within provisioned concurrency has a price of its own."""
    capacity = endpoint.spec.serving.capacity
    if not isinstance(capacity, Serverless):
        return
    item = None if capacity.provisioned_concurrency else SERVERLESS
    several = [(each.endpoint_name or base, each.name) for each in endpoint.status.variants]
    for name, variant in several or [(base, ONLY_VARIANT)]:
        words = f"serverless, seconds of {variant}" if several else "serverless, seconds"
        metric = Metric("AWS/SageMaker", "ModelLatency", (("EndpointName", name), ("VariantName", variant)))
        yield Measure(words, metric, _MICRO, item, Decimal(capacity.memory_size_mb) / 1024)
