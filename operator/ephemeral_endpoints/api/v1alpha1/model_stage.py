"""ModelStage: a long-lived endpoint that versions of a model are promoted to."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel, Conditions, ObjectMeta, Readable
from ephemeral_endpoints.api.v1alpha1.capture import Capture
from ephemeral_endpoints.api.v1alpha1.checks import Checks
from ephemeral_endpoints.api.v1alpha1.endpoint import SERVED_RULES
from ephemeral_endpoints.api.v1alpha1.feedback import Feedback
from ephemeral_endpoints.api.v1alpha1.model_data import EnvironmentFrom
from ephemeral_endpoints.api.v1alpha1.model_promotion import Outcome, PromotionKind
from ephemeral_endpoints.api.v1alpha1.monitoring import Monitoring
from ephemeral_endpoints.api.v1alpha1.packages import PackageGroup
from ephemeral_endpoints.api.v1alpha1.promotion_types import Freeze, WrittenVersion
from ephemeral_endpoints.api.v1alpha1.public_api import Api
from ephemeral_endpoints.api.v1alpha1.results import Results
from ephemeral_endpoints.api.v1alpha1.serving import Serving
from ephemeral_endpoints.api.v1alpha1.tags import UserTags
from ephemeral_endpoints.api.v1alpha1.types import (
    DnsLabel,
    Duration,
    Environment,
    Integer,
    Repository,
    Timestamp,
    between,
)

MOST_HISTORY = 10


class PromotionMode(StrEnum):
    """Whether a stage promotes by itself."""

    AUTO = "Auto"
    MANUAL = "Manual"


class EarlierStage(ApiModel):
    """The stage from which versions come."""

    stage: DnsLabel
    """Name of the stage, in the same namespace."""

    verified_for: Duration | None = None
    """For how long a version has to serve there, after its checks passed, before it is a candidate here: a duration
    such as 1h. Absent: as soon as it was promoted there."""


class StageSource(ApiModel):
    """Where the versions of a stage come from."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.group) != has(self.from)",
            message="set exactly one of group (a model package group) and from (another stage)",
            holds=lambda source: (source.group is None) != (source.from_ is None),
        ),
    )

    group: PackageGroup | None = None
    """Name of a model package group in the class's account and region, whose packages with the status Approved are
    candidates."""

    from_: Annotated[EarlierStage | None, Field(alias="from")] = None
    """Another stage, whose versions are candidates once they were promoted there."""


class StagedEndpointSpec(ApiModel):
    """What the endpoint of a stage is made of, beside the model: see the same fields of EphemeralEndpoint."""

    rules: ClassVar[tuple[Rule, ...]] = SERVED_RULES

    serving: Serving = Serving()
    """The capacity that the model runs on, and how a version is rolled out: see spec.serving of EphemeralEndpoint."""

    api: Api = Api()
    """The public HTTP API in front of the endpoint."""

    checks: Checks = ()
    """Requests to the model with what is expected of the answers, at most 50. A version is promoted once they pass on
    the new rollout, and goes back otherwise."""

    feedback: Feedback | None = None
    """Votes of callers on the answers of the model. Absent: no votes are taken."""

    capture: Capture | None = None
    """Recording of requests and answers, where the class says. Absent: they are not recorded."""

    results: Results | None = None
    """Publication of what the model answers, where the class says. Absent: nothing is published."""

    monitoring: Monitoring = Monitoring()
    """Logs and alarms. An alarm that goes off during a rollout ends the promotion, and the version before stays."""

    tags: UserTags = Field(default_factory=dict)
    """Tags of everything that is created in AWS for the stage, at most 20, with keys that the class allows. Default
    empty."""

    environment: Environment = Field(default_factory=dict)
    """Environment variables of the container: see spec.model.environment of EphemeralEndpoint. Default empty."""

    environment_from: EnvironmentFrom = ()
    """Environment variables whose values are in ConfigMaps of the stage's namespace: see spec.model.environmentFrom of
    EphemeralEndpoint."""


class StageTemplate(ApiModel):
    """The endpoint of a stage."""

    spec: StagedEndpointSpec = StagedEndpointSpec()
    """What it is made of."""


