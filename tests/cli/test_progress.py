from collections.abc import Mapping
from typing import Any

import pytest
from tests.cli.conditions import condition, ready, stalled, status, working
from tests.engine.objects import endpoint

from ephemeral_endpoints.api import HEAD_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.cli.output import BAD, GOOD, WAITING
from ephemeral_endpoints.cli.progress import Goal, Outcome, changes, colour_of, current_conditions, judge

PENDING, DONE, FAILED = Outcome.PENDING, Outcome.DONE, Outcome.FAILED
OTHER = "6dcd4ce23d88e2ee9568ba546c007c63d9131c1b"
SECOND = {"metadata": {"generation": 2}}

BUILDING = condition("ImageReady", "False", "Building", "step 2 of 5")
PINNED = condition("ImageReady", "True", "Pinned", "pinned")
CREATING = condition("EndpointReady", "False", "Creating", "waiting for Endpoint a")
CHECKED = condition("ChecksPassed", "True", "ChecksPassed", "all checks passed (2)")
CHECKING = condition("ChecksPassed", "Unknown", "ChecksRunning", "running 2 checks")
WRONG = condition("ChecksPassed", "False", "ChecksFailed", "1 of 2")
CLOSED = condition("PullRequestOpen", "False", "PullRequestClosed", "the pull request was closed")
UNCLEAR = condition("ChecksPassed", "Unknown", "ChecksInconclusive", "1 of 2")
FIRST = condition("Compared", "Unknown", "FirstRevision", "no answers")
FOLLOWING = {
    "spec": {"source": {"follow": True}},
    "metadata": {"annotations": {HEAD_ANNOTATION: f"1f0c2a9={OTHER}"}},
}
BROKEN = stalled("BuildFailed", "RUN failed: no such file")
SUSPENDED = status(
    condition("Ready", "True", "Serving", "serves", generation=1),
    condition("Reconciling", "False", "Suspended", "spec.suspend is true", generation=2),
    condition("Stalled", "False", "NotStalled", generation=2),
    generation=2,
)
TAKEN = stalled("RouteConflict", "the path is taken", stage="RouteReady")
TAKEN["conditions"].insert(0, CREATING)
EXPIRED = status(
    condition("Ready", "False", "Expired", "the time to live is over"),
    condition("Reconciling", "False", "UpToDate"),
    condition("Stalled", "False", "NotStalled"),
)
UNSEEN = "the operator has not seen this version of the object yet"


