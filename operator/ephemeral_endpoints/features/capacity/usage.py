"""What an object costs in a month beside its capacity: what was counted of it, or is kept for it, times prices. Pure.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html. Durations
are in milliseconds, latencies of models in microseconds. API Gateway counts the requests to an API, which objects
share; each of them invokes a function.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import reduce
from operator import mul
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.serving import Serverless
from ephemeral_endpoints.features.capacity.accrual import month_start
from ephemeral_endpoints.features.capacity.always_on import hours
from ephemeral_endpoints.features.capacity.cost import amount
from ephemeral_endpoints.features.capacity.prices import (
    ALARM,
    API_REQUEST,
    IMAGES,
    LAMBDA_REQUEST,
    LAMBDA_SECOND,
    LOGS_INGESTED,
    LOGS_STORED,
    MODEL_DATA,
    MONTH_HOURS,
    SERVERLESS,
    Price,
    Prices,
)
from ephemeral_endpoints.features.images.references import recorded_images
from ephemeral_endpoints.features.monitoring.specs import ALARM as ALARMS
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.serving.desired import ONLY_VARIANT
from ephemeral_endpoints.features.serving.specs import SCALABLE_TARGET
from ephemeral_endpoints.features.subject import Subject

_MILLI: Final = Decimal("0.001")
_MICRO: Final = Decimal("0.000001")
_ONE: Final = Decimal(1)
_PER_BYTE: Final = 1 / Decimal(2**30)
"""AWS charges GB of 2^30 bytes: https://aws.amazon.com/s3/faqs/#Billing."""

_SHOWN: Final = Context(prec=6, rounding=ROUND_HALF_EVEN)
"""As many digits of a quantity are shown; all count."""

_ALARMS_A_TARGET: Final = 2
"""Target tracking has one alarm to scale out by and one to scale in by:
https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of CloudWatch, whose sum counts."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StoredLogs:
    """What a log group keeps now, in bytes."""

    group: str


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What an image takes in its repository, in bytes. ``uri`` names the image that has the digest."""

    uri: str
    digest: str


@dataclass(frozen=True, slots=True)
class StoredModel:
    """What the archives of a model package take in S3, in bytes."""

    package_arn: str


@dataclass(frozen=True, slots=True)
class Number:
    """What is known without a look."""

    count: int


Source = Metric | StoredLogs | StoredImage | StoredModel | Number


@dataclass(frozen=True, slots=True)
class Measure:
    """What is charged beside capacity: each of what the source counts is ``scale`` of a unit, ``times`` the factors.

    ``item`` is the price's; None: of no known price. ``unit`` and the words of the factors are for people.
    """

    words: str
    source: Source
    item: str | None
    scale: Decimal = _ONE
    unit: str = ""
    times: tuple[tuple[Decimal, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """What was used: ``counted`` units, None if AWS does not tell; and their price."""

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
        if self.price is None:
            return None
        return reduce(mul, (value for value, _ in self.measure.times), self.counted) * self.price.usd

    @property
    def formula(self) -> str:
        """How its USD come about."""
        if self.counted is None:
            return "not known"
        quantity = f"{_SHOWN.create_decimal(self.counted).normalize():f} {self.measure.unit}".rstrip()
        factors = (words for _, words in self.measure.times)
        return " x ".join((quantity, *factors, str(self.price or "an unknown price")))


def measures(subject: Subject, forwarder_mb: int, now: datetime) -> tuple[Measure, ...]:
    """What of an object is charged in the month of ``now`` beside its capacity; nothing before the operator named it.

    ``forwarder_mb`` is the memory of its forwarder. What is kept counts as if it had been the same since the object's
    creation, or the beginning of the month if that is later.
    """
    endpoint = subject.endpoint
    base = endpoint.status.endpoint_name
    if not base:
        return ()
    function, share = (("FunctionName", base),), _share(subject, now)
    invocations = Metric("AWS/Lambda", "Invocations", function)
    return (
        Measure("API requests", invocations, API_REQUEST),
        Measure("forwarder, requests", invocations, LAMBDA_REQUEST),
        _seconds("forwarder, seconds", Metric("AWS/Lambda", "Duration", function), LAMBDA_SECOND, _MILLI, forwarder_mb),
        *_of_models(endpoint, base),
        *_of_logs(endpoint, share),
        *_of_alarms(endpoint, share),
        *_of_storage(endpoint, share),
    )


def used(found: Iterable[Measure], sums: Mapping[Source, Decimal | None], prices: Prices) -> tuple[Use, ...]:
    """What was used, by what the sources count; one that is not among them is not known."""
    return tuple(_use(each, sums, prices) for each in found)


def _use(measure: Measure, sums: Mapping[Source, Decimal | None], prices: Prices) -> Use:
    source = measure.source
    total = Decimal(source.count) if isinstance(source, Number) else sums.get(source)
    counted = None if total is None else total * measure.scale
    return Use(measure, counted, prices.get(measure.item) if measure.item else None)


def _share(subject: Subject, now: datetime) -> tuple[Decimal, str]:
    """The share of a month in which the object was there."""
    there = hours(max(month_start(now), subject.created_at), now)
    return there / MONTH_HOURS, f"{amount(there)} h / {MONTH_HOURS}"


def _seconds(words: str, metric: Metric, item: str | None, scale: Decimal, memory_mb: int) -> Measure:
    gb = Decimal(memory_mb) / 1024
    return Measure(words, metric, item, scale, "s", ((gb, f"{gb.normalize():f} GB"),))


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
        yield _seconds(words, metric, item, _MICRO, capacity.memory_size_mb)


def _of_logs(endpoint: EphemeralEndpoint, share: tuple[Decimal, str]) -> Iterator[Measure]:
    groups = [each.name for each in endpoint.status.resources if each.kind == LOG_GROUP.name]
    for group in groups:
        incoming = Metric("AWS/Logs", "IncomingBytes", (("LogGroupName", group),))
        yield Measure(f"logs written to {group}", incoming, LOGS_INGESTED, _PER_BYTE, "GB")
    for group in groups:
        yield Measure(f"logs kept in {group}", StoredLogs(group), LOGS_STORED, _PER_BYTE, "GB", (share,))


def _of_alarms(endpoint: EphemeralEndpoint, share: tuple[Decimal, str]) -> Iterator[Measure]:
    kinds = [each.kind for each in endpoint.status.resources]
    if count := kinds.count(ALARMS.name):
        yield Measure("alarms", Number(count), ALARM, times=(share,))
    instances = endpoint.spec.serving.instances
    scaling = instances.autoscaling if instances else None
    is_tracking = scaling and (scaling.invocations_per_instance or scaling.backlog_per_instance)
    if is_tracking and (count := kinds.count(SCALABLE_TARGET.name)):
        yield Measure("alarms of autoscaling", Number(count * _ALARMS_A_TARGET), ALARM, times=(share,))


def _of_storage(endpoint: EphemeralEndpoint, share: tuple[Decimal, str]) -> Iterator[Measure]:
    """Images and registered models, which other objects may serve too: each of them counts the whole."""
    status = endpoint.status
    for each in dict.fromkeys(recorded_images(status)):
        name = each.uri.rpartition("/")[2]
        yield Measure(f"image {name}", StoredImage(each.uri, each.digest), IMAGES, _PER_BYTE, "GB", (share,))
    served = status.package.arn if status.package else None
    trained = status.training.package if status.training else None
    for arn in dict.fromkeys(each for each in (served, trained) if each):
        yield Measure("model data", StoredModel(arn), MODEL_DATA, _PER_BYTE, "GB", (share,))
