"""EphemeralEndpointClass: where endpoints run and within what limits, as the platform team decides."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ephemeral_endpoints.api import API_VERSION, DEFAULT_CLASS_ANNOTATION
from ephemeral_endpoints.api.base import TOLERANT, ApiModel, Conditions, ObjectMeta, Readable
from ephemeral_endpoints.api.duration import FORM
from ephemeral_endpoints.api.image_policy import PRICE, BuildPolicy, ImagePolicy
from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.types import (
    Duration,
    InstanceTypeGlob,
    Integer,
    Region,
    RoleArn,
    UpToAnHour,
)

_ACCOUNT = "::[0-9]{12}:"
_ROLES = ("executionRoleArn", "forwarderRoleArn", "invokeRoleArn")

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
QueueName = Annotated[
    str,
    Field(max_length=80),
    matches(
        "[A-Za-z0-9_-]{1,80}",
        "must be the name of a standard queue of Amazon SQS, such as eep-events: letters, digits, '_' and '-' "
        "(no URL, no ARN, no .fifo)",
    ),
]

_INSTANCE_TYPE = "ml[.][a-z0-9-]+[.][a-z0-9-]+"

Prices = Annotated[
    Mapping[str, Annotated[str, Field(max_length=12)]],
    Field(max_length=200),
    Rule(
        cel=f"self.all(type, type.matches('^({_INSTANCE_TYPE})$') && self[type].matches('^({PRICE})$'))",
        message='must give instance types a price in USD an hour, in quotes: ml.m5.large: "0.115"',
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
        "must be an external ID as AWS STS takes it: 2 to 1224 letters, digits and _+=,.@:/-",
    ),
]


def _account(arn: str) -> str:
    found = re.search(_ACCOUNT, arn)
    return found[0].strip(":") if found else ""


class InstancePolicy(ApiModel):
    """Which instances may be used, and how many."""

    allowed_types: Annotated[tuple[InstanceTypeGlob, ...], Field(max_length=100)] = ()
    """Instance types that may be used, at most 100, as patterns in which * stands for any characters and ? for one:
    ml.m5.*. Empty: every type. Default empty."""

    max_count: Annotated[Integer, Field(ge=0, le=500)] = 10
    """Most instances of one object, all variants together and autoscaling included, 0 to 500; 0 allows serverless
    endpoints only. Default 10."""


class EventSource(ApiModel):
    """Where AWS tells that endpoints have changed."""

    queue_name: QueueName
    """Name of a standard queue of Amazon SQS in the class's region and the roles' account, for the operator alone. An
    EventBridge rule sends it the events of source aws.sagemaker and detail type SageMaker Endpoint State Change. The
    operator waits at the queue by long polling, which at rest costs 3 calls a minute and queue; its role needs
    sqs:GetQueueUrl, sqs:ReceiveMessage and sqs:DeleteMessage there."""


class EndpointPolicy(ApiModel):
    """How much patience there is with endpoints that do not get into service."""

    creation_timeout: Duration = timedelta(minutes=30)
    """An endpoint that takes longer than this to be made or changed is reported as Stuck; nobody but AWS can end that.
    Default 30m."""

    creation_attempts: Annotated[Integer, Field(ge=1, le=20)] = 5
    """How often an endpoint is tried that fails, 1 to 20. Then it waits for a change of its object's spec. Default
    5."""

    retry_after: UpToAnHour = timedelta(seconds=30)
    """Pause after the first failure, at most 1h; it doubles with each further one, up to 15m or to itself where that is
    longer. Default 30s."""


class AssumedRole(ApiModel):
    """The role that the operator assumes for the class."""

    role_arn: RoleArn
    """ARN of the role, in the account of the class's other roles. The operator's own role needs sts:AssumeRole on it,
    and its trust policy must name the operator's role."""

    external_id: ExternalId | None = None
    """The external ID that the role's trust policy asks for, 2 to 1224 letters, digits and _+=,.@:/-. It is no secret.
    Absent: none is sent."""


