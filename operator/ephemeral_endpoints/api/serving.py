"""What a model runs on: serverless or instances, in one variant or several, and how a change of it is rolled out."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ephemeral_endpoints.api.base import ApiModel
from ephemeral_endpoints.api.duration import FORM
from ephemeral_endpoints.api.image_types import Image
from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.types import (
    DnsLabel,
    Environment,
    InstanceType,
    Integer,
    ModelDataUrl,
    S3Prefix,
    ScheduleExpression,
    ServerlessMemory,
    TimeZone,
    TopicArn,
    UpToAnHour,
)

MOST_VARIANTS = 5
_LINEAR_LEAST, _ROLLING_LEAST = 10, 5
LONGEST_ROLLOUT_SECONDS = 28_800
"""How long SageMaker works at a rollout, at most
(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_BlueGreenUpdatePolicy.html)."""


class Serverless(ApiModel):
    """Size of a serverless endpoint, which costs nothing while nobody calls it."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.provisionedConcurrency) || self.provisionedConcurrency <= self.maxConcurrency",
            message="provisionedConcurrency must not be more than maxConcurrency",
            holds=lambda size: (size.provisioned_concurrency or 0) <= size.max_concurrency,
        ),
    )

    memory_size_mb: Annotated[ServerlessMemory, Field(alias="memorySizeMB")] = 2048
    """Memory of the container in MB: 1024, 2048, 3072, 4096, 5120 or 6144. CPU grows with it. Default 2048."""

    max_concurrency: Annotated[Integer, Field(ge=1, le=200)] = 1
    """Requests that are served at the same time, 1 to 200; further ones are answered with 503 and Retry-After. It
    counts against the account's quota. Default 1."""

    provisioned_concurrency: Annotated[Integer, Field(ge=1, le=200)] | None = None
    """Requests for which capacity is kept warm, 1 to maxConcurrency: no cold starts for those, and a price that is paid
    all the time. Absent: none."""


class ScheduledCapacity(ApiModel):
    """Other bounds of the number of instances from a moment on."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.minCount <= self.maxCount",
            message="minCount must not be more than maxCount",
            holds=lambda action: action.min_count <= action.max_count,
        ),
    )

    name: Annotated[DnsLabel, Field(max_length=30)]
    """Name of the action, a DNS label of at most 30 characters; it must be unique."""

    schedule: ScheduleExpression
    """When: cron(0 8 ? * MON-FRI *), at(2026-12-24T18:00:00) or rate(1 day)."""

    timezone: TimeZone = "UTC"
    """Time zone of the schedule, such as Europe/Berlin. Default UTC."""

    min_count: Annotated[Integer, Field(ge=0, le=100)]
    """Fewest instances from then on, 0 to 100; 0 needs serving.asynchronous."""

    max_count: Annotated[Integer, Field(ge=0, le=100)]
    """Most instances from then on, 0 to 100."""


class Autoscaling(ApiModel):
    """How the number of instances follows the load, or the time."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.minCount <= self.maxCount",
            message="minCount must not be more than maxCount",
            holds=lambda scaling: scaling.min_count <= scaling.max_count,
        ),
        Rule(
            cel="has(self.invocationsPerInstance) || has(self.backlogPerInstance) || has(self.schedule)",
            message="say what scales: invocationsPerInstance, backlogPerInstance or a schedule",
            holds=lambda scaling: bool(
                scaling.invocations_per_instance or scaling.backlog_per_instance or scaling.schedule
            ),
        ),
        Rule(
            cel="!(has(self.invocationsPerInstance) && has(self.backlogPerInstance))",
            message="choose one of invocationsPerInstance and backlogPerInstance",
            holds=lambda scaling: not (scaling.invocations_per_instance and scaling.backlog_per_instance),
        ),
    )

    min_count: Annotated[Integer, Field(ge=0, le=100)] = 1
    """Fewest instances, 0 to 100; 0 needs serving.asynchronous. Default 1."""

    max_count: Annotated[Integer, Field(ge=1, le=100)]
    """Most instances, 1 to 100."""

    invocations_per_instance: Annotated[Integer, Field(ge=1, le=1_000_000)] | None = None
    """Requests a minute that one instance should serve on average."""

    backlog_per_instance: Annotated[Integer, Field(ge=1, le=1_000_000)] | None = None
    """Waiting requests for each instance on average; needs serving.asynchronous."""

    scale_in_cooldown: UpToAnHour = timedelta(minutes=5)
    """Pause before instances are taken away again, at most 1h. Default 5m."""

    scale_out_cooldown: UpToAnHour = timedelta(minutes=5)
    """Pause before further instances are added, at most 1h. Default 5m."""

    schedule: Annotated[
        tuple[ScheduledCapacity, ...],
        Field(
            max_length=10,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Other bounds at certain times, at most 10."""


def _is_burstable(instance_type: str) -> bool:
    return re.match("ml[.]t[0-9]", instance_type) is not None


class Instances(ApiModel):
    """Instances that run, and cost, all the time."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.autoscaling)"
            " || (self.autoscaling.minCount <= self.count && self.count <= self.autoscaling.maxCount)",
            message="count, which autoscaling begins with, must be from its minCount to its maxCount",
            holds=lambda instances: (
                instances.autoscaling is None
                or instances.autoscaling.min_count <= instances.count <= instances.autoscaling.max_count
            ),
        ),
        Rule(
            # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
            cel="!has(self.autoscaling) || !self.type.matches('^ml[.]t[0-9]')",
            message="autoscaling needs instances that are not burstable: choose another type than ml.t2 or ml.t3",
            holds=lambda instances: instances.autoscaling is None or not _is_burstable(instances.type),
        ),
    )

    type: InstanceType
    """Type of the instances, such as ml.t2.medium. The class says which are allowed."""

    count: Annotated[Integer, Field(ge=1, le=100)] = 1
    """Number of instances of each variant, 1 to 100; with autoscaling the number to begin with. Default 1."""

    autoscaling: Autoscaling | None = None
    """How the number follows the load, or the time. Absent: it stays."""


