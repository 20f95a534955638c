"""EphemeralEndpoint: a live model endpoint for one pull request."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel, Conditions, ObjectMeta, Readable
from ephemeral_endpoints.api.v1alpha1.model import Model
from ephemeral_endpoints.api.v1alpha1.samples import Readiness, Sample, Samples
from ephemeral_endpoints.api.v1alpha1.serving import Serving
from ephemeral_endpoints.api.v1alpha1.tags import UserTags
from ephemeral_endpoints.api.v1alpha1.types import (
    BranchName,
    DnsLabel,
    Duration,
    Integer,
    Repository,
    RetentionDays,
    Revision,
    RoutePath,
    S3Prefix,
    Timestamp,
)

SERVERLESS_BODY_BYTES = 4 * 1024 * 1024
"""The largest request that a serverless endpoint takes."""

WHOLE_REVISIONS = (40, 64)
"""The digits of a whole SHA: of SHA-1 and of SHA-256."""

MAX_BODY_BYTES = 6 * 1024 * 1024
"""The largest request that a Lambda function, and so the forwarder, takes."""


class AuthType(StrEnum):
    """How callers authenticate."""

    TOKEN = "Token"  # noqa: S105 the name of a method, no secret
    NONE = "None"


class ExpiryAction(StrEnum):
    """What happens to the object when it expires."""

    AUTO = "Auto"
    DELETE = "Delete"
    RETIRE = "Retire"


class DeletionPolicy(StrEnum):
    """What happens to the AWS resources when the object is deleted or expires."""

    DELETE = "Delete"
    RETAIN = "Retain"


class Source(ApiModel):
    """The commit that is served, and the pull request that it belongs to."""

    repository: Repository
    """Path of the Git repository: owner and name, such as acme/sentiment, or groups and name as on GitLab, such as
    acme/nlp/sentiment."""

    pull_request: Annotated[Integer, Field(ge=1, le=2_147_483_647)] | None = None
    """Number of the pull request. Absent: the endpoint belongs to no pull request."""

    revision: Revision
    """SHA of the Git commit that is served, 7 to 64 lowercase hexadecimal digits. Quote it in YAML, which otherwise
    reads an SHA of digits only as a number. A change rolls out the new revision behind the same URL."""

    head_repository: Repository | None = None
    """Path of the fork that contains the commit. The class determines whether commits of forks are built.
    Absent: the commit is in repository."""

    branch: BranchName | None = None
    """Name of the pull request's branch, at most 256 characters. It is informational only."""


class Auth(ApiModel):
    """Authentication of callers."""

    type: AuthType = AuthType.TOKEN
    """Token: callers send the header "Authorization: Bearer <token>" with the token of a Secret that the object owns.
    None: everyone who knows the URL may call. Default Token."""


