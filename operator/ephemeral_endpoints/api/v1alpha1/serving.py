"""The capacity that a model runs on: serverless or instances, variants, and rollouts."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.duration import cel_is_duration, cel_seconds
from ephemeral_endpoints.api.v1alpha1.hosting import InstanceHosting
from ephemeral_endpoints.api.v1alpha1.image_types import Image
from ephemeral_endpoints.api.v1alpha1.model_data import ModelData
from ephemeral_endpoints.api.v1alpha1.network import Network
from ephemeral_endpoints.api.v1alpha1.types import (
    DnsLabel,
    Environment,
    Integer,
    RoleArn,
    S3Prefix,
    ScheduleExpression,
    ServerlessMemory,
    TimeZone,
    TopicArn,
    UpToAnHour,
)

MOST_VARIANTS = 5

# SageMaker takes 512 characters for the folders of results and failures, which are /<endpoint>/failures below it:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AsyncInferenceOutputConfig.html
_LONGEST_QUEUE = 512 - len("/") - 63 - len("/failures")

_LINEAR_LEAST, _ROLLING_LEAST = 10, 5
LONGEST_ROLLOUT_SECONDS = 28_800
"""The longest rollout that SageMaker allows
(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_BlueGreenUpdatePolicy.html)."""


class Serverless(ApiModel):
    """Size of a serverless endpoint, which costs nothing while it is idle."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.provisionedConcurrency) || self.provisionedConcurrency <= self.maxConcurrency",
            message="provisionedConcurrency must not be greater than maxConcurrency",
            holds=lambda size: (size.provisioned_concurrency or 0) <= size.max_concurrency,
        ),
    )

    memory_size_mb: Annotated[ServerlessMemory, Field(alias="memorySizeMB")] = 2048
    """Memory of the container in MB: 1024, 2048, 3072, 4096, 5120 or 6144. CPU grows with it. Default 2048."""

    max_concurrency: Annotated[Integer, Field(ge=1, le=200)] = 1
    """Maximum number of concurrent requests, 1 to 200; further requests get a 503 with Retry-After. It counts against
    the account's quota. Default 1."""

    provisioned_concurrency: Annotated[Integer, Field(ge=1, le=200)] | None = None
    """Number of concurrent requests without cold starts, 1 to maxConcurrency; this capacity is charged all the time.
    Absent: none."""


