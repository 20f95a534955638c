"""EphemeralEndpoint: a live model endpoint for one pull request."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.api.base import TOLERANT, ApiModel, Conditions, ObjectMeta, Readable
from ephemeral_endpoints.api.model import Model
from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.serving import Serving
from ephemeral_endpoints.api.types import (
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
    """How callers prove that they may call."""

    TOKEN = "Token"  # noqa: S105 the name of a method, no secret
    NONE = "None"


class ExpiryAction(StrEnum):
    """What happens to the object when its time is up."""

    AUTO = "Auto"
    DELETE = "Delete"
    RETIRE = "Retire"


class DeletionPolicy(StrEnum):
    """What becomes of everything in AWS when the object goes."""

    DELETE = "Delete"
    RETAIN = "Retain"


class Source(ApiModel):
    """What is served: the commit, and the pull request that it belongs to."""

    repository: Repository
    """Owner and name of the Git repository, such as acme/sentiment."""

    pull_request: Annotated[Integer, Field(ge=1, le=2_147_483_647)] | None = None
    """Number of the pull request. Absent: the endpoint belongs to no pull request."""

    revision: Revision
    """SHA of the Git commit that is served, 7 to 64 lowercase hexadecimal digits. Quote it in YAML: an SHA of digits
    only is read as a number otherwise. A change rolls the new revision out behind the same URL."""

    head_repository: Repository | None = None
    """Owner and name of the Git repository that the commit is in, where that is a fork. Whether a fork's commits are
    built the class says. Absent: the commit is in repository."""

    branch: BranchName | None = None
    """Name of the pull request's branch, at most 255 characters. For people to read; nothing is fetched from it."""


class Auth(ApiModel):
    """Who may call the endpoint."""

    type: AuthType = AuthType.TOKEN
    """Token: callers send the header "Authorization: Bearer <token>"; the token is in a Secret that the object owns.
    None: everyone who knows the URL may call. Default Token."""


class Api(ApiModel):
    """The public HTTP API in front of the endpoint."""

    path: RoutePath | None = None
    """Path of the endpoint's URL, such as /pr-42, at most 256 characters. Two objects with one path: the second is
    refused with a condition. Default /<namespace>/<name>."""

    auth: Auth = Auth()
    """Who may call."""

    max_body_bytes: Annotated[Integer, Field(ge=1, le=MAX_BODY_BYTES)] = SERVERLESS_BODY_BYTES
    """Largest request body in bytes; larger ones are answered with 413. At most 4194304 (4 MiB) on serverless
    endpoints and 6291456 (6 MiB) on instances; the API passes bodies that are not text on in base64, which takes a
    third more. Default 4194304."""


class Alarms(ApiModel):
    """When CloudWatch raises an alarm."""

    latency_ms: Annotated[Integer, Field(ge=1, le=60_000)] = 5000
    """Alarm when the model takes longer than this, in milliseconds, 1 to 60000 (SageMaker waits no longer). Default
    5000."""

    error_rate_percent: Annotated[Integer, Field(ge=1, le=100)] = 5
    """Alarm when more than this share of the requests fails, in percent, 1 to 100. Default 5."""


class Monitoring(ApiModel):
    """Logs and alarms."""

    log_retention_days: RetentionDays = 7
    """Days that log events are kept, one of the values that CloudWatch Logs knows. The logs go with the object.
    Default 7."""

    alarms: Alarms = Alarms()
    """Thresholds of the alarms."""


class Capture(ApiModel):
    """A record of requests and answers, as SageMaker's data capture keeps it."""

    s3_uri: S3Prefix
    """Where the records are kept: s3://<bucket>/<prefix>. The class's execution role must be able to write there.
    They are not deleted: set a lifecycle rule on the bucket."""

    sampling_percent: Annotated[Integer, Field(ge=1, le=100)] = 100
    """Share of the requests that is recorded, in percent, 1 to 100. Default 100."""


class Lifecycle(ApiModel):
    """When the endpoint goes away."""

    ttl: Duration | None = None
    """How long the endpoint lives, counted from the object's creation: a duration such as 72h, 30m or 1h30m. The class
    caps it. Default: the class's defaultTtl."""

    on_expiry: ExpiryAction = ExpiryAction.AUTO
    """What happens to the object when the time is up; deletionPolicy says what becomes of everything in AWS. Delete:
    the object is deleted. Retire: it stays as a tombstone. Auto: Retire where a GitOps tool manages the object and
    would make it anew, Delete elsewhere. Default Auto."""

    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    """What becomes of everything in AWS when the object is deleted or its time is up. Delete: it is deleted. Retain: it
    stays and serves on, and costs what it costs, with the tag ephemeral-endpoints.io/retain=true; from then on
    nobody but you deletes it. The Secret with the token goes with the object: save it before. Default Delete."""


