from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.serving.rollout import Rollout
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG, EndpointSpec

KEY = Key(ENDPOINT, "e")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def config(name: str) -> Key:
    return Key(ENDPOINT_CONFIG, name)


def endpoint(phase: Phase, serving: str | None, version: str) -> ObservedResource:
    return ObservedResource(KEY, phase, EndpointSpec(serving) if serving else None, version=version)


BEFORE = endpoint(Phase.READY, "old", "InService 1")
UPDATING = replace(endpoint(Phase.BUSY, "old", "Updating 2"), uses=frozenset({config("old"), config("new")}))
ROLLING_BACK = endpoint(Phase.BUSY, "old", "RollingBack 3")
ARRIVED = endpoint(Phase.READY, "new", "InService 4")
BACK = endpoint(Phase.READY, "old", "InService 4")
NOT_EVEN_BACK = endpoint(Phase.IMPAIRED, "old", "UpdateRollbackFailed 4")


@pytest.mark.parametrize(
    ("sights", "failed", "reason"),
    [
        ([], None, "nothing was seen yet"),
        ([BEFORE], None, "a list from before the update still shows the old state"),
        ([BEFORE, UPDATING, ROLLING_BACK], None, "it is not over yet"),
        ([UPDATING, ARRIVED], None, "the update arrived"),
        ([BEFORE, UPDATING, BACK], "new", "back in service on the old configuration: given up"),
        ([BACK], "new", "it was rolled back between two looks"),
        ([UPDATING, NOT_EVEN_BACK], "new", "the way back failed too"),
        ([UPDATING, None], None, "somebody deleted it: it is made anew with what is wanted"),
        ([BACK, None], None, "what failed is forgotten with the endpoint"),
    ],
)
def test_what_became_of_a_rollout(sights: list[ObservedResource | None], failed: str | None, reason: str) -> None:
    rollout = Rollout().seen(BEFORE).begun("new", BEFORE.version, NOON)
    for sight in sights:
        rollout = rollout.seen(sight)
    assert rollout.failed == failed, reason


def test_a_failure_stands_until_another_configuration_arrives() -> None:
    failed = Rollout().begun("new", BEFORE.version, NOON).seen(BACK)
    assert failed.seen(BACK).failed == "new"
    assert failed.begun("newer", BACK.version, NOON).seen(UPDATING).failed == "new"
    arrived = failed.begun("newer", BACK.version, NOON).seen(endpoint(Phase.READY, "newer", "InService 5"))
    assert arrived.failed is None


def test_an_update_that_another_process_began_is_followed() -> None:
    assert Rollout().seen(UPDATING).seen(BACK).failed == "new"
    assert Rollout().seen(UPDATING).seen(ARRIVED).failed is None


def test_a_requested_retry_happens_once() -> None:
    failed = Rollout(asked_at="monday").begun("new", BEFORE.version, NOON).seen(BACK)
    assert failed.asked("monday").failed == "new"
    again = failed.asked("tuesday")
    assert again.failed is None
    assert again.recalled(replace(BACK, detail="no", since=NOON), AS_MADE, {"old", "new"}).failed is None


AS_MADE = ObservedResource(config("new"), Phase.READY, since=NOON)
CHANGED_SINCE = replace(BACK, since=NOON + MINUTE, detail="the ping failed")


@dataclass(frozen=True, kw_only=True)
class Case:
    found: ObservedResource
    wanted: ObservedResource | None
    candidates: set[str]
    failed: str | None


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Case(found=CHANGED_SINCE, wanted=AS_MADE, candidates={"old", "new"}, failed="new"),
            id="it changed since, to no avail, and AWS says why",
        ),
        pytest.param(
            Case(
                found=replace(CHANGED_SINCE, since=NOON - MINUTE),
                wanted=AS_MADE,
                candidates={"old", "new"},
                failed=None,
            ),
            id="nobody had come to the update",
        ),
        pytest.param(
            Case(found=replace(CHANGED_SINCE, detail=""), wanted=AS_MADE, candidates={"old", "new"}, failed=None),
            id="maintenance changes an endpoint too",
        ),
        pytest.param(
            Case(found=CHANGED_SINCE, wanted=AS_MADE, candidates={"old", "new", "other"}, failed=None),
            id="what failed may have been the other",
        ),
        pytest.param(
            Case(found=CHANGED_SINCE, wanted=None, candidates={"old"}, failed=None),
            id="what does not exist was never tried",
        ),
        pytest.param(
            Case(found=CHANGED_SINCE, wanted=replace(AS_MADE, since=None), candidates={"old", "new"}, failed=None),
            id="this process has just made it",
        ),
        pytest.param(
            Case(
                found=replace(CHANGED_SINCE, spec=EndpointSpec("new")), wanted=AS_MADE, candidates={"new"}, failed=None
            ),
            id="it serves what is wanted",
        ),
        pytest.param(
            Case(
                found=replace(CHANGED_SINCE, phase=Phase.IMPAIRED, status="UpdateRollbackFailed", detail=""),
                wanted=AS_MADE,
                candidates={"old", "new"},
                failed="new",
            ),
            id="that the way back failed is reason enough",
        ),
        pytest.param(
            Case(
                found=replace(CHANGED_SINCE, phase=Phase.IMPAIRED, status="OutOfService", detail=""),
                wanted=AS_MADE,
                candidates={"old", "new"},
                failed=None,
            ),
            id="what went out of service was not updated",
        ),
        pytest.param(
            Case(
                found=replace(CHANGED_SINCE, phase=Phase.FAILED), wanted=AS_MADE, candidates={"old", "new"}, failed=None
            ),
            id="it has to be made anew anyway",
        ),
    ],
)
def test_what_an_earlier_process_tried_is_recalled_from_what_aws_shows(case: Case) -> None:
    assert Rollout().seen(case.found).recalled(case.found, case.wanted, case.candidates).failed == case.failed


def test_what_this_process_does_is_known_without_recalling() -> None:
    arrived = Rollout().begun("new", BEFORE.version, NOON).seen(ARRIVED)
    assert arrived.recalled(CHANGED_SINCE, AS_MADE, {"old", "new"}).failed is None
    made = Rollout().seen(None)
    assert made.recalled(CHANGED_SINCE, AS_MADE, {"old", "new"}).failed is None


def test_it_is_recalled_once_the_endpoint_is_at_rest() -> None:
    rollout = Rollout().seen(ROLLING_BACK).recalled(ROLLING_BACK, AS_MADE, {"old", "new"})
    assert not rollout.is_recalled
    assert rollout.seen(CHANGED_SINCE).recalled(CHANGED_SINCE, AS_MADE, {"old", "new"}).failed == "new"
