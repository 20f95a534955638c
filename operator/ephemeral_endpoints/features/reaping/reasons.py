"""The reasons of the condition of a class about its reaper."""

from typing import Final

from ephemeral_endpoints.engine.reasons import ReasonGroup

REAPER_ACTIVE: Final = "ReaperActive"
"""The condition of a class that says whether its reaper runs."""

REASONS: Final = ReasonGroup(REAPER_ACTIVE)

REAPER_RUNNING: Final = REASONS.normal(
    "ReaperRunning", meaning="The reaper runs every 15 minutes, whether or not the operator does."
)
REAPER_CHANGING: Final = REASONS.transient(
    "ReaperChanging", meaning="The operator is creating or changing the reaper of the class."
)
REAPER_FAILED: Final = REASONS.for_platform(
    "ReaperFailed",
    meaning="The operator cannot make the reaper of the class, or change it. What expires is deleted by the operator "
    "alone.",
    remedy="correct what the message names: often `spec.reaper.roleArn`, or the operator's policy `operator-images`",
)
REAPER_SILENT: Final = REASONS.for_platform(
    "ReaperSilent",
    meaning="No run of the reaper has ended well for two hours, or yet. If the operator were gone now, nothing would "
    "delete what expires.",
    remedy="a new reaper runs within 15 minutes; otherwise read the log group of the function, and see whether its "
    "role has the policies `reaper` and `reaper-deletions`",
)
REAPER_FAILING: Final = REASONS.for_platform(
    "ReaperFailing",
    meaning="Runs of the reaper cannot read or delete some kinds of resources, or end with an error.",
    remedy="read the last report in the log group of the function: it names the kinds and the errors",
)
REAPER_HOLDING: Final = REASONS.for_platform(
    "ReaperHolding",
    meaning="More objects are due at once than `spec.reaper.maxSharePercent`: the reaper holds them for another grace.",
    remedy="see why the operator has not deleted them, and extend those that are needed; otherwise wait",
)
