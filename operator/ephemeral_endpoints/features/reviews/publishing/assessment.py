"""What an object's status means for a reviewer: how its deployment stands, and whether its commit passes. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckResult
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionType
from ephemeral_endpoints.engine.errors import QuotaExceeded
from ephemeral_endpoints.engine.reasons import SUSPENDED
from ephemeral_endpoints.features.capacity.limits import LIMIT_REACHED
from ephemeral_endpoints.features.checks.comparison.reasons import COMPARED, COMPARING, COMPARISON_WAITS
from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED, RUNNING, WAITING
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.reviews.forge import CheckState, DeploymentState
from ephemeral_endpoints.features.sleep.stage import is_resting

APPROVAL_REQUIRED: Final = ImageProblem.UNAPPROVED.reason.name

RENEWAL: Final = timedelta(minutes=25)
"""How often a deployment in progress is renewed: GitHub shows one as abandoned that is not for 30 minutes.

https://docs.github.com/en/graphql/reference/enums#deploymentstate
"""

_QUEUED: Final = {
    ImageProblem.QUEUED.reason.name: "The build waits for earlier ones",
    ImageProblem.NOT_FOUND.reason.name: "Waiting for the image to be pushed",
    APPROVAL_REQUIRED: "Nothing is built before somebody approves it",
    QuotaExceeded.reason.name: "Waiting for capacity in the AWS account",
    LIMIT_REACHED.name: "Waiting for other objects to end",
}
"""What the deployment says by the reason of Ready, where something else has to happen first."""

_PENDING: Final = frozenset(each.name for each in (WAITING, RUNNING, COMPARISON_WAITS, COMPARING))
"""The reasons of both while requests are sent or about to be."""

_NOT_PASSED: Final = (CheckState.FAILURE, CheckState.ERROR)

_IN_PROGRESS: Final = "Building and rolling out"


@dataclass(frozen=True, slots=True)
class Assessment:
    """How an object stands. ``check`` is what its commit status says, ``message`` why something is wrong.

    ``is_settled``: the checks and the comparison of this revision are over.
    """

    deployment: DeploymentState
    check: CheckState
    words: str
    message: str = ""
    reason: str = ""
    is_settled: bool = True
    renewed_in: timedelta | None = None
    """In what time a deployment in progress has to be renewed."""


def assess(endpoint: EphemeralEndpoint, failures: Collection[str], now: datetime) -> Assessment | None:
    """How the object stands; None while that is not known, and nothing of it should be changed.

    ``failures`` are the reasons of conditions that somebody has to act on. ``now`` is the time of day in UTC.
    """
    status = endpoint.status
    ready = condition(endpoint, ConditionType.READY)
    if endpoint.spec.suspend and not _serves(endpoint):
        return _SUSPENDED
    is_current = status.observed_generation >= endpoint.metadata.generation
    if ready is None or (not is_current and not _serves(endpoint)):
        return _in_progress(endpoint, ready, now)
    if ready.status == ConditionStatus.UNKNOWN.value or not is_current:
        return None
    if ready.status == ConditionStatus.TRUE.value:
        return _serving(endpoint) if _serves(endpoint) else _in_progress(endpoint, ready, now)
    return _unready(endpoint, ready, failures, now)


_SUSPENDED: Final = Assessment(
    DeploymentState.QUEUED,
    CheckState.PENDING,
    "Nothing is rolled out while the object is suspended",
    "spec.suspend is true",
    SUSPENDED.name,
)


def condition(endpoint: EphemeralEndpoint, type_: str) -> Condition | None:
    """The condition of that type."""
    return next((each for each in endpoint.status.conditions if each.type == type_), None)


def failed_checks(endpoint: EphemeralEndpoint) -> tuple[CheckResult, ...]:
    """The checks of this revision that did not pass."""
    run = endpoint.status.checks
    if run is None or run.revision != endpoint.revision:
        return ()
    return tuple(each for each in run.results if each.outcome is not CheckOutcome.PASSED)


def _serves(endpoint: EphemeralEndpoint) -> bool:
    return endpoint.status.revision == endpoint.revision


def _serving(endpoint: EphemeralEndpoint) -> Assessment:
    checks, compared = condition(endpoint, CHECKS_PASSED), condition(endpoint, COMPARED)
    check = CheckState.SUCCESS if checks is None else _check(checks)
    message = checks.message if checks and check in _NOT_PASSED else ""
    is_settled = check is not CheckState.PENDING and (compared is None or compared.reason not in _PENDING)
    return Assessment(DeploymentState.SUCCESS, check, "Serving", message, is_settled=is_settled)


def _check(checks: Condition) -> CheckState:
    """A check that could not be carried out says nothing of the model, but nobody should merge by it either."""
    if checks.status == ConditionStatus.TRUE.value:
        return CheckState.SUCCESS
    if checks.reason in _PENDING:
        return CheckState.PENDING
    return CheckState.FAILURE if checks.status == ConditionStatus.FALSE.value else CheckState.ERROR


def _unready(endpoint: EphemeralEndpoint, ready: Condition, failures: Collection[str], now: datetime) -> Assessment:
    if words := _QUEUED.get(ready.reason):
        return Assessment(DeploymentState.QUEUED, CheckState.PENDING, words, ready.message, ready.reason)
    stalled = condition(endpoint, ConditionType.STALLED)
    if ready.reason in failures or (stalled and stalled.status == ConditionStatus.TRUE.value):
        cause = stalled if stalled and stalled.status == ConditionStatus.TRUE.value else ready
        return Assessment(DeploymentState.FAILURE, CheckState.FAILURE, cause.message, cause.message, cause.reason)
    if is_resting(endpoint) and _serves(endpoint):
        return _serving(endpoint)
    return _in_progress(endpoint, ready, now)


def _in_progress(endpoint: EphemeralEndpoint, ready: Condition | None, now: datetime) -> Assessment:
    began = ready.last_transition_time if ready else endpoint.metadata.creation_timestamp
    passed = max(now - began, timedelta(0)) if began else timedelta(0)
    renewals = passed // RENEWAL
    minutes = renewals * RENEWAL // timedelta(minutes=1)
    words = f"{_IN_PROGRESS}, for {minutes} minutes so far" if renewals else _IN_PROGRESS
    return Assessment(
        DeploymentState.IN_PROGRESS, CheckState.PENDING, words, renewed_in=(renewals + 1) * RENEWAL - passed
    )