class ModelStageSpec(ApiModel):
    """The desired state."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.className == oldSelf.className",
            message="className cannot be changed, because the AWS resources are where the class says: make another "
            "stage, and delete this one once nobody uses its URL",
        ),
    )

    class_name: DnsLabel
    """Name of the EphemeralEndpointClass, which has to allow stages (spec.stages of the class). It cannot change."""

    repository: Repository
    """Path of the Git repository that the model comes from, such as acme/wine. It is shown, and limits count by it."""

    source: StageSource
    """Where the versions come from."""

    promotion: PromotionMode = PromotionMode.MANUAL
    """Auto: a newer candidate is promoted by itself. Manual: once it is approved, by the status Approved of its package
    if source is a group, or by the annotation ephemeral-endpoints.io/approved-version. Default Manual."""

    template: StageTemplate = StageTemplate()
    """The endpoint that the stage keeps. A change is rolled out at once, with the version that serves."""

    auto_rollback: bool = True
    """Whether the stage goes back to the version before where a rollout or its checks fail, and to the newest version
    that served here and is still approved where the one that serves is rejected. It is then pinned: nothing is promoted
    by itself until a person promotes. Default true."""

    timeout: Annotated[Duration, between(timedelta(minutes=5), timedelta(days=7), "must be between 5m and 7d")] = (
        timedelta(hours=1)
    )
    """How long a rollout with its checks may take, 5m to 7d; after it the promotion has failed. Default 1h."""

    freeze: Freeze | None = None
    """When nothing is promoted. Rollbacks are never frozen. Absent: never."""

    suspend: bool = False
    """While true, no promotion begins. What serves is kept up, and rollbacks still work. Default false."""

    history_limit: Annotated[Integer, Field(ge=1, le=100)] = MOST_HISTORY
    """How many ModelPromotions of the stage are kept that have ended, 1 to 100. Default 10."""


class StagedVersion(ApiModel):
    """A version that a stage serves."""

    model_config = TOLERANT

    version: WrittenVersion
    """The version, such as wine/7."""

    since: Timestamp
    """Since when it is promoted: it serves, and its checks have passed."""

    promotion: str
    """Name of the ModelPromotion that brought it."""


class PromotionRecord(ApiModel):
    """A promotion that has ended."""

    model_config = TOLERANT

    promotion: str
    """Name of the ModelPromotion."""

    number: int = 0
    """Which promotion of the stage it was, from 1."""

    version: WrittenVersion
    """The version that was promoted."""

    replaced: WrittenVersion | None = None
    """The version that served before."""

    kind: PromotionKind
    """Promotion or Rollback."""

    outcome: Outcome
    """How it ended."""

    started_at: Timestamp | None = None
    """When it began. Absent: it never did."""

    finished_at: Timestamp
    """When it ended."""

    by: str = ""
    """Who asked for it, or approved it."""

    message: str = ""
    """Why it was made, and why it ended as it did."""


class StageDeployment(ApiModel):
    """What the forge shows of a version."""

    model_config = TOLERANT

    version: WrittenVersion
    """The version, such as wine/7."""

    revision: str
    """The Git commit that it was made from."""

    deployment_id: int
    """Number of its deployment on the forge."""

    published: str
    """Digest of what was last published."""


class ModelStageStatus(ApiModel):
    """The last observed state. Only the operator writes it."""

    model_config = TOLERANT

    observed_generation: int = -1
    """The metadata.generation that the status refers to; -1 before the operator has seen the object."""

    conditions: Conditions = ()
    """Conditions of the stage. Ready is True while its endpoint serves; Promoted is True when the newest candidate is
    what serves, and otherwise tells what the next promotion waits for. Published tells whether the repository shows
    its deployments."""

    current: StagedVersion | None = None
    """The version that is promoted."""

    candidate: WrittenVersion | None = None
    """The version that is being promoted, or that the condition Promoted says is waited for; otherwise the newest
    version that is not promoted yet."""

    pinned_to: WrittenVersion | None = None
    """The version that the stage went back to. Nothing is promoted by itself until a person promotes a version."""

    promotion: str | None = None
    """Name of the ModelPromotion that runs."""

    url: str | None = None
    """Public URL of the endpoint."""

    history: tuple[PromotionRecord, ...] = ()
    """The last 10 promotions, the newest first."""

    deployments: tuple[StageDeployment, ...] = ()
    """What was published on the forge, for the versions above."""


class ModelStage(ApiModel):
    """A long-lived endpoint that versions of a model are promoted to."""

    model_config = TOLERANT
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",
            message="the name of a stage must be a DNS label, so that source.from can name it: at most 63 lowercase "
            "letters, digits and '-', with a letter or digit at both ends",
        ),
        Rule(
            cel="!has(self.spec.source.from) || self.spec.source.from.stage != self.metadata.name",
            message="spec.source.from.stage must be another stage",
            holds=lambda stage: stage.spec.source.from_ is None or stage.spec.source.from_.stage != stage.metadata.name,
        ),
    )

    api_version: Literal["ephemeral-endpoints.io/v1alpha1"] = API_VERSION
    kind: Literal["ModelStage"] = "ModelStage"
    metadata: ObjectMeta

    spec: ModelStageSpec
    """The desired state."""

    status: Annotated[ModelStageStatus, Readable] = ModelStageStatus()
    """The last observed state. Only the operator writes it."""