class VariantModel(ApiModel):
    """In what a variant's model differs from spec.model."""

    image: Image | None = None
    """Image of the variant's model server. Absent: that of spec.model."""

    data_url: ModelDataUrl | None = None
    """S3 URL of the variant's model archive. Absent: that of spec.model."""

    environment: Environment | None = None
    """Environment variables in place of those of spec.model. Absent: those of spec.model."""


class Variant(ApiModel):
    """One of several models behind one URL."""

    name: Annotated[DnsLabel, Field(max_length=30)]
    """Name of the variant, a DNS label of at most 30 characters. Callers choose one by the header eep-variant, and
    see by it which one answered."""

    weight: Annotated[Integer, Field(ge=0, le=1000)] = 1
    """The variant's share of the requests, in relation to the others' weights, 0 to 1000. With 0 only those who name it
    reach it. Default 1."""

    model: VariantModel = VariantModel()
    """In what its model differs from spec.model."""


class Asynchronous(ApiModel):
    """Requests that are queued, and whose results are fetched later."""

    s3_uri: S3Prefix
    """Where requests and results are kept: s3://<bucket>/<prefix>. The class's forwarder role must be able to write and
    read there, its execution role too. Objects are not deleted: set a lifecycle rule on the bucket."""

    max_concurrency_per_instance: Annotated[Integer, Field(ge=1, le=1000)] | None = None
    """Requests that an instance works on at the same time, 1 to 1000. Absent: SageMaker chooses."""

    success_topic_arn: TopicArn | None = None
    """SNS topic that is told of every result."""

    error_topic_arn: TopicArn | None = None
    """SNS topic that is told of every failure."""


class Strategy(StrEnum):
    """How traffic goes over to what is new."""

    ALL_AT_ONCE = "AllAtOnce"
    CANARY = "Canary"
    LINEAR = "Linear"
    ROLLING = "Rolling"


