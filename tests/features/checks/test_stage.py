from datetime import UTC, datetime

import pytest

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckResult, CheckRun
from ephemeral_endpoints.engine.conditions import MESSAGE_LENGTH
from ephemeral_endpoints.engine.errors import Denied
from ephemeral_endpoints.features.checks.reasons import CheckInvalid, CheckUnavailable
from ephemeral_endpoints.features.checks.stage import CheckState, checks_passed

PASSED, FAILED, INCONCLUSIVE = CheckOutcome


def run(*results: tuple[CheckOutcome, str]) -> CheckRun:
    made = tuple(
        CheckResult(name=f"c{number}", outcome=outcome, message=message)
        for number, (outcome, message) in enumerate(results)
    )
    return CheckRun(id="1", revision="1f0c2a9", finished_at=datetime(2026, 11, 30, tzinfo=UTC), results=made)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(
            CheckState(2, is_ready=False),
            ("Unknown", "ChecksWaiting", "the checks run once the endpoint is ready"),
            id="not ready",
        ),
        pytest.param(CheckState(2, is_ready=True), ("Unknown", "ChecksRunning", "running 2 checks"), id="running"),
        pytest.param(CheckState(1, is_ready=True), ("Unknown", "ChecksRunning", "running 1 check"), id="one"),
        pytest.param(
            CheckState(2, is_ready=True, run=run((PASSED, ""), (PASSED, ""))),
            ("True", "ChecksPassed", "all checks passed (2)"),
            id="passed",
        ),
        pytest.param(
            CheckState(2, is_ready=False, run=run((PASSED, ""))),
            ("True", "ChecksPassed", "all checks passed (1)"),
            id="what was proven stays so while the URL is away for a moment",
        ),
        pytest.param(
            CheckState(
                3, is_ready=True, run=run((PASSED, ""), (FAILED, "/a: expected 1, found 2"), (INCONCLUSIVE, "?"))
            ),
            (
                "False",
                "ChecksFailed",
                (
                    "1 of 3 checks failed: c1 (/a: expected 1, found 2); inconclusive: c2 (?); correct the model and "
                    "push a commit, or correct spec.checks"
                ),
            ),
            id="failed",
        ),
        pytest.param(
            CheckState(2, is_ready=True, run=run((PASSED, ""), (INCONCLUSIVE, "the URL does not answer"))),
            (
                "Unknown",
                "ChecksInconclusive",
                "1 of 2 checks could not be carried out: c1 (the URL does not answer); run them again with `eep check`",
            ),
            id="inconclusive",
        ),
        pytest.param(
            CheckState(2, is_ready=True, error=CheckInvalid("check a: no"), run=run((PASSED, ""))),
            ("False", "CheckInvalid", "check a: no"),
            id="invalid",
        ),
        pytest.param(
            CheckState(2, is_ready=False, error=CheckUnavailable("no ConfigMap")),
            ("False", "CheckUnavailable", "no ConfigMap"),
            id="missing",
        ),
        pytest.param(
            CheckState(2, is_ready=True, error=Denied("no right", operation="GetConfigMap")),
            ("Unknown", "AccessDenied", "GetConfigMap: no right"),
            id="not known",
        ),
    ],
)
def test_what_people_read(state: CheckState, expected: tuple[str, str, str]) -> None:
    update = checks_passed(state)
    assert (update.type, update.status, update.reason.name, update.message) == ("ChecksPassed", *expected)


def test_fifty_failures_with_long_messages_fit() -> None:
    update = checks_passed(CheckState(50, is_ready=True, run=run(*[(FAILED, "x " * 300)] * 50)))
    assert len(update.message) <= MESSAGE_LENGTH
    assert "50 of 50 checks failed: c0 (" in update.message
    assert update.message.endswith("and 46 more; correct the model and push a commit, or correct spec.checks")