class EphemeralEndpointSpec(ApiModel):
    """What is wanted."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.className) == has(oldSelf.className)"
            " && (!has(self.className) || self.className == oldSelf.className)",
            message="className cannot be set, changed or removed once the object exists, because what it made lives "
            "where its class says: delete the object and make it anew",
        ),
        Rule(
            cel="!has(self.model.build) || size(self.source.revision) in [40, 64]",
            message="model.build needs the whole SHA in source.revision, 40 or 64 digits: an abbreviation may come to "
            "mean another commit",
            holds=lambda spec: spec.model.build is None or len(spec.source.revision) in WHOLE_REVISIONS,
        ),
        Rule(
            cel="!has(self.capture) || has(self.serving.instances)",
            message="capture needs serving.instances: SageMaker records nothing on serverless endpoints",
            holds=lambda spec: spec.capture is None or spec.serving.instances is not None,
        ),
        Rule(
            cel=f"self.api.maxBodyBytes <= {SERVERLESS_BODY_BYTES} || has(self.serving.instances)",
            message=f"api.maxBodyBytes must be at most {SERVERLESS_BODY_BYTES} (4 MiB) on a serverless endpoint",
            holds=lambda spec: spec.api.max_body_bytes <= SERVERLESS_BODY_BYTES or spec.serving.instances is not None,
        ),
    )

    class_name: DnsLabel | None = None
    """Name of the EphemeralEndpointClass that says where and within what limits the endpoint runs. It cannot change.
    Absent: the class marked as default."""

    source: Source
    """The commit that is served, and the pull request that it belongs to."""

    model: Model
    """The model that is served."""

    serving: Serving = Serving()
    """What the model runs on."""

    api: Api = Api()
    """The public HTTP API in front of the endpoint."""

    capture: Capture | None = None
    """A record of requests and answers in S3; needs serving.instances. Absent: nothing is recorded."""

    monitoring: Monitoring = Monitoring()
    """Logs and alarms."""

    lifecycle: Lifecycle = Lifecycle()
    """When the endpoint goes away."""

    suspend: bool = False
    """While true nothing is made, changed or repaired for this object, and what serves goes on serving. Deletion and
    the time to live work all the same. Default false."""


class ResolvedImage(ApiModel):
    """The image that is served."""

    model_config = TOLERANT

    uri: str
    """The image with its digest."""

    digest: str
    """The image's digest, sha256:…"""


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
    """Something that exists in AWS because of the object."""

    model_config = TOLERANT

    kind: str
    """Kind of the resource, such as Endpoint."""

    name: str
    """Name of the resource in AWS."""

    arn: str | None = None
    """ARN of the resource, where it has one."""


class Cost(ApiModel):
    """What the object costs, as far as it is known."""

    model_config = TOLERANT

    hourly_usd: Annotated[str | None, Field(alias="hourlyUSD")] = None
    """What its instances cost an hour for being there, in USD; serverless capacity costs by use only and counts as
    0.00. Absent while a price is not known: the class can give it."""


class EphemeralEndpointStatus(ApiModel):
    """What was found at the last look. Written by the operator only."""

    model_config = TOLERANT

    observed_generation: int = -1
    """The metadata.generation that the status speaks of; -1 before the operator has seen the object."""

    conditions: Conditions = ()
    """State in detail. Ready is True when a request through the public URL was answered by this revision."""

    url: str | None = None
    """Public URL of the endpoint."""

    endpoint_name: str | None = None
    """Name of the endpoint in SageMaker."""

    serving: str | None = None
    """What the model runs on, in words."""

    image: ResolvedImage | None = None
    """The image that the spec's tag or digest was resolved to."""

    variants: tuple[ServedVariant, ...] = ()
    """The models behind the URL, where there are several."""

    revision: str | None = None
    """The Git commit that is served now."""

    expires_at: Timestamp | None = None
    """When the endpoint goes away."""

    cost: Cost | None = None
    """What the object costs, as far as it is known."""

    resources: tuple[Resource, ...] = ()
    """Everything that exists in AWS because of the object."""


class EphemeralEndpoint(ApiModel):
    """A live model endpoint for one pull request, which goes away again by itself."""

    model_config = TOLERANT

    api_version: Literal["ephemeral-endpoints.io/v1alpha1"] = API_VERSION
    kind: Literal["EphemeralEndpoint"] = "EphemeralEndpoint"
    metadata: ObjectMeta

    spec: EphemeralEndpointSpec
    """What is wanted."""

    status: Annotated[EphemeralEndpointStatus, Readable] = EphemeralEndpointStatus()
    """What was found at the last look. Written by the operator only."""
