"""The condition ``ChecksPassed``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckResult, CheckRun
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.features.checks.documents import line
from ephemeral_endpoints.features.checks.reasons import (
    CHECKS_PASSED,
    FAILED,
    INCONCLUSIVE,
    PASSED,
    RUNNING,
    WAITING,
    CheckInvalid,
    CheckUnavailable,
)

_MOST_NAMED: Final = 4
_WORDS: Final = 250


@dataclass(frozen=True, slots=True)
class CheckState:
    """What is known of the checks of an object: how many there are, and the run of them as they are now, if it ended.

    ``error`` is what keeps them from being run.
    """

    count: int
    is_ready: bool
    error: ReconcileError | None = None
    run: CheckRun | None = None


def checks_passed(state: CheckState) -> ConditionUpdate:
    """Whether the model answers as expected. Unknown until that is known."""
    if state.error:
        is_authors = isinstance(state.error, CheckInvalid | CheckUnavailable)
        return _update(ConditionStatus.FALSE if is_authors else ConditionStatus.UNKNOWN, Cause.of(state.error))
    if state.run:
        return _ended(state.run)
    if not state.is_ready:
        return _update(ConditionStatus.UNKNOWN, Cause(WAITING, "the checks run once the endpoint is ready"))
    number = f"{state.count} check{'s' if state.count > 1 else ''}"
    return _update(ConditionStatus.UNKNOWN, Cause(RUNNING, f"running {number}"))


def _ended(run: CheckRun) -> ConditionUpdate:
    failed = _of(run, CheckOutcome.FAILED)
    unclear = _of(run, CheckOutcome.INCONCLUSIVE)
    if failed:
        more = f"; inconclusive: {_named(unclear)}" if unclear else ""
        message = (
            f"{len(failed)} of {len(run.results)} checks failed: {_named(failed)}{more}; correct the model and push a "
            "commit, or correct spec.checks"
        )
        return _update(ConditionStatus.FALSE, Cause(FAILED, message))
    if unclear:
        message = (
            f"{len(unclear)} of {len(run.results)} checks could not be carried out: {_named(unclear)}; run them again "
            "with `eep check`"
        )
        return _update(ConditionStatus.UNKNOWN, Cause(INCONCLUSIVE, message))
    return _update(ConditionStatus.TRUE, Cause(PASSED, f"all checks passed ({len(run.results)})"))


def _of(run: CheckRun, outcome: CheckOutcome) -> list[CheckResult]:
    return [each for each in run.results if each.outcome is outcome]


def _named(results: Sequence[CheckResult]) -> str:
    named = [f"{each.name} ({line(each.message, _WORDS)})" for each in results[:_MOST_NAMED]]
    if more := len(results) - len(named):
        named.append(f"and {more} more")
    return ", ".join(named)


def _update(status: ConditionStatus, cause: Cause) -> ConditionUpdate:
    return ConditionUpdate.of(CHECKS_PASSED, status, cause)
