"""EphemeralEndpointClass: where endpoints run and within which limits, as the platform team decides."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ephemeral_endpoints.api import API_VERSION, DEFAULT_CLASS_ANNOTATION
from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel, ObjectMeta, Readable
from ephemeral_endpoints.api.v1alpha1.budgets import BudgetPolicy
from ephemeral_endpoints.api.v1alpha1.capture import CapturePolicy
from ephemeral_endpoints.api.v1alpha1.comparison import ComparisonPolicy
from ephemeral_endpoints.api.v1alpha1.duration import cel_is_duration, cel_seconds
from ephemeral_endpoints.api.v1alpha1.endpoint_class_rules import RULES, account_of
from ephemeral_endpoints.api.v1alpha1.endpoint_class_status import EphemeralEndpointClassStatus
from ephemeral_endpoints.api.v1alpha1.hosting import HostingSettings, VolumeSize
from ephemeral_endpoints.api.v1alpha1.image_policy import PRICE, BuildPolicy, ImagePolicy
from ephemeral_endpoints.api.v1alpha1.lifecycle import TtlFrom
from ephemeral_endpoints.api.v1alpha1.network import Encryption, NetworkPolicy
from ephemeral_endpoints.api.v1alpha1.notifications import NotificationPolicy
from ephemeral_endpoints.api.v1alpha1.packages import PackagePolicy
from ephemeral_endpoints.api.v1alpha1.parameters import ParameterPolicy
from ephemeral_endpoints.api.v1alpha1.prices import PriceSource
from ephemeral_endpoints.api.v1alpha1.reaper import ReaperPolicy
from ephemeral_endpoints.api.v1alpha1.results import ResultsPolicy
from ephemeral_endpoints.api.v1alpha1.reviews import ReviewPolicy
from ephemeral_endpoints.api.v1alpha1.routing import RoutingPolicy
from ephemeral_endpoints.api.v1alpha1.sleep import Sleep
from ephemeral_endpoints.api.v1alpha1.tags import TagPolicy
from ephemeral_endpoints.api.v1alpha1.training import TrainingPolicy
from ephemeral_endpoints.api.v1alpha1.types import (
    Duration,
    InstanceTypeGlob,
    Integer,
    Region,
    RoleArn,
    TopicArn,
    UpToAnHour,
)

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
QueueName = Annotated[
    str,
    Field(max_length=80),
    matches(
        "[A-Za-z0-9_-]{1,80}",
        "must be the name of a standard SQS queue, such as eep-events, not its URL or ARN: letters, digits, _ and -",
    ),
]

_INSTANCE_TYPE = "ml[.][a-z0-9-]+[.][a-z0-9-]+"

Prices = Annotated[
    Mapping[str, Annotated[str, Field(max_length=12)]],
    Field(max_length=200),
    Rule(
        cel=f"self.all(type, type.matches('^({_INSTANCE_TYPE})$') && self[type].matches('^({PRICE})$'))",
        message='must map instance types to a price in USD per hour, in quotes: ml.m5.large: "0.115"',
        holds=lambda prices: all(
            re.fullmatch(_INSTANCE_TYPE, type_) and re.fullmatch(PRICE, price) for type_, price in prices.items()
        ),
    ),
]


# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
ExternalId = Annotated[
    str,
    Field(min_length=2, max_length=1224),
    matches(
        r"[A-Za-z0-9_+=,.@:/-]{2,}",
        "must be an external ID: 2 to 1224 letters, digits and _+=,.@:/-",
    ),
]


class InstancePolicy(ApiModel):
    """Which instances may be used, and how many."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.defaults) || !has(self.defaults.volumeSizeGB)"
            " || self.defaults.volumeSizeGB <= self.maxVolumeSizeGB",
            message="defaults.volumeSizeGB must not be greater than maxVolumeSizeGB",
            holds=lambda policy: (policy.defaults.volume_size_gb or 0) <= policy.max_volume_size_gb,
        ),
    )

    allowed_types: Annotated[tuple[InstanceTypeGlob, ...], Field(max_length=100)] = ()
    """Allowed instance types, at most 100, as patterns in which * stands for any characters and ? for one: ml.m5.*.
    Empty: every type. Default empty."""

    max_count: Annotated[Integer, Field(ge=0, le=500)] = 10
    """Maximum number of instances of an object in all its variants, including autoscaling, 0 to 500; 0 allows only
    serverless endpoints. Default 10."""

    max_volume_size_gb: Annotated[VolumeSize, Field(alias="maxVolumeSizeGB")] = 512
    """Largest volume of an instance in GB, 1 to 512. Default 512."""

    defaults: HostingSettings = HostingSettings()
    """Settings of instances whose objects do not choose their own. volumeSizeGB does not apply to instance types with
    disks of their own."""