class Api(ApiModel):
    """The public HTTP API in front of the endpoint."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.readiness)"
            " || (has(self.samples) && self.samples.exists(each, each.name == self.readiness.sample))",
            message="readiness.sample must be the name of one of the samples",
            holds=lambda api: api.readiness_sample is not None or api.readiness is None,
        ),
    )

    path: RoutePath | None = None
    """Path of the endpoint's URL, at most 256 characters. It must begin with /<namespace>/ unless the class allows
    others, and /<namespace>/<name> is the path of the object of that name and of no other. An object keeps its path for
    as long as it wants it; others that ask for it wait. Default /<namespace>/<name>."""

    auth: Auth = Auth()
    """Authentication of callers."""

    max_body_bytes: Annotated[Integer, Field(ge=1, le=MAX_BODY_BYTES)] = SERVERLESS_BODY_BYTES
    """Largest request body in bytes; larger requests get a 413. At most 4194304 (4 MiB) on serverless endpoints and
    6291456 (6 MiB) on instances. Bodies that are not text count by a third more, because the API passes them on in
    base64. Default 4194304."""

    samples: Samples = ()
    """Requests that the model answers, at most 10. Everyone who may read the object can read them: no secrets."""

    readiness: Readiness | None = None
    """What proves that the endpoint is ready. Absent: SageMaker's own health check of the model server (GET /ping), and
    a request through the URL that SageMaker refuses before it reaches the model; the model is not invoked."""

    @property
    def readiness_sample(self) -> Sample | None:
        """The sample that proves readiness; None without one."""
        named = self.readiness.sample if self.readiness else None
        return next((each for each in self.samples if each.name == named), None)


class Alarms(ApiModel):
    """Thresholds of the CloudWatch alarms."""

    enabled: bool = True
    """Whether the endpoint has alarms; without them, none takes a rollout back. Default true."""

    latency_ms: Annotated[Integer, Field(ge=1, le=60_000)] = 5000
    """Latency of the model above which an alarm goes off, in milliseconds, 1 to 60000 (SageMaker's timeout). Default
    5000."""

    error_rate_percent: Annotated[Integer, Field(ge=1, le=100)] = 5
    """Share of failed requests above which an alarm goes off, in percent, 1 to 100. Default 5."""


class Monitoring(ApiModel):
    """Logs and alarms."""

    log_retention_days: RetentionDays = 7
    """Days that log events are kept, one of the values that CloudWatch Logs supports. The logs are deleted with the
    object. Default 7."""

    alarms: Alarms = Alarms()
    """Thresholds of the alarms."""


class Capture(ApiModel):
    """SageMaker data capture: requests and responses are recorded in S3."""

    s3_uri: S3Prefix
    """Destination of the records: s3://<bucket>/<prefix>. The class's execution role must be able to write there. The
    operator does not delete them: set a lifecycle rule on the bucket."""

    sampling_percent: Annotated[Integer, Field(ge=1, le=100)] = 100
    """Share of the requests that are recorded, in percent, 1 to 100. Default 100."""


class Lifecycle(ApiModel):
    """When the endpoint expires, and what happens then."""

    ttl: Duration | None = None
    """How long the endpoint lives, counted from the object's creation: a duration such as 3d, 72h or 1h30m. The class
    caps it. Default: the class's defaultTtl."""

    on_expiry: ExpiryAction = ExpiryAction.AUTO
    """What happens to the object when it expires; deletionPolicy determines what happens to its AWS resources. Delete:
    the object is deleted. Retire: it stays as a tombstone. Auto: Retire if the object's
    metadata shows that a tool such as Argo CD, Flux or Helm would create it again, otherwise Delete. Default Auto."""

    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    """What happens to the AWS resources when the object is deleted or expires. Delete: they are deleted. Retain: they
    stay, keep serving and keep costing, with the tag ephemeral-endpoints.io/retain=true; you must delete them
    yourself. The class must allow it (lifecycle.allowRetain). The Secret with the token is deleted with the object:
    save it before. Default Delete."""


def _needs_sources(spec: "EphemeralEndpointSpec") -> bool:
    models = (spec.model, *(each.model for each in spec.serving.variants))
    return bool(spec.model.additional_data) or any(each.is_source for each in models)


class EphemeralEndpointSpec(ApiModel):
    """The desired state."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(oldSelf.className) || (has(self.className) && self.className == oldSelf.className)",
            message="className cannot be changed or removed, because the AWS resources are where the class says: keep "
            "the className that the object has, or delete the object and create it again",
        ),
        Rule(
            cel="!has(self.model.build) || size(self.source.revision) in [40, 64]",
            message="model.build needs the full SHA in source.revision, 40 or 64 digits: an abbreviation is ambiguous",
            holds=lambda spec: spec.model.build is None or len(spec.source.revision) in WHOLE_REVISIONS,
        ),
        Rule(
            cel="!has(self.capture) || has(self.serving.instances)",
            message="capture needs serving.instances: SageMaker does not capture data on serverless endpoints",
            holds=lambda spec: spec.capture is None or spec.serving.instances is not None,
        ),
        Rule(
            # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
            cel="has(self.serving.instances) || !(has(self.model.s3Prefix) || self.model.acceptEula"
            " || (has(self.model.additionalData) && size(self.model.additionalData) > 0)"
            " || (has(self.serving.variants) && self.serving.variants.exists(each,"
            " has(each.model.s3Prefix) || each.model.acceptEula)))",
            message="s3Prefix, acceptEula and additionalData need serving.instances: SageMaker supports only archives "
            "(dataUrl) on serverless endpoints",
            holds=lambda spec: spec.serving.instances is not None or not _needs_sources(spec),
        ),
        Rule(
            cel=f"self.api.maxBodyBytes <= {SERVERLESS_BODY_BYTES} || has(self.serving.instances)",
            message=f"api.maxBodyBytes must be at most {SERVERLESS_BODY_BYTES} (4 MiB) on a serverless endpoint",
            holds=lambda spec: spec.api.max_body_bytes <= SERVERLESS_BODY_BYTES or spec.serving.instances is not None,
        ),
    )

    class_name: DnsLabel | None = None
    """Name of the EphemeralEndpointClass, which determines where and within which limits the endpoint runs. It cannot
    change. Absent: the operator sets it to the default class before it creates anything, and the object stays in that
    class."""

    source: Source
    """The commit that is served, and the pull request that it belongs to."""

    model: Model
    """The model that is served."""

    serving: Serving = Serving()
    """The capacity that the model runs on."""

    api: Api = Api()
    """The public HTTP API in front of the endpoint."""

    capture: Capture | None = None
    """Recording of requests and responses in S3; needs serving.instances. Absent: requests are not recorded."""

    monitoring: Monitoring = Monitoring()
    """Logs and alarms."""

    tags: UserTags = Field(default_factory=dict)
    """Tags of everything that is created in AWS for the object, at most 20, with keys that the class allows. A tag
    that is removed here stays on what exists already. Default empty."""

    lifecycle: Lifecycle = Lifecycle()
    """When the endpoint expires, and what happens then."""

    suspend: bool = False
    """While true, the operator creates, changes and repairs nothing for this object; the endpoint keeps serving.
    Deletion and expiry still work. Default false."""


class ResolvedImage(ApiModel):
    """The image that is served."""

    model_config = TOLERANT

    uri: str
    """The image by the name under which it was looked up: as the spec has it, or as the class built or copied it."""

    digest: str
    """The digest that the name was resolved to, and that is served, sha256:…"""


class ServedVariant(ApiModel):
    """One of several models behind the URL."""

    model_config = TOLERANT

    name: str
    """Name of the variant."""

    weight: int
    """The variant's share of the requests, in relation to the others' weights."""

    endpoint_name: str
    """Name of the variant's endpoint in SageMaker."""

    image: ResolvedImage | None = None
    """The image that the variant's tag or digest was resolved to."""


class Resource(ApiModel):
    """An AWS resource of the object."""

    model_config = TOLERANT

    kind: str
    """Kind of the resource, such as Endpoint."""

    name: str
    """Name of the resource in AWS."""

    arn: str | None = None
    """ARN of the resource, if it has one."""


class Cost(ApiModel):
    """The known cost of the object."""

    model_config = TOLERANT

    hourly_usd: Annotated[str | None, Field(alias="hourlyUSD")] = None
    """Hourly cost of its instances in USD, with fallbackTypes that of the dearest type; serverless capacity is charged
    by use and counts as 0.00. Absent if a price is unknown: set it in the class."""


class RouteStatus(ApiModel):
    """Which object has the path of the URL, and which wait for it."""

    model_config = TOLERANT

    path: str
    """The path that the object asks for."""

    holder: str | None = None
    """The object that has the path, as namespace/name; it keeps it until it asks for another path or ends. Absent if
    the class does not allow the path."""

    waiting: tuple[str, ...] = ()
    """The first 10 objects that wait for the path, as namespace/name, in their order; only the holder lists them."""


class EphemeralEndpointStatus(ApiModel):
    """The last observed state. Only the operator writes it."""

    model_config = TOLERANT

    observed_generation: int = -1
    """The metadata.generation that the status refers to; -1 before the operator has seen the object."""

    conditions: Conditions = ()
    """Conditions of the object. Ready is True once a request through the public URL has reached this revision."""

    url: str | None = None
    """Public URL of the endpoint."""

    route: RouteStatus | None = None
    """Which object has the path of the URL, and which wait for it."""

    endpoint_name: str | None = None
    """Name of the endpoint in SageMaker."""

    serving: str | None = None
    """Summary of the capacity that the model runs on."""

    image: ResolvedImage | None = None
    """The image that the spec's tag or digest was resolved to."""

    variants: tuple[ServedVariant, ...] = ()
    """The models behind the URL, if there are several."""

    revision: str | None = None
    """The Git commit that is being served."""

    expires_at: Timestamp | None = None
    """When the endpoint expires."""

    cost: Cost | None = None
    """The known cost of the object."""

    resources: tuple[Resource, ...] = ()
    """All AWS resources of the object."""


class EphemeralEndpoint(ApiModel):
    """A live model endpoint for one pull request, which is deleted when it expires."""

    model_config = TOLERANT

    api_version: Literal["ephemeral-endpoints.io/v1alpha1"] = API_VERSION
    kind: Literal["EphemeralEndpoint"] = "EphemeralEndpoint"
    metadata: ObjectMeta

    spec: EphemeralEndpointSpec
    """The desired state."""

    status: Annotated[EphemeralEndpointStatus, Readable] = EphemeralEndpointStatus()
    """The last observed state. Only the operator writes it."""

    @property
    def path(self) -> str:
        """The path of the object's URL."""
        return self.spec.api.path or self.default_path

    @property
    def default_path(self) -> str:
        """The path that belongs to the object and to no other."""
        return f"/{self.metadata.namespace}/{self.metadata.name}"
