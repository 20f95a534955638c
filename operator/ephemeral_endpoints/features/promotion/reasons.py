"""The reasons of the conditions of stages and promotions."""

from typing import Final

from ephemeral_endpoints.engine.reasons import EVENTS, PROGRESS, READY, Finality, ReasonGroup

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
