from collections.abc import Mapping
from typing import Any

import pytest
from tests.engine.objects import endpoint, make_class

from ephemeral_endpoints.api import ABANDON_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.notifications import NotificationEvent
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.errors import Denied, Invalid, QuotaExceeded, Throttled
from ephemeral_endpoints.engine.reasons import CREATING, SUSPENDED, UP_TO_DATE, Reason
from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED, FAILED, PASSED, RUNNING, CheckInvalid
from ephemeral_endpoints.features.expiry.stage import EXPIRED, EXPIRES_SOON
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.notifications.policy import events_of, left_of
from ephemeral_endpoints.features.routing.stage import SERVING

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
GONE = {"metadata": {"deletionTimestamp": "2026-11-29T12:00:00Z"}}
ABANDONED = {"metadata": {**GONE["metadata"], "annotations": {ABANDON_ANNOTATION: "true"}}}
RETAINED = {**GONE, "spec": {"lifecycle": {"deletionPolicy": "Retain"}}}


def update(type_: str, status: ConditionStatus, reason: Reason) -> ConditionUpdate:
    return ConditionUpdate.of(type_, status, Cause(reason, f"{type_} is {status}"))


@pytest.mark.parametrize(
    ("changed", "event"),
    [
        pytest.param(update("Ready", TRUE, SERVING), "Ready", id="it serves"),
        pytest.param(update("Ready", FALSE, CREATING), None, id="it is being made"),
        pytest.param(update("Ready", FALSE, Invalid.reason), "Failed", id="no retry can help"),
        pytest.param(update("Stalled", TRUE, Invalid.reason), "Failed", id="nor here"),
        pytest.param(update("Stalled", FALSE, UP_TO_DATE), None, id="nothing is wrong"),
        pytest.param(update("Ready", FALSE, Denied.reason), "Failed", id="somebody must act"),
        pytest.param(update("Ready", UNKNOWN, Denied.reason), "Failed", id="whatever it is meanwhile"),
        pytest.param(update("Ready", FALSE, Throttled.reason), None, id="it heals by itself"),
        pytest.param(update("Ready", FALSE, QuotaExceeded.reason), None, id="its turn comes"),
        pytest.param(update("Ready", FALSE, ImageProblem.NOT_FOUND.value), None, id="a workflow is about to push it"),
        pytest.param(update("Ready", FALSE, ImageProblem.FAILED.value), "Failed", id="a build failed for good"),
        pytest.param(update("Ready", FALSE, EXPIRED), None, id="the end is told as the end"),
        pytest.param(update("Reconciling", FALSE, SUSPENDED), None, id="somebody wants it so"),
        pytest.param(update("ImageReady", FALSE, Denied.reason), None, id="Ready repeats it"),
        pytest.param(update(CHECKS_PASSED, FALSE, FAILED), "ChecksFailed", id="a check has failed"),
        pytest.param(update(CHECKS_PASSED, FALSE, CheckInvalid.reason), "ChecksFailed", id="a check is none"),
        pytest.param(update(CHECKS_PASSED, UNKNOWN, RUNNING), None, id="not yet"),
        pytest.param(update(CHECKS_PASSED, TRUE, PASSED), None, id="passed"),
        pytest.param(update("Expiring", TRUE, EXPIRES_SOON), "Expiring", id="it ends soon"),
    ],
)
def test_people_are_told_of_what_they_can_act_on(changed: ConditionUpdate, event: str | None) -> None:
    found = events_of([changed])
    assert found == ({NotificationEvent(event): changed.message} if event else {})


def test_a_failure_that_several_conditions_report_is_told_once_by_the_first() -> None:
    ready, stalled = update("Ready", FALSE, Invalid.reason), update("Stalled", TRUE, Invalid.reason)
    assert events_of([ready, stalled]) == {NotificationEvent.FAILED: "Ready is False"}


@pytest.mark.parametrize(
    ("change", "allowed", "words"),
    [
        pytest.param(GONE, True, "", id="nothing"),
        pytest.param(ABANDONED, False, "may be left, and keep costing until the sweep", id="abandoned"),
        pytest.param(RETAINED, True, "its AWS resources stay, as its deletionPolicy asks", id="retained"),
        pytest.param(RETAINED, False, "", id="the class allows no object to retain any"),
    ],
)
def test_what_is_left_of_an_object_that_is_gone_is_told(
    change: Mapping[str, Any],
    allowed: bool,  # noqa: FBT001 - a column
    words: str,
) -> None:
    told = left_of(endpoint(change), make_class({"spec": {"lifecycle": {"allowRetain": allowed}}}))
    assert (words in told) if words else told == ""
