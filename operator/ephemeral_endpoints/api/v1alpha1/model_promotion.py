"""ModelPromotion: one attempt to have a stage serve a version. It runs once."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel, Conditions, ObjectMeta, Readable
from ephemeral_endpoints.api.v1alpha1.promotion_types import VersionName, WrittenVersion
from ephemeral_endpoints.api.v1alpha1.types import DnsLabel, Line, Timestamp


class PromotionKind(StrEnum):
    """What a promotion is for."""

    PROMOTION = "Promotion"
    ROLLBACK = "Rollback"


class Outcome(StrEnum):
    """How a promotion ended."""

    SUCCEEDED = "Succeeded"
    ROLLED_BACK = "RolledBack"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"
    REFUSED = "Refused"


class ModelPromotionSpec(ApiModel):
    """What is promoted. It cannot change."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self == oldSelf",
            message="a promotion cannot change, because it runs once: create another one",
        ),
        Rule(
            cel="has(self.version) || (has(self.kind) && self.kind == 'Rollback')",
            message="version is needed, unless kind is Rollback: then it is the version that served before",
            holds=lambda spec: spec.version is not None or spec.kind is PromotionKind.ROLLBACK,
        ),
        Rule(
            cel="!self.bypassApproval || !has(self.kind) || self.kind == 'Promotion'",
            message="bypassApproval must not be set on a Rollback, which needs no approval",
            holds=lambda spec: not spec.bypass_approval or spec.kind is PromotionKind.PROMOTION,
        ),
    )

    stage: DnsLabel
    """Name of the ModelStage, in the same namespace."""

    version: VersionName | None = None
    """The version, such as wine/7: a model package group and a version of it. Absent on a Rollback: the version that
    served before."""

    kind: PromotionKind = PromotionKind.PROMOTION
    """Promotion: to a candidate of the stage; it waits for its approval and for the end of a freeze. Rollback: to a
    version that served there before, at once; the stage is then pinned to it. Default Promotion."""

    bypass_approval: bool = False
    """Whether a version is promoted that is not approved, or that the earlier stage has not verified. It needs the verb
    bypass-approval on modelpromotions, and is told in an Event. Default false."""

    requested_by: Line | None = None
    """The user who asks for it: the admission policy admits no other name than that of the user who creates the object.
    Absent: not recorded."""

    message: Line | None = None
    """Why it is made, for people. Absent: not said."""


class ModelPromotionStatus(ApiModel):
    """The last observed state. Only the operator writes it."""

    model_config = TOLERANT

    observed_generation: int = -1
    """The metadata.generation that the status refers to; -1 before the operator has seen the object."""

    conditions: Conditions = ()
    """Conditions of the promotion: Approved, RolledOut, Verified, and Complete, which is True once it has succeeded and
    False once it has ended otherwise."""

    number: int = 0
    """Which promotion of the stage it is, from 1, in the order in which they began. 0: it has not begun."""

    version: WrittenVersion | None = None
    """The version that is promoted."""

    replaced: WrittenVersion | None = None
    """The version that served when it began."""

    outcome: Outcome | None = None
    """How it ended. Absent: it has not."""

    approved_by: str | None = None
    """Who approved the version, as far as that is recorded."""

    started_at: Timestamp | None = None
    """When it began."""

    finished_at: Timestamp | None = None
    """When it ended."""


class ModelPromotion(ApiModel):
    """One attempt to have a stage serve a version of its model."""

    model_config = TOLERANT

    api_version: Literal["ephemeral-endpoints.io/v1alpha1"] = API_VERSION
    kind: Literal["ModelPromotion"] = "ModelPromotion"
    metadata: ObjectMeta

    spec: ModelPromotionSpec
    """What is promoted. It cannot change."""

    status: Annotated[ModelPromotionStatus, Readable] = ModelPromotionStatus()
    """The last observed state. Only the operator writes it."""
