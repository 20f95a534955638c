from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from tests.features.reviews.publications import (
    CHECK_RUN,
    FAILURES,
    NOW,
    OTHER,
    READY,
    SERVING,
    condition,
    not_ready,
    subject,
)

from ephemeral_endpoints.features.checks.comparison.reasons import COMPARED
from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED
from ephemeral_endpoints.features.reviews.forge import CheckState, DeploymentState
from ephemeral_endpoints.features.reviews.publishing.assessment import (
    RENEWAL,
    Assessment,
    assess,
    failed_checks,
)

QUEUED, IN_PROGRESS = DeploymentState.QUEUED, DeploymentState.IN_PROGRESS
SUCCESS, FAILURE = DeploymentState.SUCCESS, DeploymentState.FAILURE
WAKING = condition("Active", "True", "Waking")


def serving(*conditions: Mapping[str, Any], **status: Any) -> dict[str, Any]:  # noqa: ANN401 - members of a status
    return {**SERVING, "conditions": [READY, *conditions], **status}


def assessed(status: Mapping[str, Any], minutes: int = 0, **metadata: Any) -> Assessment | None:  # noqa: ANN401
    return assess(subject(status, metadata=metadata).endpoint, FAILURES, NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("status", [{}, not_ready("Creating"), {**SERVING, "revision": OTHER}])
def test_what_is_suspended_before_it_is_served_waits_and_is_not_renewed(status: Mapping[str, Any]) -> None:
    found = assess(subject(status, spec={"suspend": True}).endpoint, FAILURES, NOW + timedelta(days=1))
    assert found
    assert (found.deployment, found.check, found.renewed_in) == (QUEUED, CheckState.PENDING, None)


def test_what_is_suspended_serves_on() -> None:
    found = assess(subject(SERVING, spec={"suspend": True}).endpoint, FAILURES, NOW)
    assert found
    assert (found.deployment, found.check) == (SUCCESS, CheckState.SUCCESS)
    unknown = {**SERVING, "conditions": [condition("Ready", "Unknown", "Unavailable")]}
    assert assess(subject(unknown, spec={"suspend": True}).endpoint, FAILURES, NOW) is None


@dataclass(frozen=True, kw_only=True)
class Case:
    status: Mapping[str, Any]
    deployment: DeploymentState
    check: CheckState
    settled: bool = True


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Case(status={}, deployment=IN_PROGRESS, check=CheckState.PENDING), id="the operator has not seen it yet"
        ),
        pytest.param(
            Case(status=not_ready("Building"), deployment=IN_PROGRESS, check=CheckState.PENDING), id="it is being built"
        ),
        pytest.param(
            Case(status=not_ready("BuildQueued"), deployment=QUEUED, check=CheckState.PENDING),
            id="other builds come first",
        ),
        pytest.param(
            Case(status=not_ready("ImageNotFound"), deployment=QUEUED, check=CheckState.PENDING),
            id="CI has not pushed the image yet, which is no failure",
        ),
        pytest.param(
            Case(status=not_ready("ApprovalRequired"), deployment=QUEUED, check=CheckState.PENDING),
            id="a person has to approve it",
        ),
        pytest.param(
            Case(status=not_ready("BuildFailed"), deployment=FAILURE, check=CheckState.FAILURE),
            id="somebody has to act on it",
        ),
        pytest.param(
            Case(
                status=not_ready("Creating")
                | {
                    "conditions": [condition("Ready", "False", "Creating"), condition("Stalled", "True", "QuotaTooLow")]
                },
                deployment=FAILURE,
                check=CheckState.FAILURE,
            ),
            id="no retry can help",
        ),
        pytest.param(
            Case(status=SERVING, deployment=SUCCESS, check=CheckState.SUCCESS), id="it serves, without checks"
        ),
        pytest.param(
            Case(status={**SERVING, "revision": OTHER}, deployment=IN_PROGRESS, check=CheckState.PENDING),
            id="it is Ready with the revision before this one",
        ),
        pytest.param(
            Case(
                status=serving(condition(CHECKS_PASSED, "True", "ChecksPassed")),
                deployment=SUCCESS,
                check=CheckState.SUCCESS,
            ),
            id="its checks passed",
        ),
        pytest.param(
            Case(
                status=serving(condition(CHECKS_PASSED, "Unknown", "ChecksRunning")),
                deployment=SUCCESS,
                check=CheckState.PENDING,
                settled=False,
            ),
            id="its checks are running",
        ),
        pytest.param(
            Case(
                status=serving(condition(CHECKS_PASSED, "False", "ChecksWaiting")),
                deployment=SUCCESS,
                check=CheckState.PENDING,
                settled=False,
            ),
            id="its checks are about to run",
        ),
        pytest.param(
            Case(
                status=serving(condition(CHECKS_PASSED, "False", "ChecksFailed")),
                deployment=SUCCESS,
                check=CheckState.FAILURE,
            ),
            id="a check failed: it serves all the same",
        ),
        pytest.param(
            Case(
                status=serving(condition(CHECKS_PASSED, "Unknown", "ChecksInconclusive")),
                deployment=SUCCESS,
                check=CheckState.ERROR,
            ),
            id="a check could not be carried out: nobody should merge by it",
        ),
        pytest.param(
            Case(
                status=serving(condition(COMPARED, "Unknown", "Comparing")),
                deployment=SUCCESS,
                check=CheckState.SUCCESS,
                settled=False,
            ),
            id="it is being compared, which decides nothing but when the comment is written",
        ),
        pytest.param(
            Case(
                status=serving(condition(COMPARED, "Unknown", "FirstRevision")),
                deployment=SUCCESS,
                check=CheckState.SUCCESS,
            ),
            id="there is nothing to compare it with",
        ),
    ],
)
def test_a_status_means_one_thing_to_a_reviewer(case: Case) -> None:
    found = assessed(case.status)
    assert found is not None
    assert (found.deployment, found.check, found.is_settled) == (case.deployment, case.check, case.settled)


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({**SERVING, "conditions": [condition("Ready", "Unknown", "CredentialsUnavailable")]}, id="no AWS"),
        pytest.param({**SERVING, "observedGeneration": 0}, id="another spec with the same revision is not seen yet"),
    ],
)
def test_what_is_not_known_changes_nothing(status: Mapping[str, Any]) -> None:
    assert assessed(status) is None


