"""The reasons of the conditions of stages and promotions."""

from datetime import datetime
from typing import Final

from ephemeral_endpoints.api import APPROVED_BY_ANNOTATION, APPROVED_VERSION_ANNOTATION
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.engine.reasons import EVENTS, PROGRESS, READY, Finality, ReasonGroup
from ephemeral_endpoints.features.packages.reasons import REJECTED_BUT_SERVING
from ephemeral_endpoints.features.promotion.versions import Version

PROMOTED_CONDITION: Final = "Promoted"
APPROVED_CONDITION: Final = "Approved"
ROLLED_OUT_CONDITION: Final = "RolledOut"
VERIFIED_CONDITION: Final = "Verified"
COMPLETE_CONDITION: Final = "Complete"
"""The types of the conditions of stages and promotions."""

REASONS: Final = ReasonGroup(f"{PROMOTED_CONDITION} of a stage")

PROMOTED: Final = REASONS.normal("Promoted", meaning="The newest candidate is promoted.")
PROMOTING: Final = REASONS.transient(
    "Promoting", meaning="A version is being rolled out. The version before serves until that has ended."
)
VERIFYING: Final = REASONS.transient("Verifying", meaning="A version is rolled out, and its checks are running.")
ROLLING_BACK: Final = REASONS.transient(
    "GoingBack", meaning="The stage is going back to a version that served before. It is then pinned."
)
VERIFICATION_INCONCLUSIVE: Final = REASONS.for_author(
    "VerificationInconclusive",
    finality=Finality.RECOVERABLE,
    meaning="A version is rolled out, but its checks could not be carried out. After `spec.timeout` the promotion has "
    "failed.",
    remedy="remove the cause that the message names, and run the checks again with `eep check STAGE`",
)
AWAITING_APPROVAL: Final = REASONS.for_author(
    "AwaitingApproval",
    finality=Finality.TRANSIENT,
    meaning="A version waits for a person. What serves goes on serving.",
    remedy="approve it with `eep stage approve STAGE VERSION`, or in the registry if the source is a group",
)
SOAKING: Final = REASONS.transient(
    "Soaking", meaning="A version serves in the stage before, but not for as long as `verifiedFor` asks."
)
QUEUED: Final = REASONS.transient("Queued", meaning="Another promotion of the stage runs.")
FROZEN: Final = REASONS.transient(
    "Frozen",
    meaning="No promotion begins, because `spec.freeze` says so. Rollbacks still work.",
    remedy="wait, or change `spec.freeze`",
)
PROMOTION_SUSPENDED: Final = REASONS.transient(
    "PromotionSuspended",
    meaning="No promotion begins, because `spec.suspend` is true. Rollbacks still work.",
    remedy="set `spec.suspend` to false",
)
PINNED: Final = REASONS.for_author(
    "StagePinned",
    finality=Finality.RECOVERABLE,
    meaning="The stage went back to an earlier version, and promotes nothing by itself.",
    remedy="promote a version with `eep stage promote STAGE VERSION`; when it serves, the stage is no longer pinned",
)
PROMOTION_FAILED: Final = REASONS.for_author(
    "PromotionFailed",
    finality=Finality.RECOVERABLE,
    meaning="A version could not be rolled out or failed its checks, and there is no version to go back to, or "
    "`spec.autoRollback` is false.",
    remedy="register a version that works, or go back with `eep stage rollback STAGE`",
)
ROLLBACK_FAILED: Final = REASONS.for_author(
    "RollbackFailed",
    finality=Finality.RECOVERABLE,
    meaning="The stage could not go back to an earlier version. SageMaker keeps serving what served last.",
    remedy="see the conditions of the stage's EphemeralEndpoint; then go back or promote again",
)
APPROVED_VERSION_GONE: Final = REASONS.for_author(
    "ApprovedVersionGone",
    finality=Finality.RECOVERABLE,
    meaning="The version that was approved on the stage does not exist, or does not exist any more.",
    remedy="approve a version that exists",
)
NOTHING_TO_PROMOTE: Final = REASONS.transient(
    "NothingToPromote",
    meaning="The source has no version yet that can be promoted.",
    remedy="register and approve a package, or wait for the stage before",
)
STAGE_INVALID: Final = REASONS.for_author(
    "StageInvalid",
    READY,
    PROGRESS,
    meaning="The stage asks for what there is not, such as a time zone or a class.",
    remedy="correct what the message names",
)
STAGES_NOT_ALLOWED: Final = REASONS.for_author(
    "StagesNotAllowed",
    READY,
    PROGRESS,
    meaning="The class does not allow stages. What serves already keeps serving.",
    remedy="ask the platform team to set `spec.stages.allowed` of the class, or use another class",
)
NAME_TAKEN: Final = REASONS.for_author(
    "StageNameTaken",
    READY,
    PROGRESS,
    meaning="An EphemeralEndpoint with the name of the stage exists and is not the stage's.",
    remedy="delete or rename one of them",
)
STAGE_NOT_FOUND: Final = REASONS.for_author(
    "StageNotFound",
    f"{COMPLETE_CONDITION} of a promotion",
    finality=Finality.RECOVERABLE,
    meaning="A ModelPromotion or the source of a stage names a stage that does not exist.",
    remedy="create the stage, or correct the name",
)
REGISTRY_UNAVAILABLE: Final = REASONS.for_platform(
    "RegistryUnavailable",
    meaning="The registry cannot be read, so that nothing is promoted. What serves goes on serving, and rollbacks "
    "still work.",
    remedy="see the message; the operator tries again",
)
NO_ENDPOINT: Final = REASONS.transient(
    "NoEndpoint", READY, meaning="The stage has no endpoint before its first promotion.", remedy="see `Promoted`"
)

