"""The specs of models, endpoint configurations, endpoints and their autoscaling."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any, Final

from typing_extensions import override

from ephemeral_endpoints.api.v1alpha1.hosting import RoutingStrategy
from ephemeral_endpoints.api.v1alpha1.serving import Strategy
from ephemeral_endpoints.engine.resources import Key, ResourceKind, Spec
from ephemeral_endpoints.engine.tags import Tags

ENDPOINT_READY: Final = "EndpointReady"
"""The type of the condition of the stage."""

MODEL: Final = ResourceKind("Model", ENDPOINT_READY, content_named=True)
ENDPOINT_CONFIG: Final = ResourceKind("EndpointConfig", ENDPOINT_READY, content_named=True, listed_after=MODEL)
ENDPOINT: Final = ResourceKind("Endpoint", ENDPOINT_READY, changes_by_itself=True, listed_after=ENDPOINT_CONFIG)
SCALABLE_TARGET: Final = ResourceKind("ScalableTarget", ENDPOINT_READY)
SERVING_KINDS: Final = frozenset({MODEL, ENDPOINT_CONFIG, ENDPOINT, SCALABLE_TARGET})
"""The kinds that serve a revision."""

RUNNING_KINDS: Final = frozenset({ENDPOINT, SCALABLE_TARGET})
"""Those of them that an object does without whose endpoint is gone while it is asleep."""


_OPTIONAL: Final[Mapping[str, bool]] = {"optional": True}
"""Of a member that is part of the content only where it is set: adding it to a kind renames nothing that exists."""


def content(spec: object) -> Any:
    """The content of an immutable resource as JSON, from which its name is made; what does not count is left empty."""
    if is_dataclass(spec):
        members = {each: getattr(spec, each.name) if each.compare else () for each in fields(spec)}
        return {
            each.name: content(value) for each, value in members.items() if value or not each.metadata.get("optional")
        }
    return [content(each) for each in spec] if isinstance(spec, tuple) else spec


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Files in S3: an archive that is unpacked, or everything below a folder as it is."""

    uri: str
    accepts_eula: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is everything below a folder."""
        return self.uri.endswith("/")


@dataclass(frozen=True, slots=True)
class VpcSpec:
    """The network interfaces of a model; both lists are sorted."""

    security_group_ids: tuple[str, ...]
    subnet_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelSpec(Spec):
    """A SageMaker model, immutable and named by its content.

    Its data is at ``data_url`` if it is an archive without an agreement, which is all that serverless endpoints
    support, otherwise in ``data_source``. ``additional_data`` are further sources by name. ``package`` is the ARN of
    the version that image and data are of. SageMaker makes the model of it, and only if it is approved, unless the
    model ``is_direct``. That does not rename it: an approval replaces nothing that serves.
    """

    image: str
    data_url: str | None
    environment: tuple[tuple[str, str], ...]
    role_arn: str
    tags: Tags = field(compare=False, default=())
    data_source: DataSpec | None = field(default=None, metadata=_OPTIONAL)
    additional_data: tuple[tuple[str, DataSpec], ...] = field(default=(), metadata=_OPTIONAL)
    vpc: VpcSpec | None = field(default=None, metadata=_OPTIONAL)
    isolated: bool = field(default=False, metadata=_OPTIONAL)
    package: str | None = field(default=None, metadata=_OPTIONAL)
    is_direct: bool = field(default=True, compare=False, metadata=_OPTIONAL)


@dataclass(frozen=True, slots=True)
class ServerlessSpec:
    """Serverless capacity; memory in MB, concurrency in requests."""

    memory_mb: int
    max_concurrency: int
    provisioned_concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """Capacity on instances: their type, and how many to begin with.

    ``fallback_types`` run where there is no capacity of the type. None leaves a value to SageMaker; times in seconds.
    """

    instance_type: str
    count: int
    fallback_types: tuple[str, ...] = field(default=(), metadata=_OPTIONAL)
    capacity_timeout: int | None = field(default=None, metadata=_OPTIONAL)
    startup_timeout: int | None = field(default=None, metadata=_OPTIONAL)
    download_timeout: int | None = field(default=None, metadata=_OPTIONAL)
    volume_size_gb: int | None = field(default=None, metadata=_OPTIONAL)
    ami_version: str | None = field(default=None, metadata=_OPTIONAL)
    routing: RoutingStrategy | None = field(default=None, metadata=_OPTIONAL)


@dataclass(frozen=True, slots=True)
class VariantSpec:
    """A production variant: a model, its instances, and its share of the requests."""

    name: str
    model: str
    capacity: ServerlessSpec | InstanceSpec
    weight: int = 1


@dataclass(frozen=True, slots=True)
class CaptureSpec:
    """The record of requests and answers in S3."""

    s3_uri: str
    sampling_percent: int
    key_arn: str | None = field(default=None, metadata=_OPTIONAL)


@dataclass(frozen=True, slots=True)
class AsynchronousSpec:
    """Where the results of queued requests are stored, and the topics that are notified."""

    output_s3_uri: str
    failure_s3_uri: str
    max_concurrency_per_instance: int | None = None
    success_topic_arn: str | None = None
    error_topic_arn: str | None = None
    key_arn: str | None = field(default=None, metadata=_OPTIONAL)


@dataclass(frozen=True, slots=True)
class EndpointConfigSpec(Spec):
    """A SageMaker endpoint configuration, immutable and named by its content."""

    variants: tuple[VariantSpec, ...]
    capture: CaptureSpec | None = None
    asynchronous: AsynchronousSpec | None = None
    tags: Tags = field(compare=False, default=())
    volume_key_arn: str | None = field(default=None, metadata=_OPTIONAL)


@dataclass(frozen=True, slots=True)
class RolloutSpec:
    """How an update of an endpoint on instances goes into service. Steps in percent, times in seconds.

    ``alarms`` are the names of the alarms that take it back.
    """

    strategy: Strategy
    step_percent: int | None
    interval_seconds: int
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointSpec(Spec):
    """A SageMaker endpoint: a fixed name that serves one configuration after another.

    ``rollout`` None leaves the way of an update to SageMaker. An update ``keeps_counts`` of instances where something
    else sets them. One that ``recreates`` is not updated to another configuration, but deleted and created again.
    ``forms`` are the configurations with and without provisioned concurrency of an endpoint that sleeps without it:
    they serve the same.
    """

    config: str
    rollout: RolloutSpec | None = field(compare=False, default=None)
    keeps_counts: bool = field(compare=False, default=False)
    recreates: bool = field(compare=False, default=False)
    forms: tuple[str, ...] = field(compare=False, default=())
    tags: Tags = field(compare=False, default=())

    @override
    def can_become(self, wanted: Spec) -> bool:
        return isinstance(wanted, EndpointSpec) and (wanted.config == self.config or not wanted.recreates)


class ScalingMetric(StrEnum):
    """The metrics of target tracking."""

    INVOCATIONS = "invocations"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class TargetTracking:
    """Scaling that keeps a metric per instance at a value; cooldowns in seconds."""

    metric: ScalingMetric
    value: int
    scale_in_cooldown_seconds: int
    scale_out_cooldown_seconds: int


@dataclass(frozen=True, slots=True, order=True)
class ScheduledBounds:
    """Other bounds of the number of instances from a moment on."""

    name: str
    schedule: str
    timezone: str
    min_count: int
    max_count: int


@dataclass(frozen=True, slots=True)
class ScalableTargetSpec(Spec):
    """The autoscaling of a variant.

    ``bounds`` are the fewest and the most instances to begin with; ``fixed_bounds`` are the same where nothing moves
    them, and None where a schedule does. ``schedule`` is sorted.
    """

    endpoint: Key
    variant: str
    instance_type: str
    fixed_bounds: tuple[int, int] | None
    tracking: TargetTracking | None
    schedule: tuple[ScheduledBounds, ...] = ()
    bounds: tuple[int, int] = field(compare=False, default=(0, 0))
    tags: Tags = field(compare=False, default=())

    @override
    def can_become(self, wanted: Spec) -> bool:
        # Autoscaling has to go before the instance type changes:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling.html
        return isinstance(wanted, ScalableTargetSpec) and wanted.instance_type == self.instance_type


def scalable_target_name(endpoint: str, variant: str) -> str:
    """The name by which a variant's autoscaling is known, as Application Auto Scaling has it."""
    return f"endpoint/{endpoint}/variant/{variant}"