class ScheduledCapacity(ApiModel):
    """Bounds of the number of instances from a point in time on."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.minCount <= self.maxCount",
            message="minCount must not be greater than maxCount",
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
    """Minimum number of instances from then on, 0 to 100; 0 needs serving.asynchronous."""

    max_count: Annotated[Integer, Field(ge=0, le=100)]
    """Maximum number of instances from then on, 0 to 100."""


class Autoscaling(ApiModel):
    """How the number of instances follows the load or a schedule."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.minCount <= self.maxCount",
            message="minCount must not be greater than maxCount",
            holds=lambda scaling: scaling.min_count <= scaling.max_count,
        ),
        Rule(
            cel="has(self.invocationsPerInstance) || has(self.backlogPerInstance) || has(self.schedule)",
            message="set at least one of invocationsPerInstance, backlogPerInstance and schedule",
            holds=lambda scaling: bool(
                scaling.invocations_per_instance or scaling.backlog_per_instance or scaling.schedule
            ),
        ),
        Rule(
            cel="!(has(self.invocationsPerInstance) && has(self.backlogPerInstance))",
            message="set only one of invocationsPerInstance and backlogPerInstance",
            holds=lambda scaling: not (scaling.invocations_per_instance and scaling.backlog_per_instance),
        ),
    )

    min_count: Annotated[Integer, Field(ge=0, le=100)] = 1
    """Minimum number of instances, 0 to 100; 0 needs serving.asynchronous. Default 1."""

    max_count: Annotated[Integer, Field(ge=1, le=100)]
    """Maximum number of instances, 1 to 100."""

    invocations_per_instance: Annotated[Integer, Field(ge=1, le=1_000_000)] | None = None
    """Target number of requests per minute and instance."""

    backlog_per_instance: Annotated[Integer, Field(ge=1, le=1_000_000)] | None = None
    """Target number of queued requests per instance; needs serving.asynchronous."""

    scale_in_cooldown: UpToAnHour = timedelta(minutes=5)
    """Pause before instances are removed, at most 1h. Default 5m."""

    scale_out_cooldown: UpToAnHour = timedelta(minutes=5)
    """Pause before instances are added, at most 1h. Default 5m."""

    schedule: Annotated[
        tuple[ScheduledCapacity, ...],
        Field(
            max_length=10,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Scheduled changes of the bounds, at most 10."""


def _is_burstable(instance_type: str) -> bool:
    return re.match("ml[.]t[0-9]", instance_type) is not None


class Instances(InstanceHosting):
    """Instances, which run and cost all the time."""

    rules: ClassVar[tuple[Rule, ...]] = (
        *InstanceHosting.rules,
        Rule(
            cel="!has(self.autoscaling)"
            " || (self.autoscaling.minCount <= self.count && self.count <= self.autoscaling.maxCount)",
            message="count, with which autoscaling starts, must be between its minCount and its maxCount",
            holds=lambda instances: (
                instances.autoscaling is None
                or instances.autoscaling.min_count <= instances.count <= instances.autoscaling.max_count
            ),
        ),
        Rule(
            # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
            cel="!has(self.autoscaling) || !(self.type.matches('^ml[.]t[0-9]')"
            " || (has(self.fallbackTypes) && self.fallbackTypes.exists(type, type.matches('^ml[.]t[0-9]'))))",
            message="autoscaling does not support burstable instances: choose a type other than ml.t2 and ml.t3",
            holds=lambda instances: instances.autoscaling is None or not any(map(_is_burstable, instances.types)),
        ),
    )

    count: Annotated[Integer, Field(ge=1, le=100)] = 1
    """Number of instances of each variant, 1 to 100; with autoscaling the initial number. Default 1."""

    autoscaling: Autoscaling | None = None
    """How the number follows the load or a schedule. Absent: it is constant."""


class VariantModel(ModelData):
    """Differences of a variant's model from spec.model, whose data its own dataUrl or s3Prefix replaces."""

    image: Image | None = None
    """Image of the variant's model server. Absent: that of spec.model."""

    environment: Environment | None = None
    """Environment variables in place of those of spec.model. Absent: those of spec.model."""


class Variant(ApiModel):
    """One of several models behind one URL."""

    name: Annotated[DnsLabel, Field(max_length=30)]
    """Name of the variant, a DNS label of at most 30 characters. Callers choose a variant with the header
    eep-variant; the response names the variant that answered in the same header."""

    weight: Annotated[Integer, Field(ge=0, le=1000)] = 1
    """The variant's share of the requests relative to the weights of the others, 0 to 1000. A variant with 0 gets only
    requests that name it. Default 1."""

    model: VariantModel = VariantModel()
    """Differences of its model from spec.model."""


class Asynchronous(ApiModel):
    """Requests that are queued; callers fetch the results later."""

    s3_uri: Annotated[S3Prefix, Field(max_length=_LONGEST_QUEUE)]
    """Location of requests and results: s3://<bucket>/<prefix>. The class's forwarder role and execution role must be
    able to read and write there. The operator does not delete them: set a lifecycle rule on the bucket."""

    max_concurrency_per_instance: Annotated[Integer, Field(ge=1, le=1000)] | None = None
    """Maximum number of concurrent requests per instance, 1 to 1000. Absent: SageMaker chooses it."""

    success_topic_arn: TopicArn | None = None
    """ARN of the SNS topic that SageMaker notifies of every result."""

    error_topic_arn: TopicArn | None = None
    """ARN of the SNS topic that SageMaker notifies of every failure."""


class Strategy(StrEnum):
    """How traffic shifts to new instances."""

    ALL_AT_ONCE = "AllAtOnce"
    CANARY = "Canary"
    LINEAR = "Linear"
    ROLLING = "Rolling"
    RECREATE = "Recreate"


_STEPLESS = (Strategy.ALL_AT_ONCE, Strategy.RECREATE)


def _takes(rollout: "Rollout") -> timedelta:
    """The duration of all steps, if both their size and the interval are given."""
    if rollout.strategy in (*_STEPLESS, Strategy.CANARY) or not (rollout.step_percent and rollout.interval):
        return timedelta(0)
    return rollout.interval * (100 // rollout.step_percent + 1)


class Rollout(ApiModel):
    """How changes are rolled out. Serverless endpoints support only AllAtOnce."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!(self.strategy in ['AllAtOnce', 'Recreate']) || (!has(self.stepPercent) && !has(self.interval))",
            message="AllAtOnce and Recreate have no steps: remove stepPercent and interval, or choose another strategy",
            holds=lambda rollout: rollout.strategy not in _STEPLESS or not (rollout.step_percent or rollout.interval),
        ),
        Rule(
            cel="self.strategy != 'Linear' || !has(self.stepPercent) || self.stepPercent >= 10",
            message="stepPercent must be between 10 and 50 for Linear",
            holds=lambda rollout: (
                rollout.strategy is not Strategy.LINEAR or (rollout.step_percent or _LINEAR_LEAST) >= _LINEAR_LEAST
            ),
        ),
        Rule(
            cel="self.strategy != 'Rolling' || !has(self.stepPercent) || self.stepPercent >= 5",
            message="stepPercent must be between 5 and 50 for Rolling",
            holds=lambda rollout: (
                rollout.strategy is not Strategy.ROLLING or (rollout.step_percent or _ROLLING_LEAST) >= _ROLLING_LEAST
            ),
        ),
        Rule(
            # A malformed duration has its own rule and message.
            cel="self.strategy in ['AllAtOnce', 'Recreate', 'Canary'] || !has(self.stepPercent) || !has(self.interval)"
            f" || !{cel_is_duration('self.interval')}"
            f" || {cel_seconds('self.interval')} * (100 / self.stepPercent + 1) <= {LONGEST_ROLLOUT_SECONDS}",
            message="all steps together must take at most 8h: raise stepPercent or shorten interval",
            holds=lambda rollout: _takes(rollout) <= timedelta(seconds=LONGEST_ROLLOUT_SECONDS),
        ),
    )

    strategy: Strategy = Strategy.ALL_AT_ONCE
    """AllAtOnce: all traffic shifts once the new instances serve. Canary: stepPercent of the traffic shifts first, the
    rest after the interval. Linear: stepPercent of the traffic shifts after each interval. Rolling: stepPercent of the
    instances are replaced at a time, which needs the fewest additional instances. Recreate: the endpoint is deleted and
    then created again, which needs no additional instances; it is down meanwhile, its URL and token stay. The operator
    also recreates an endpoint by itself if a quota refuses the additional instances of another strategy. Default
    AllAtOnce."""

    step_percent: Annotated[Integer, Field(ge=1, le=50)] | None = None
    """Size of a step in percent: Canary 1 to 50 (absent: 10), Linear 10 to 50 (absent: 25), Rolling 5 to 50 (absent:
    50)."""

    interval: UpToAnHour | None = None
    """How long the alarms are watched after each step, at most 1h. Absent: 5m."""

    auto_rollback: bool = True
    """Whether an alarm that goes off during a rollout on instances rolls it back. Default true."""


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
    """The capacity that the model runs on."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!(has(self.serverless) && has(self.instances))",
            message="set only one of serverless and instances",
            holds=lambda serving: not (serving.serverless and serving.instances),
        ),
        Rule(
            cel="!has(oldSelf.instances) || has(self.instances)",
            message="an endpoint on instances cannot become serverless: delete the object and create it again",
        ),
        Rule(
            cel="!has(self.asynchronous) || has(self.instances)",
            message="asynchronous needs instances: serverless endpoints do not support asynchronous inference",
            holds=lambda serving: serving.asynchronous is None or _has_instances(serving),
        ),
        Rule(
            cel="has(oldSelf.asynchronous) == has(self.asynchronous)",
            message="asynchronous cannot be set or removed after creation, because it changes how callers get answers: "
            "delete the object and create it again",
        ),
        Rule(
            cel="self.rollout.strategy == 'AllAtOnce' || has(self.instances)",
            message="the rollout strategy of a serverless endpoint must be AllAtOnce",
            holds=lambda serving: serving.rollout.strategy is Strategy.ALL_AT_ONCE or _has_instances(serving),
        ),
        Rule(
            cel="self.rollout.strategy != 'Rolling' || !has(self.variants) || size(self.variants) <= 1",
            message="the rollout strategy Rolling supports only one variant",
            holds=lambda serving: serving.rollout.strategy is not Strategy.ROLLING or len(serving.variants) <= 1,
        ),
        Rule(
            cel="self.rollout.strategy in ['AllAtOnce', 'Recreate']"
            " || (has(self.variants) ? self.variants.map(each, each.name) : [])"
            " == (has(oldSelf.variants) ? oldSelf.variants.map(each, each.name) : [])",
            message="the names of variants can change only with the rollout strategies AllAtOnce and Recreate",
        ),
        Rule(
            cel="!has(self.asynchronous) || !has(self.variants) || size(self.variants) <= 1",
            message="asynchronous supports only one variant",
            holds=lambda serving: serving.asynchronous is None or len(serving.variants) <= 1,
        ),
        Rule(
            cel="!has(self.variants) || self.variants.exists(each, each.weight > 0)",
            message="at least one variant must have a weight above 0",
            holds=lambda serving: not serving.variants or any(each.weight for each in serving.variants),
        ),
        Rule(
            cel=f"has(self.asynchronous) || {_SCALING}(self.instances.autoscaling.minCount > 0"
            " && (!has(self.instances.autoscaling.schedule)"
            " || self.instances.autoscaling.schedule.all(each, each.minCount > 0))))",
            message="minCount 0 needs asynchronous: without instances nothing answers synchronous requests",
            holds=lambda serving: serving.asynchronous is not None or _fewest(serving) > 0,
        ),
        Rule(
            cel=f"has(self.asynchronous) || {_SCALING}!has(self.instances.autoscaling.backlogPerInstance))",
            message="backlogPerInstance needs asynchronous",
            holds=lambda serving: serving.asynchronous is not None or not _has_backlog(serving),
        ),
        Rule(
            cel="!has(self.network) || has(self.instances)",
            message="network needs instances: SageMaker supports neither a VPC nor isolation for serverless endpoints",
            holds=lambda serving: serving.network is None or _has_instances(serving),
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

    network: Network | None = None
    """A narrower network than the class's; needs instances. Absent: the class's."""

    execution_role_arn: RoleArn | None = None
    """ARN of the role that the model runs with, one of the class's allowedExecutionRoleArns. Absent: the class's
    executionRoleArn."""

    rollout: Rollout = Rollout()
    """How a change goes into service."""

    asynchronous: Asynchronous | None = None
    """Queue requests and keep results in S3: POST answers 202 with a Location, where the result can be fetched. Absent:
    requests are answered at once."""

    @property
    def is_provisioned(self) -> bool:
        """Whether part of a serverless capacity is charged all the time."""
        return self.serverless is not None and self.serverless.provisioned_concurrency is not None

    @property
    def capacity(self) -> Serverless | Instances:
        """What each variant runs on."""
        return self.instances or self.serverless or Serverless()
