"""The reasons of the condition ``ChecksPassed``."""

from typing import Final

from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.reasons import Finality, ReasonGroup

CHECKS_PASSED: Final = "ChecksPassed"
"""The type of the condition."""

REASONS: Final = ReasonGroup(CHECKS_PASSED)

PASSED: Final = REASONS.normal("ChecksPassed", meaning="The model answered all requests of `spec.checks` as expected.")
WAITING: Final = REASONS.transient(
    "ChecksWaiting", meaning="The checks run once the endpoint is ready.", remedy="see `Ready`"
)
RUNNING: Final = REASONS.transient(
    "ChecksRunning",
    meaning="The requests of `spec.checks` are being sent. That takes at most 30 seconds for each, a few at a time, "
    "and some minutes for each check with `load`.",
)
FAILED: Final = REASONS.for_author(
    "ChecksFailed",
    finality=Finality.RECOVERABLE,
    meaning="The model did not answer as `spec.checks` expects, or the schemas of the API break callers of its base "
    "(the check [BreakingSchema](schemas.md#changes-that-break-callers)). The message names the first checks that "
    "failed, with what was expected and what was found; `status.checks` has all of them. `Ready` does not depend on "
    "it.",
    remedy="correct the model or the schemas and push a commit, or correct the checks; `eep check NAME` runs them "
    "again",
)
INCONCLUSIVE: Final = REASONS.for_author(
    "ChecksInconclusive",
    finality=Finality.RECOVERABLE,
    meaning="Some checks could not be carried out, and none failed: the model was still being started after 30 "
    "seconds, the URL was not reached or refused the token, a JSON Schema took too long to apply, or "
    "[load](load.md#inconclusive) says nothing about the model. The checks are not run again by themselves.",
    remedy="remove the cause that the message names, and run the checks again with `eep check NAME`",
)


class CheckInvalid(ReconcileError):
    """A check asks for what cannot be checked."""

    reason = REASONS.for_author(
        "CheckInvalid",
        finality=Finality.RECOVERABLE,
        meaning="A check asks for what cannot be checked, such as a JSON Schema that is none. The message names the "
        "check and the place. No check is run.",
        remedy="correct the check, or the ConfigMap that it refers to",
    )


class CheckUnavailable(ReconcileError):
    """A request or a schema of a check is in a ConfigMap that does not have it."""

    reason = REASONS.for_author(
        "CheckUnavailable",
        finality=Finality.RECOVERABLE,
        meaning="A ConfigMap or a key of it that `spec.checks` names does not exist. No check is run until it does.",
        remedy="create or correct the ConfigMap that the message names",
    )