def test_a_failure_of_an_earlier_spec_is_none_of_the_new_one() -> None:
    found = assessed(not_ready("BuildFailed"), generation=2)
    assert found is not None
    assert found.deployment is IN_PROGRESS


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "Building and rolling out"),
        (14, "Building and rolling out"),
        (15, "Building and rolling out, for 25 minutes so far"),
        (39, "Building and rolling out, for 25 minutes so far"),
        (40, "Building and rolling out, for 50 minutes so far"),
    ],
)
def test_a_deployment_in_progress_is_renewed_before_github_calls_it_abandoned(minutes: int, words: str) -> None:
    """It is in progress since ten minutes before."""
    found = assessed(not_ready("Building"), minutes)
    assert found is not None
    assert found.words == words
    assert found.renewed_in is not None
    assert timedelta(0) < found.renewed_in <= RENEWAL
    then = assess(
        subject(not_ready("Building")).endpoint, FAILURES, NOW + timedelta(minutes=minutes) + found.renewed_in
    )
    assert then is not None
    assert then.words != words


@pytest.mark.parametrize("reason", ["BuildQueued", "BuildFailed"])
def test_nothing_else_is_renewed(reason: str) -> None:
    found = assessed(not_ready(reason))
    assert found is not None
    assert found.renewed_in is None


def test_failed_checks_are_those_of_this_revision() -> None:
    of_this = subject({**SERVING, "checks": CHECK_RUN}).endpoint
    of_another = subject({**SERVING, "checks": {**CHECK_RUN, "revision": OTHER}}).endpoint
    assert [each.name for each in failed_checks(of_this)] == ["score"]
    assert failed_checks(of_another) == ()


@pytest.mark.parametrize(
    ("status", "deployment"),
    [
        (serving(condition("Active", "False", "Asleep")), SUCCESS),
        ({**SERVING, **not_ready("Creating"), "conditions": [*not_ready("Creating")["conditions"], WAKING]}, SUCCESS),
        ({**SERVING, "conditions": [*not_ready("QuotaExceeded")["conditions"], WAKING]}, QUEUED),
        ({**SERVING, "conditions": [*not_ready("BuildFailed")["conditions"], WAKING]}, FAILURE),
        ({**SERVING, "revision": OTHER, "conditions": [*not_ready("Creating")["conditions"], WAKING]}, IN_PROGRESS),
    ],
)
def test_what_is_asleep_or_waking_stays_a_success_unless_it_cannot_wake(
    status: Mapping[str, Any], deployment: DeploymentState
) -> None:
    found = assessed(status)
    assert found
    assert found.deployment is deployment