_PROMOTIONS: Final = f"{COMPLETE_CONDITION} of a promotion"
SUCCEEDED: Final = REASONS.normal("Succeeded", _PROMOTIONS, EVENTS, meaning="The stage serves the version.")
WENT_BACK: Final = REASONS.for_author(
    "WentBack",
    _PROMOTIONS,
    EVENTS,
    finality=Finality.RECOVERABLE,
    meaning="The version failed, and the stage went back to the one before, to which it is pinned.",
    remedy="correct the model, and promote a new version with `eep stage promote`",
)
SUPERSEDED: Final = REASONS.normal("Superseded", _PROMOTIONS, EVENTS, meaning="A rollback was asked for meanwhile.")
REFUSED: Final = REASONS.for_author(
    "Refused",
    _PROMOTIONS,
    EVENTS,
    finality=Finality.RECOVERABLE,
    meaning="The promotion did not begin, because the version cannot be promoted. Nothing was changed.",
    remedy="see the message, and create another ModelPromotion",
)
APPROVAL_BYPASSED: Final = REASONS.normal(
    "ApprovalBypassed", EVENTS, meaning="A promotion began without an approval, because it bypasses it."
)
APPROVAL_GIVEN: Final = REASONS.normal(
    "ApprovalGiven", f"{APPROVED_CONDITION} of a promotion", meaning="The version is approved, or needs no approval."
)
ROLLOUT_DONE: Final = REASONS.normal(
    "RolloutDone", f"{ROLLED_OUT_CONDITION} of a promotion", meaning="The stage's endpoint serves the version."
)


def unapproved(version: Version) -> Cause:
    """The version waits for a person."""
    return Cause(
        AWAITING_APPROVAL,
        f"{version} waits for its approval: a person who may approve stages must set the annotations "
        f"{APPROVED_VERSION_ANNOTATION} to {version} and {APPROVED_BY_ANNOTATION} to their user name (`eep stage "
        "approve`), or approve the package in the registry if the source is a group",
    )


def soaking(version: Version, until: datetime | None) -> Cause:
    """The version has not served for long enough in the stage before."""
    ends = f"until {until:%Y-%m-%d %H:%M} UTC " if until else ""
    return Cause(SOAKING, f"{version} has to serve in the stage before {ends}(spec.source.from.verifiedFor)")