class AlarmPolicy(ApiModel):
    """What happens when an alarm goes off."""

    actions: Annotated[tuple[TopicArn, ...], Field(max_length=5)] = ()
    """SNS topics in the class's region that are notified when an alarm goes off, and when it ends, at most 5. Their
    access policies must admit CloudWatch. Default none."""


class EventSource(ApiModel):
    """The queue that receives the events of endpoints, trainings, packages and builds."""

    queue_name: QueueName
    """Name of a standard SQS queue in the class's region and the account of its roles, used by the operator only. An
    EventBridge rule must send it the events with source aws.sagemaker and detail type SageMaker Endpoint State Change,
    for training SageMaker Model Building Pipeline Execution Status Change and the like of its steps, for the approvals
    of spec.packages SageMaker Model Package State Change, and for spec.builds.codeBuild those of its project with
    source aws.codebuild and detail type CodeBuild Build State Change. What no rule sends is polled.
    The operator polls the queue with long polling, which makes 3 calls a minute per queue; its role needs
    sqs:GetQueueUrl, sqs:ReceiveMessage and sqs:DeleteMessage on it."""


class EndpointPolicy(ApiModel):
    """Timeouts and retries of endpoints."""

    creation_timeout: Duration = timedelta(minutes=30)
    """An endpoint whose creation or update takes longer is reported as Stuck; only AWS can end it. One whose
    capacityTimeout, modelDownloadTimeout and startupTimeout add up to more has as long as they. Default 30m."""

    creation_attempts: Annotated[Integer, Field(ge=1, le=20)] = 5
    """Number of attempts to create an endpoint that fails, 1 to 20; then it waits for a change of the object's spec.
    Default 5."""

    retry_after: UpToAnHour = timedelta(seconds=30)
    """Pause after the first failure, at most 1h; it doubles with each failure up to 15m, unless it is longer from the
    start. Default 30s."""


class AssumedRole(ApiModel):
    """The role that the operator assumes for the class."""

    role_arn: RoleArn
    """ARN of the role, in the account of the class's other roles. The operator's own role needs sts:AssumeRole on it,
    and its trust policy must name the operator's role."""

    external_id: ExternalId | None = None
    """The external ID that the role's trust policy requires, 2 to 1224 letters, digits and _+=,.@:/-. It is not a
    secret. Absent: none is sent."""


