"""What the operator reports of an endpoint."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel, Conditions
from ephemeral_endpoints.api.v1alpha1.checks import CheckRun
from ephemeral_endpoints.api.v1alpha1.comparison import ComparisonResult
from ephemeral_endpoints.api.v1alpha1.feedback import VariantVotes
from ephemeral_endpoints.api.v1alpha1.packages import PackageStatus
from ephemeral_endpoints.api.v1alpha1.packed import Packed
from ephemeral_endpoints.api.v1alpha1.postprocessing import PostprocessStatus
from ephemeral_endpoints.api.v1alpha1.reviews import ReviewStatus
from ephemeral_endpoints.api.v1alpha1.training import TrainingStatus
from ephemeral_endpoints.api.v1alpha1.types import Timestamp


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


class LatestRevision(ApiModel):
    """The commit that should be served."""

    model_config = TOLERANT

    revision: str
    """The commit that the object names, or the head of its pull request with source.follow."""

    since: Timestamp
    """When the operator saw it first; the object's creation for the first one."""


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
    """Hourly cost of its instances in USD, with fallbackTypes that of the dearest type, of their volumes and of
    provisioned concurrency; what is charged by use counts as 0.00. Absent if a price is unknown, see unpriced."""

    accrued_usd: Annotated[str | None, Field(alias="accruedUSD")] = None
    """What this capacity had cost in USD until since; by now that and hourlyUSD for each hour that is over. "eep cost"
    computes it."""

    since: Timestamp | None = None
    """When hourlyUSD changed last."""

    month_start_usd: Annotated[str | None, Field(alias="monthStartUSD")] = None
    """What of accruedUSD is older than the calendar month of since, in UTC. Absent if that is not known."""

    unpriced: tuple[str, ...] = ()
    """Running capacity whose price is not known in the region: set it in prices of the class."""

    incomplete: bool = False
    """Whether the object had capacity without a known price earlier, so that accruedUSD is too low."""


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

    auth: AuthType | None = None
    """How callers authenticate: as api.auth.type asks, or by the token for as long as the class does not allow that."""


class EphemeralEndpointStatus(ApiModel):
    """The last observed state. Only the operator writes it."""

    model_config = TOLERANT

    observed_generation: int = -1
    """The metadata.generation that the status refers to; -1 before the operator has seen the object."""

    conditions: Conditions = ()
    """Conditions of the object. Ready is True once a request through the public URL has reached this revision."""

    url: str | None = None
    """Public URL of the endpoint."""

    open_ai_base_url: Annotated[str | None, Field(alias="openAIBaseUrl")] = None
    """Base URL for OpenAI clients, with a token of `eep openai-token`: SageMaker's own path to a model on instances,
    which streams too, if the model's server speaks that protocol. Absent on serverless and asynchronous endpoints."""

    route: RouteStatus | None = None
    """Which object has the path of the URL, and which wait for it."""

    endpoint_name: str | None = None
    """Name of the endpoint in SageMaker."""

    serving: str | None = None
    """Summary of the capacity that the model runs on."""

    image: ResolvedImage | None = None
    """The image that the spec's tag or digest was resolved to."""

    package: PackageStatus | None = None
    """The version that spec.model.package was resolved to."""

    variants: tuple[ServedVariant, ...] = ()
    """The models behind the URL, if there are several."""

    revision: str | None = None
    """The Git commit that is being served."""

    latest_revision: LatestRevision | None = None
    """The commit that should be served, and since when, from which the time to live may count."""

    last_used_at: Timestamp | None = None
    """When a caller last sent a request to the object's models, up to an hour old. Absent if nobody has, or if the
    class has no queue that the forwarder could tell it through and nothing counts from it."""

    expires_at: Timestamp | None = None
    """When the endpoint expires."""

    pinned: bool | None = None
    """True if the object is pinned: it lives as long as its class allows, whatever its time to live."""

    cost: Cost | None = None
    """The known cost of the object."""

    resources: Annotated[Sequence[Resource], Packed()] = ()
    """All AWS resources of the object."""

    checks: CheckRun | None = None
    """The last run of the checks."""

    comparison: ComparisonResult | None = None
    """The last comparison with the base."""

    feedback: tuple[VariantVotes, ...] = ()
    """The votes on the answers of each variant of the present revision, read once an hour. "eep feedback" shows them as
    they are now."""

    postprocess: PostprocessStatus | None = None
    """The object that api.postprocess names, as answers tell of it; absent while its model cannot be invoked."""

    review: ReviewStatus | None = None
    """What is known of the pull request, and what was published there."""

    training: TrainingStatus | None = None
    """The last training of the model."""
