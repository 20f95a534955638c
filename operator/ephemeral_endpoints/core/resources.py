"""What is wanted in AWS and what is there, in the same terms, so that drift is plain inequality."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from ephemeral_endpoints.api.serving import Strategy
from ephemeral_endpoints.core.tags import Tags
from ephemeral_endpoints.forwarder.config import ForwarderConfig


class Kind(StrEnum):
    """The kinds of AWS resources; the value is what people see in ``status.resources``."""

    LOG_GROUP = "LogGroup"
    MODEL = "Model"
    ENDPOINT_CONFIG = "EndpointConfig"
    ENDPOINT = "Endpoint"
    SCALABLE_TARGET = "ScalableTarget"
    FUNCTION = "Function"
    HTTP_API = "HttpApi"
    INTEGRATION = "Integration"
    ROUTE = "Route"
    ALARM = "Alarm"
    REPOSITORY = "Repository"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What identifies a resource within one account and region."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class ScalingMetric(StrEnum):
    """What target tracking looks at."""

    INVOCATIONS = "invocations"
    BACKLOG = "backlog"


class Phase(StrEnum):
    """Where a resource stands, as far as the next step depends on it."""

    READY = "Ready"
    BUSY = "Busy"
    IMPAIRED = "Impaired"
    """At rest and not well; a change may mend it."""

    FAILED = "Failed"
    """At rest for good: it can only be deleted."""

    DELETING = "Deleting"


IN_FLIGHT: Final = frozenset({Phase.BUSY, Phase.DELETING})
"""What changes by itself."""

FAILURES: Final = frozenset({Phase.FAILED, Phase.IMPAIRED})
"""What is at rest and not well."""

COMING_BACK: Final = frozenset({Kind.LOG_GROUP})
"""What services make anew for lines that come late, although its deletion was answered."""


@dataclass(frozen=True, slots=True)
class LogGroupSpec:
    """A log group; ``retention_days`` None means that nothing is ever deleted."""

    retention_days: int | None
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A SageMaker model, immutable and named by its content."""

    image: str
    data_url: str | None
    environment: tuple[tuple[str, str], ...]
    role_arn: str
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class ServerlessSpec:
    """Serverless capacity; memory in MB, concurrency in requests."""

    memory_mb: int
    max_concurrency: int
    provisioned_concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """Capacity on instances: their type, and how many to begin with."""

    instance_type: str
    count: int


@dataclass(frozen=True, slots=True)
class VariantSpec:
    """A production variant: a model, what it runs on, and its share of the requests."""

    name: str
    model: str
    capacity: ServerlessSpec | InstanceSpec
    weight: int = 1


@dataclass(frozen=True, slots=True)
class CaptureSpec:
    """The record of requests and answers in S3."""

    s3_uri: str
    sampling_percent: int


@dataclass(frozen=True, slots=True)
class AsynchronousSpec:
    """Where the results of queued requests go, and who is told."""

    output_s3_uri: str
    failure_s3_uri: str
    max_concurrency_per_instance: int | None = None
    success_topic_arn: str | None = None
    error_topic_arn: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointConfigSpec:
    """A SageMaker endpoint configuration, immutable and named by its content."""

    variants: tuple[VariantSpec, ...]
    capture: CaptureSpec | None = None
    asynchronous: AsynchronousSpec | None = None
    tags: Tags = field(compare=False, default=())


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
class EndpointSpec:
    """A SageMaker endpoint: a fixed name that serves one configuration after another.

    ``rollout`` None leaves the way of an update to SageMaker. An update ``keeps_counts`` of instances where something
    else sets them.
    """

    config: str
    rollout: RolloutSpec | None = field(compare=False, default=None)
    keeps_counts: bool = field(compare=False, default=False)
    tags: Tags = field(compare=False, default=())


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
class ScalableTargetSpec:
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


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """The forwarder function. ``code_sha256`` is Lambda's CodeSha256 (base64) of the bundle of ``forwarder``.

    What is observed has no ``forwarder``: Lambda tells the hash only.
    """

    code_sha256: str
    role_arn: str
    runtime: str
    handler: str
    memory_mb: int
    timeout_seconds: int
    forwarder: ForwarderConfig | None = field(compare=False, repr=False, default=None)
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class HttpApiSpec:
    """An HTTP API that many objects share; ``staged`` once it has the stage that serves it."""

    staged: bool = True
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class IntegrationSpec:
    """The way from an API to a forwarder function, which API Gateway invokes with the role."""

    api: Key
    function: Key
    role_arn: str


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """A route key such as ``ANY /nlp/pr-42`` that leads to an integration.

    ``integration`` is None if it leads elsewhere.
    """

    api: Key
    route_key: str
    integration: Key | None