class LifecyclePolicy(ApiModel):
    """Limits of the time to live."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            # A malformed duration has its own rule and message.
            cel=f"[self.defaultTtl, self.maxTtl].exists(ttl, !{cel_is_duration('ttl')})"
            f" || {cel_seconds('self.defaultTtl')} <= {cel_seconds('self.maxTtl')}",
            message="defaultTtl must not be longer than maxTtl",
            holds=lambda policy: policy.default_ttl <= policy.max_ttl,
        ),
    )

    default_ttl: Duration = timedelta(hours=72)
    """How long an endpoint lives whose object asks for nothing: a duration such as 3d or 72h. Default 72h."""

    max_ttl: Duration = timedelta(hours=336)
    """The longest that any endpoint lives from its creation, at most 365d; an object that asks for more gets this, and
    neither its revisions, its use nor an extension lets it live longer. Default 336h."""

    ttl_from: TtlFrom = TtlFrom.LAST_REVISION
    """What the time to live of objects counts from that do not choose it: Created, LastRevision or, with spec.events,
    LastUse; see spec.lifecycle.ttlFrom of EphemeralEndpoint. Default LastRevision."""

    allow_retain: bool = False
    """Whether objects may keep their AWS resources with deletionPolicy Retain, which nothing ends, not even maxTtl.
    Otherwise such an object is refused, and its resources are deleted with it. Default false."""

    allow_retain_feedback: bool = False
    """Whether objects may keep their tables of votes with feedback.deletionPolicy Retain, which nothing ends. Otherwise
    such an object is refused, and its table is deleted with it. Default false."""


class LimitPolicy(ApiModel):
    """How many objects of the class may have something in AWS at a time.

    The operator counts what is in AWS, and objects that ask for it. An object over a limit waits, in the order of
    creation, until others end. A limit that is lowered stops nothing that runs.
    """

    objects_per_namespace: Annotated[Integer, Field(ge=0, le=10_000)] | None = None
    """Maximum number of objects in a namespace, 0 to 10,000; with 0 none starts. Absent: no limit."""

    objects_per_repository: Annotated[Integer, Field(ge=0, le=10_000)] | None = None
    """Maximum number of objects of the same source.repository in a namespace, 0 to 10,000. Those of other namespaces do
    not count: everybody can name any repository. Absent: no limit."""


class StagePolicy(ApiModel):
    """Whether the class has stages."""

    allowed: bool = False
    """Whether ModelStages may use the class, whose endpoints never expire and never sleep. Where it becomes false,
    nothing is promoted any more; what serves stays until its stage is deleted. Default false."""


class EphemeralEndpointClassSpec(ApiModel):
    """Where endpoints run and within which limits."""

    rules: ClassVar[tuple[Rule, ...]] = RULES

    region: Region
    """AWS region that the endpoints run in, such as eu-central-1. It cannot change."""

    execution_role_arn: RoleArn
    """ARN of the role that SageMaker assumes to pull images, read model archives and write logs. Endpoints run in the
    account of the roles, which cannot change."""

    allowed_execution_role_arns: Annotated[tuple[RoleArn, ...], Field(max_length=20)] = ()
    """ARNs of roles that objects may have their models run with in place of executionRoleArn, at most 20. The
    operator's role must be able to pass them to SageMaker. Default none."""

    forwarder_role_arn: RoleArn
    """ARN of the role that the Lambda function in front of each endpoint runs as."""

    invoke_role_arn: RoleArn
    """ARN of the role that API Gateway assumes to invoke the Lambda function."""

    assume_role: AssumedRole | None = None
    """The role that the operator assumes to work in the class's account. Absent: the operator uses its own
    credentials, which must belong to that account."""

    images: ImagePolicy = ImagePolicy()
    """Allowed images, and the repository of built ones."""

    builds: BuildPolicy | None = None
    """How images are built from commits, and copied. Absent: images are neither built nor copied."""

    packages: PackagePolicy | None = None
    """Which groups of the SageMaker Model Registry objects may serve packages of and register packages in. Absent:
    none."""

    training: TrainingPolicy | None = None
    """How objects train models, which are registered in the groups of packages. Absent: they train none."""

    instances: InstancePolicy = InstancePolicy()
    """Which instances may be used, and how many."""

    network: NetworkPolicy = NetworkPolicy()
    """The network of models, which objects may narrow."""

    encryption: Encryption = Encryption()
    """Keys of AWS KMS that encrypt what SageMaker stores."""

    tags: TagPolicy = TagPolicy()
    """Tags of everything that is created in AWS, beside the owner tags."""

    alarms: AlarmPolicy = AlarmPolicy()
    """What happens when an alarm goes off."""

    routing: RoutingPolicy = RoutingPolicy()
    """What the class allows of URLs."""

    parameters: ParameterPolicy | None = None
    """A parameter of SSM for each object, for people who call SageMaker themselves: the names of its endpoint and
    variants, its URL and its revision as JSON, at <prefix>/<namespace>/<name>/. Absent: none."""

    endpoints: EndpointPolicy = EndpointPolicy()
    """Timeouts and retries of endpoints."""

    prices: Prices = Field(default_factory=dict)
    """Hourly prices of instances in USD, by type: {ml.m5.large: "0.115"}; at most 200. They take precedence over those
    of priceSource. Default empty."""

    price_source: PriceSource = PriceSource.TABLE
    """Where the other prices come from. Table: the built-in table, which has some of us-east-1, see docs/cost.md.
    PriceList: AWS's Price List, which the operator reads once a day; its role needs pricing:GetProducts. What the list
    does not have is taken from the table. Default Table."""

    lifecycle: LifecyclePolicy = LifecyclePolicy()
    """Limits of the time to live."""

    sleep: Sleep | None = None
    """When endpoints on instances and with provisioned concurrency sleep whose objects do not say so (spec.sleep of
    objects). Absent: never, but by a command."""

    reaper: ReaperPolicy | None = None
    """A function in the class's account, made by the operator, that deletes what expired when the operator is gone for
    good. It goes last when the class is deleted. Absent: none, unless somebody installed the stack of
    docs/leftovers.md."""

    stages: StagePolicy = StagePolicy()
    """Whether the class has stages: long-lived endpoints that versions of a model are promoted to. Default: no."""

    limits: LimitPolicy = LimitPolicy()
    """How many objects may have something in AWS at a time; the others wait. Default: no limits."""

    budgets: BudgetPolicy = BudgetPolicy()
    """What objects may cost, and what happens when they have cost as much. Default: no budgets."""

    reviews: ReviewPolicy | None = None
    """Where and how objects show themselves on their pull requests, and learn of their end. Absent: nothing is
    published, and pull requests are not watched."""

    comparisons: ComparisonPolicy = ComparisonPolicy()
    """Reports of comparisons (spec.compare of objects), and the recorded requests that they may use."""

    capture: CapturePolicy | None = None
    """Where the records of requests and answers go (spec.capture of objects). Absent: they are not recorded, but by
    SageMaker itself (spec.capture.s3Uri)."""

    results: ResultsPolicy | None = None
    """Where what models answer is published (spec.results of objects): an SNS topic, or a stream. Absent: objects
    cannot publish."""

    notifications: NotificationPolicy | None = None
    """Who is notified of what happens to the class's objects. Absent: nobody."""

    events: EventSource | None = None
    """The queue that receives the events of endpoints, so that changes are seen at once and polling can be slower.
    Absent: endpoints are polled while any of them is changing."""

    @property
    def account(self) -> str:
        """The 12-digit AWS account that endpoints of the class run in."""
        return account_of(self.execution_role_arn)


class EphemeralEndpointClass(ApiModel):
    """Where endpoints run and within which limits.

    Objects without a className use the class with the annotation ephemeral-endpoints.io/is-default-class: "true".
    """

    model_config = TOLERANT
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",
            message="the name of a class must be a DNS label, so that className can name it: at most 63 lowercase "
            "letters, digits and '-', with a letter or digit at both ends",
        ),
    )

    api_version: Literal["ephemeral-endpoints.io/v1alpha1"] = API_VERSION
    kind: Literal["EphemeralEndpointClass"] = "EphemeralEndpointClass"
    metadata: ObjectMeta

    spec: EphemeralEndpointClassSpec
    """Where endpoints run and within which limits."""

    status: Annotated[EphemeralEndpointClassStatus, Readable] = EphemeralEndpointClassStatus()
    """The last observed state. Only the operator writes it."""

    @property
    def is_default(self) -> bool:
        """Whether objects without a ``className`` use the class."""
        return self.metadata.annotations.get(DEFAULT_CLASS_ANNOTATION) == "true"