def _takes(rollout: "Rollout") -> timedelta:
    """How long the steps take together, if size and pause are both given."""
    if rollout.strategy in (Strategy.ALL_AT_ONCE, Strategy.CANARY) or not (rollout.step_percent and rollout.interval):
        return timedelta(0)
    return rollout.interval * (100 // rollout.step_percent + 1)


class Rollout(ApiModel):
    """How a change goes into service. Serverless endpoints know AllAtOnce only."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.strategy != 'AllAtOnce' || (!has(self.stepPercent) && !has(self.interval))",
            message="AllAtOnce has no steps: leave stepPercent and interval out, or choose another strategy",
            holds=lambda rollout: (
                rollout.strategy is not Strategy.ALL_AT_ONCE or not (rollout.step_percent or rollout.interval)
            ),
        ),
        Rule(
            cel="self.strategy != 'Linear' || !has(self.stepPercent) || self.stepPercent >= 10",
            message="stepPercent must be 10 to 50 for Linear",
            holds=lambda rollout: (
                rollout.strategy is not Strategy.LINEAR or (rollout.step_percent or _LINEAR_LEAST) >= _LINEAR_LEAST
            ),
        ),
        Rule(
            cel="self.strategy != 'Rolling' || !has(self.stepPercent) || self.stepPercent >= 5",
            message="stepPercent must be 5 to 50 for Rolling",
            holds=lambda rollout: (
                rollout.strategy is not Strategy.ROLLING or (rollout.step_percent or _ROLLING_LEAST) >= _ROLLING_LEAST
            ),
        ),
        Rule(
            # A malformed duration has its own rule and message; here it would only fail to evaluate.
            cel="self.strategy in ['AllAtOnce', 'Canary'] || !has(self.stepPercent) || !has(self.interval)"
            f" || !self.interval.matches('^({FORM})$') || self.interval == ''"
            f" || duration(self.interval).getSeconds() * (100 / self.stepPercent + 1) <= {LONGEST_ROLLOUT_SECONDS}",
            message="all steps together must take at most 8h: choose larger steps or a shorter interval",
            holds=lambda rollout: _takes(rollout) <= timedelta(seconds=LONGEST_ROLLOUT_SECONDS),
        ),
    )

    strategy: Strategy = Strategy.ALL_AT_ONCE
    """AllAtOnce: all traffic goes over when the new instances serve. Canary: first stepPercent of it, the rest after
    the interval. Linear: stepPercent more after each interval. Rolling: stepPercent of the instances are replaced at a
    time, which needs the least further instances. Default AllAtOnce."""

    step_percent: Annotated[Integer, Field(ge=1, le=50)] | None = None
    """Size of a step in percent: Canary 1 to 50 (absent: 10), Linear 10 to 50 (absent: 25), Rolling 5 to 50 (absent:
    50)."""

    interval: UpToAnHour | None = None
    """How long the alarms are watched after each step, at most 1h. Absent: 5m."""

    auto_rollback: bool = True
    """Whether an alarm that goes off during a rollout on instances takes it back. Default true."""


def _has_instances(serving: "Serving") -> bool:
    return serving.instances is not None


def _fewest(serving: "Serving") -> int:
    scaling = serving.instances.autoscaling if serving.instances else None
    return min([scaling.min_count, *(each.min_count for each in scaling.schedule)]) if scaling else 1


def _has_backlog(serving: "Serving") -> bool:
    scaling = serving.instances.autoscaling if serving.instances else None
    return scaling is not None and scaling.backlog_per_instance is not None


_SCALING = "(!has(self.instances) || !has(self.instances.autoscaling) || "


class Serving(ApiModel):
    """What the model runs on."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!(has(self.serverless) && has(self.instances))",
            message="choose one of serverless and instances",
            holds=lambda serving: not (serving.serverless and serving.instances),
        ),
        Rule(
            cel="!has(oldSelf.instances) || has(self.instances)",
            message="an endpoint on instances cannot become serverless: delete the object and make it anew",
        ),
        Rule(
            cel="!has(self.asynchronous) || has(self.instances)",
            message="asynchronous needs instances: serverless endpoints answer at once only",
            holds=lambda serving: serving.asynchronous is None or _has_instances(serving),
        ),
        Rule(
            cel="has(oldSelf.asynchronous) == has(self.asynchronous)",
            message="asynchronous cannot be set or removed later, because callers would not be answered as they "
            "expect: delete the object and make it anew",
        ),
        Rule(
            cel="self.rollout.strategy == 'AllAtOnce' || has(self.instances)",
            message="the rollout strategy of a serverless endpoint must be AllAtOnce",
            holds=lambda serving: serving.rollout.strategy is Strategy.ALL_AT_ONCE or _has_instances(serving),
        ),
        Rule(
            cel="self.rollout.strategy != 'Rolling' || !has(self.variants) || size(self.variants) <= 1",
            message="the rollout strategy Rolling allows one variant only",
            holds=lambda serving: serving.rollout.strategy is not Strategy.ROLLING or len(serving.variants) <= 1,
        ),
        Rule(
            cel="self.rollout.strategy == 'AllAtOnce'"
            " || (has(self.variants) ? self.variants.map(each, each.name) : [])"
            " == (has(oldSelf.variants) ? oldSelf.variants.map(each, each.name) : [])",
            message="the names of the variants can change with the rollout strategy AllAtOnce only",
        ),
        Rule(
            cel="!has(self.asynchronous) || !has(self.variants) || size(self.variants) <= 1",
            message="asynchronous allows one variant only",
            holds=lambda serving: serving.asynchronous is None or len(serving.variants) <= 1,
        ),
        Rule(
            cel="!has(self.variants) || self.variants.exists(each, each.weight > 0)",
            message="one of the variants must have a weight above 0",
            holds=lambda serving: not serving.variants or any(each.weight for each in serving.variants),
        ),
        Rule(
            cel=f"has(self.asynchronous) || {_SCALING}(self.instances.autoscaling.minCount > 0"
            " && (!has(self.instances.autoscaling.schedule)"
            " || self.instances.autoscaling.schedule.all(each, each.minCount > 0))))",
            message="minCount 0 needs asynchronous: nobody would answer",
            holds=lambda serving: serving.asynchronous is not None or _fewest(serving) > 0,
        ),
        Rule(
            cel=f"has(self.asynchronous) || {_SCALING}!has(self.instances.autoscaling.backlogPerInstance))",
            message="backlogPerInstance needs asynchronous",
            holds=lambda serving: serving.asynchronous is not None or not _has_backlog(serving),
        ),
    )

    serverless: Serverless | None = None
    """Serve from a serverless endpoint of this size. Absent, and no instances: serverless of the default size."""

    instances: Instances | None = None
    """Serve from instances."""

    variants: Annotated[
        tuple[Variant, ...],
        Field(
            max_length=MOST_VARIANTS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Several models behind one URL, at most 5, that share the requests by weight. On instances they are production
    variants of one endpoint, without instances an endpoint each. Absent: spec.model alone."""

    rollout: Rollout = Rollout()
    """How a change goes into service."""

    asynchronous: Asynchronous | None = None
    """Queue requests and keep results in S3: POST answers 202 with a Location, where the result can be fetched. Absent:
    requests are answered at once."""

    @property
    def capacity(self) -> Serverless | Instances:
        """What each variant runs on."""
        return self.instances or self.serverless or Serverless()