@pytest.mark.parametrize(
    ("changed", "written", "goal", "outcome", "message"),
    [
        pytest.param({}, {}, Goal(), PENDING, UNSEEN, id="new"),
        pytest.param({}, ready(), Goal(), DONE, "", id="ready"),
        pytest.param(SECOND, ready(), Goal(), PENDING, UNSEEN, id="ready, but not in this generation"),
        pytest.param(
            SECOND,
            {**ready(), "observedGeneration": 2},
            Goal(),
            PENDING,
            UNSEEN,
            id="a condition of the last generation",
        ),
        pytest.param(
            SECOND, {**ready(generation=2), "observedGeneration": 1}, Goal(), PENDING, UNSEEN, id="half written"
        ),
        pytest.param(SECOND, BROKEN, Goal(), PENDING, UNSEEN, id="what failed was another generation"),
        pytest.param({}, BROKEN, Goal(), FAILED, "BuildFailed: RUN failed: no such file", id="stalled"),
        pytest.param(
            {}, TAKEN, Goal(), FAILED, "RouteConflict: the path is taken", id="stalled behind a stage that is not done"
        ),
        pytest.param(
            {}, working(BUILDING), Goal(), PENDING, "Building: step 2 of 5", id="the first stage that is not done"
        ),
        pytest.param(
            {}, working(PINNED, CREATING), Goal(), PENDING, "Creating: waiting for Endpoint a", id="the next one"
        ),
        pytest.param(
            {},
            working(condition("ImageReady", "False", "Throttled", "too many requests")),
            Goal(),
            PENDING,
            "Throttled: too many requests",
            id="a passing trouble",
        ),
        pytest.param(
            SECOND, SUSPENDED, Goal(), FAILED, "Suspended: spec.suspend is true", id="suspended before it was done"
        ),
        pytest.param({}, EXPIRED, Goal(), FAILED, "Expired: the time to live is over", id="a tombstone"),
        pytest.param(
            {"metadata": {"deletionTimestamp": "2026-11-29T12:00:00Z"}},
            ready(),
            Goal(),
            FAILED,
            "the object is being deleted",
            id="deleted",
        ),
        pytest.param({}, ready(CHECKED), Goal("ChecksPassed"), DONE, "", id="checked"),
        pytest.param(
            {}, ready(CHECKING), Goal("ChecksPassed"), PENDING, "ChecksRunning: running 2 checks", id="being checked"
        ),
        pytest.param({}, ready(CHECKING), Goal(), DONE, "", id="ready, and being checked"),
        pytest.param({}, ready(WRONG), Goal("ChecksPassed"), FAILED, "ChecksFailed: 1 of 2", id="a check has failed"),
        pytest.param(
            {},
            ready(CLOSED, WRONG),
            Goal("ChecksPassed"),
            FAILED,
            "ChecksFailed: 1 of 2",
            id="a check has failed, and something else is not as it should be either",
        ),
        pytest.param(
            {},
            ready(UNCLEAR),
            Goal("ChecksPassed"),
            FAILED,
            "ChecksInconclusive: 1 of 2",
            id="the checks do not run again by themselves",
        ),
        pytest.param(
            {},
            ready(FIRST),
            Goal("Compared"),
            FAILED,
            "FirstRevision: no answers",
            id="there is nothing to compare with",
        ),
        pytest.param(
            FOLLOWING,
            ready(CHECKED),
            Goal("ChecksPassed"),
            PENDING,
            "the endpoint still serves the revision 1f0c2a9",
            id="what was checked is the commit before",
        ),
        pytest.param(
            FOLLOWING,
            ready(CHECKED),
            Goal("ChecksPassed", revision=OTHER),
            PENDING,
            "the endpoint still serves the revision 1f0c2a9",
            id="and so it is if the commit is named",
        ),
        pytest.param(
            {},
            working(CLOSED, CREATING, CHECKING),
            Goal(),
            PENDING,
            "Creating: waiting for Endpoint a",
            id="what does not keep it from being ready is no reason",
        ),
        pytest.param(
            {},
            working(CREATING, CHECKING),
            Goal("ChecksPassed"),
            PENDING,
            "Creating: waiting for Endpoint a",
            id="early",
        ),
        pytest.param({}, ready(), Goal(revision="1f0c2a9"), DONE, "", id="the revision"),
        pytest.param({}, ready(), Goal(revision="1f0c2a9d4b6e8f7a3c"), DONE, "", id="the revision, longer"),
        pytest.param(
            {},
            ready(),
            Goal(revision=OTHER),
            PENDING,
            f"the object still asks for the revision 1f0c2a9, not for {OTHER}",
            id="another revision is ready",
        ),
        pytest.param(
            {},
            BROKEN,
            Goal(revision=OTHER),
            PENDING,
            f"the object still asks for the revision 1f0c2a9, not for {OTHER}",
            id="another revision has failed",
        ),
        pytest.param(
            {},
            ready(revision="aaaaaaa"),
            Goal(revision="1f0c2a9"),
            PENDING,
            "the endpoint still serves the revision aaaaaaa",
            id="ready, but with what was served before",
        ),
        pytest.param({}, working(PINNED), Goal("ImageReady"), DONE, "", id="another condition"),
        pytest.param(
            {}, BROKEN, Goal("EndpointReady"), FAILED, "BuildFailed: RUN failed: no such file", id="another, stalled"
        ),
        pytest.param({}, working(), Goal("Trained"), PENDING, "the object has no condition Trained", id="none such"),
    ],
)
def test_an_object_is_judged_by_what_is_about_its_newest_version(
    changed: Mapping[str, Any], written: Mapping[str, Any], goal: Goal, outcome: Outcome, message: str
) -> None:
    verdict = judge(endpoint({**changed, "status": written}), goal)
    assert (verdict.outcome, verdict.message) == (outcome, message)


def test_the_changes_are_the_stages_that_are_not_as_they_were() -> None:
    before = current_conditions(endpoint({"status": working(BUILDING, CREATING)}))
    after = endpoint({"status": working(PINNED, CREATING)})
    assert [each.reason for each in changes(after, before)] == ["Pinned"]
    assert changes(after, current_conditions(after)) == []


@pytest.mark.parametrize(
    ("condition", "colour"),
    [
        pytest.param(CHECKED, GOOD, id="good"),
        pytest.param(CHECKING, WAITING, id="not known yet"),
        pytest.param(WRONG, BAD, id="a check that has failed waits for nothing"),
        pytest.param(condition("Expiring", "True", "ExpiresSoon"), WAITING, id="nothing to be glad of"),
        pytest.param(BUILDING, WAITING, id="under way"),
    ],
)
def test_a_condition_has_the_colour_of_what_it_means(condition: Mapping[str, Any], colour: str) -> None:
    assert colour_of(Condition.model_validate(condition), is_stalled=False) == colour