def pinned(version: Version, why: str) -> Cause:
    """The stage went back to a version."""
    because = f", because {why}" if why else ""
    return Cause(
        PINNED,
        f"the stage went back to {version}{because}; nothing is promoted by itself until a person promotes a version "
        "(`eep stage promote`)",
    )


def rejected(version: Version | None) -> Cause:
    """What serves is rejected, and there is nothing to go back to."""
    return Cause(
        REJECTED_BUT_SERVING,
        f"{version} was rejected in the registry and keeps serving, because no approved version served here before: "
        "approve another version",
    )


def ended_badly(version: Version, why: str, *, is_rollback: bool) -> Cause:
    """A promotion failed, and nothing brought the version before back."""
    reason = ROLLBACK_FAILED if is_rollback else PROMOTION_FAILED
    remedy = (
        "see the conditions of the EphemeralEndpoint, then go back or promote again (`eep stage`)"
        if is_rollback
        else "register a version that works, or go back (`eep stage rollback`)"
    )
    return Cause(reason, f"{version} failed: {why}. A person must act: {remedy}")


def gone(version: Version) -> Cause:
    """What was approved does not exist."""
    return Cause(
        APPROVED_VERSION_GONE,
        f"the annotation {APPROVED_VERSION_ANNOTATION} names {version}, which does not exist or does not exist any "
        "more: approve a version that exists",
    )


def unread() -> Cause:
    """Nothing is known of the registry yet."""
    return Cause(REGISTRY_UNAVAILABLE, "the registry has not been read yet; the operator tries again")


def no_class(name: str) -> Cause:
    """The class of the stage does not exist."""
    return Cause(
        STAGE_INVALID,
        f"class {name} does not exist: ask the platform team to create it, or make another stage with a class that "
        "exists",
    )


def not_allowed(name: str) -> Cause:
    """The class has no stages."""
    return Cause(
        STAGES_NOT_ALLOWED,
        f"class {name} does not allow stages, whose endpoints never expire: ask the platform team to set "
        "spec.stages.allowed of the class",
    )


def no_time_zone(name: str) -> Cause:
    """The freeze names no time zone."""
    return Cause(STAGE_INVALID, f"timeZone {name} in spec.freeze is no time zone: use a name such as Europe/Berlin")


def name_taken(name: str) -> Cause:
    """The endpoint is another one's."""
    return Cause(
        NAME_TAKEN,
        f"the EphemeralEndpoint {name} exists and does not belong to this stage: delete it, or make a stage with "
        "another name",
        awaited="its deletion",
    )


def no_source(name: str) -> Cause:
    """The stage before does not exist."""
    return Cause(
        STAGE_NOT_FOUND,
        f"spec.source.from names the stage {name}, which does not exist: create it, or correct the name. What serves "
        "goes on serving",
    )


def no_stage(name: str) -> Cause:
    """The stage of a promotion does not exist."""
    return Cause(STAGE_NOT_FOUND, f"the stage {name} does not exist: create it, or delete this promotion")


def bypassed(by: str | None, version: Version, stage: str) -> Cause:
    """A promotion begins without an approval."""
    return Cause(APPROVAL_BYPASSED, f"{by or 'somebody'} promotes {version} to {stage} without an approval")


def no_endpoint(*, is_made: bool) -> Cause:
    """The endpoint does not exist, or has not told anything yet."""
    state = "has just been created" if is_made else "does not exist before the first promotion"
    return Cause(NO_ENDPOINT, f"the endpoint of the stage {state}: the condition {PROMOTED_CONDITION} tells more")


def given(*, is_rollback: bool, is_bypassed: bool, is_from_stage: bool) -> Cause:
    """How a promotion came to begin."""
    if is_rollback:
        return Cause(APPROVAL_GIVEN, "a rollback needs no approval")
    if is_bypassed:
        return Cause(APPROVAL_GIVEN, "the approval is bypassed (spec.bypassApproval)")
    return Cause(APPROVAL_GIVEN, "the earlier stage has verified it" if is_from_stage else "the package is approved")