class LifecyclePolicy(ApiModel):
    """How long endpoints may live."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            # A malformed duration has its own rule and message; here it would only fail to evaluate.
            cel=f"[self.defaultTtl, self.maxTtl].exists(ttl, !ttl.matches('^({FORM})$') || ttl == '')"
            " || duration(self.defaultTtl) <= duration(self.maxTtl)",
            message="defaultTtl must not be longer than maxTtl",
            holds=lambda policy: policy.default_ttl <= policy.max_ttl,
        ),
    )

    default_ttl: Duration = timedelta(hours=72)
    """How long an endpoint lives whose object asks for nothing: a duration such as 72h. Default 72h."""

    max_ttl: Duration = timedelta(hours=336)
    """The longest that any endpoint lives, at most 8760h; an object that asks for more gets this. Default 336h."""


class EphemeralEndpointClassSpec(ApiModel):
    """Where endpoints run and within what limits."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=" && ".join(
                f"self.{role}.find('{_ACCOUNT}') == self.{_ROLES[0]}.find('{_ACCOUNT}')" for role in _ROLES[1:]
            ),
            message=f"{', '.join(_ROLES)} must be roles of one account: AWS services assume no roles of other accounts",
            holds=lambda spec: spec.account == _account(spec.forwarder_role_arn) == _account(spec.invoke_role_arn),
        ),
        Rule(
            cel="!has(self.assumeRole)"
            f" || self.assumeRole.roleArn.find('{_ACCOUNT}') == self.{_ROLES[0]}.find('{_ACCOUNT}')",
            message="assumeRole.roleArn must be a role of the same account as the other roles: everything is made "
            "there, and AWS services assume no roles of other accounts",
            holds=lambda spec: spec.assume_role is None or _account(spec.assume_role.role_arn) == spec.account,
        ),
        Rule(
            cel="self.region == oldSelf.region"
            f" && self.{_ROLES[0]}.find('{_ACCOUNT}') == oldSelf.{_ROLES[0]}.find('{_ACCOUNT}')",
            message="the region and the roles' account cannot change, because endpoints of the class live there: "
            "make another class",
        ),
    )

    region: Region
    """AWS region that the endpoints run in, such as eu-central-1. It cannot change."""

    execution_role_arn: RoleArn
    """ARN of the role that SageMaker assumes to pull images, read model archives and write logs. The roles' account is
    where the endpoints run; it cannot change."""

    forwarder_role_arn: RoleArn
    """ARN of the role that the Lambda function in front of each endpoint runs as."""

    invoke_role_arn: RoleArn
    """ARN of the role that API Gateway assumes to invoke the Lambda function."""

    assume_role: AssumedRole | None = None
    """The role that the operator assumes to work in the class's account; without one it works there with its own
    credentials, which must then be of that account. Absent: none is assumed."""

    images: ImagePolicy = ImagePolicy()
    """Which images may be served."""

    builds: BuildPolicy | None = None
    """How images are built from commits, and copied. Absent: nothing is built or copied."""

    instances: InstancePolicy = InstancePolicy()
    """Which instances may be used, and how many."""

    endpoints: EndpointPolicy = EndpointPolicy()
    """How much patience there is with endpoints that do not get into service."""

    prices: Prices = Field(default_factory=dict)
    """What an instance costs, in USD an hour, by its type: {ml.m5.large: "0.115"}; at most 200. Known without are
    ml.t2.medium, ml.m5.large and ml.g4dn.xlarge, at their prices in us-east-1. Default empty."""

    lifecycle: LifecyclePolicy = LifecyclePolicy()
    """How long endpoints may live."""

    events: EventSource | None = None
    """Where AWS tells that endpoints have changed, so that it is seen at once and polling can be slower. Absent:
    endpoints are polled while any of them changes."""

    @property
    def account(self) -> str:
        """The 12-digit AWS account that endpoints of the class run in."""
        return _account(self.execution_role_arn)


class EphemeralEndpointClassStatus(ApiModel):
    """What was found at the last look. Written by the operator only."""

    model_config = TOLERANT

    observed_generation: int = -1
    """The metadata.generation that the status speaks of; -1 before the operator has seen the object."""

    conditions: Conditions = ()
    """State in detail. Ready is True when endpoints can be made in this class and its queue, if it names one,
    can be read."""


class EphemeralEndpointClass(ApiModel):
    """Where endpoints run and within what limits.

    The class that is annotated ephemeral-endpoints.io/is-default-class: "true" serves the objects that name none.
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
    """Where endpoints run and within what limits."""

    status: Annotated[EphemeralEndpointClassStatus, Readable] = EphemeralEndpointClassStatus()
    """What was found at the last look. Written by the operator only."""

    @property
    def is_default(self) -> bool:
        """Whether the class serves objects that name none."""
        return self.metadata.annotations.get(DEFAULT_CLASS_ANNOTATION) == "true"