@dataclass(frozen=True, slots=True)
class AlarmSpec:
    """An alarm on the average of one endpoint metric over minutes."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    threshold: float
    period_seconds: int
    evaluation_periods: int
    description: str
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class RepositorySpec:
    """A repository of images. ``lifecycle_policy`` is canonical JSON, empty where there is none.

    Tags are ``immutable`` but for those that begin with ``mutable_prefix``. ``kms_key_arn`` None stands for S3's own
    encryption; it cannot change.
    """

    immutable: bool
    mutable_prefix: str
    scan_on_push: bool
    lifecycle_policy: str
    kms_key_arn: str | None = field(compare=False, default=None)
    tags: Tags = field(compare=False, default=())


Spec = (
    LogGroupSpec
    | ModelSpec
    | EndpointConfigSpec
    | EndpointSpec
    | ScalableTargetSpec
    | FunctionSpec
    | HttpApiSpec
    | IntegrationSpec
    | RouteSpec
    | AlarmSpec
    | RepositorySpec
)


def scalable_target_name(endpoint: str, variant: str) -> str:
    """The name by which a variant's autoscaling is known, as Application Auto Scaling has it."""
    return f"endpoint/{endpoint}/variant/{variant}"


def route_key_name(api: Key, route_key: str) -> str:
    """The name by which a route is known: its key is unique within its API only."""
    return f"{api.name} {route_key}"


CREATING: Final = "Creating"
"""The status, in AWS's words, of what does not serve yet."""

CONTENT_NAMED: Final = frozenset({Kind.MODEL, Kind.ENDPOINT_CONFIG})
"""Immutable kinds whose name tells the content: the same name is the same thing, so lists need not show the content."""


@dataclass(frozen=True, slots=True)
class Want:
    """A resource that should exist, once everything in ``needs`` is ready.

    ``after`` names what must also be as wanted, ``update_needs`` what must serve before a change, but not before the
    creation. While this is not as wanted, things of the kinds that it ``replaces`` stay although nobody wants them.
    """

    key: Key
    spec: Spec
    needs: frozenset[Key] = frozenset()
    after: frozenset[Key] = frozenset()
    update_needs: frozenset[Key] = frozenset()
    replaces: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True)
class Have:
    """A resource that exists.

    ``spec`` is None where the name tells the content or where AWS does not show it while the resource is busy.
    ``uses`` holds what must outlive this resource. ``id`` is what AWS calls it in requests, where that is not the
    name. ``status`` is AWS's own word for its state, ``detail`` the reason that AWS gives for a failure. ``since`` is
    when AWS says that it was made, or last changed where it changes by itself; None where that is not known.
    """

    key: Key
    phase: Phase
    spec: Spec | None = None
    id: str = ""
    arn: str = ""
    uses: frozenset[Key] = frozenset()
    status: str = ""
    detail: str = ""
    owner: str | None = None
    version: str = ""
    url: str = ""
    since: datetime | None = None

    @property
    def serves(self) -> bool:
        """Whether it does its work now: a change under way does not keep it from that, its creation does."""
        return self.phase is Phase.READY or (self.phase is Phase.BUSY and self.status != CREATING)

    def can_become(self, want: Want) -> bool:
        """Whether it can be changed into what is wanted; what cannot is deleted first.

        Autoscaling has to go before the instance type changes
        (https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling.html).
        """
        if isinstance(self.spec, ScalableTargetSpec) and isinstance(want.spec, ScalableTargetSpec):
            return self.spec.instance_type == want.spec.instance_type
        return True

    def matches(self, want: Want) -> bool:
        """Whether nothing is left to change."""
        return self.key.kind in CONTENT_NAMED or self.spec == want.spec


Haves = Mapping[Key, Have]
