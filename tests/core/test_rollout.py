from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ephemeral_endpoints.core.resources import EndpointSpec, Have, Key, Kind, Phase
from ephemeral_endpoints.core.rollout import Rollout

KEY = Key(Kind.ENDPOINT, "e")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def config(name: str) -> Key:
    return Key(Kind.ENDPOINT_CONFIG, name)


def endpoint(phase: Phase, serving: str | None, version: str) -> Have:
    return Have(KEY, phase, EndpointSpec(serving) if serving else None, version=version)


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
def test_what_became_of_a_rollout(sights: list[Have | None], failed: str | None, reason: str) -> None:
    rollout = Rollout().seen(BEFORE).begun("new", BEFORE.version)
    for sight in sights:
        rollout = rollout.seen(sight)
    assert rollout.failed == failed, reason


def test_a_failure_stands_until_another_configuration_arrives() -> None:
    failed = Rollout().begun("new", BEFORE.version).seen(BACK)
    assert failed.seen(BACK).failed == "new"
    assert failed.begun("newer", BACK.version).seen(UPDATING).failed == "new"
    arrived = failed.begun("newer", BACK.version).seen(endpoint(Phase.READY, "newer", "InService 5"))
    assert arrived.failed is None


def test_an_update_that_another_process_began_is_followed() -> None:
    assert Rollout().seen(UPDATING).seen(BACK).failed == "new"
    assert Rollout().seen(UPDATING).seen(ARRIVED).failed is None


def test_who_asks_for_another_try_gets_it_once() -> None:
    failed = Rollout(asked_at="monday").begun("new", BEFORE.version).seen(BACK)
    assert failed.asked("monday").failed == "new"
    again = failed.asked("tuesday")
    assert again.failed is None
    assert again.recalled(replace(BACK, detail="no", since=NOON), AS_MADE, {"old", "new"}).failed is None


AS_MADE = Have(config("new"), Phase.READY, since=NOON)
CHANGED_SINCE = replace(BACK, since=NOON + MINUTE, detail="the ping failed")


@pytest.mark.parametrize(
    ("found", "wanted", "candidates", "failed", "reason"),
    [
        (CHANGED_SINCE, AS_MADE, {"old", "new"}, "new", "it changed since, to no avail, and AWS says why"),
        (replace(CHANGED_SINCE, since=NOON - MINUTE), AS_MADE, {"old", "new"}, None, "nobody had come to the update"),
        (replace(CHANGED_SINCE, detail=""), AS_MADE, {"old", "new"}, None, "maintenance changes an endpoint too"),
        (CHANGED_SINCE, AS_MADE, {"old", "new", "other"}, None, "what failed may have been the other"),
        (CHANGED_SINCE, None, {"old"}, None, "what does not exist was never tried"),
        (CHANGED_SINCE, replace(AS_MADE, since=None), {"old", "new"}, None, "this process has just made it"),
        (replace(CHANGED_SINCE, spec=EndpointSpec("new")), AS_MADE, {"new"}, None, "it serves what is wanted"),
        (
            replace(CHANGED_SINCE, phase=Phase.IMPAIRED, status="UpdateRollbackFailed", detail=""),
            AS_MADE,
            {"old", "new"},
            "new",
            "that the way back failed is reason enough",
        ),
        (
            replace(CHANGED_SINCE, phase=Phase.IMPAIRED, status="OutOfService", detail=""),
            AS_MADE,
            {"old", "new"},
            None,
            "what went out of service was not updated",
        ),
        (replace(CHANGED_SINCE, phase=Phase.FAILED), AS_MADE, {"old", "new"}, None, "it has to be made anew anyway"),
    ],
)
def test_what_an_earlier_process_tried_is_recalled_from_what_aws_shows(
    found: Have, wanted: Have | None, candidates: set[str], failed: str | None, reason: str
) -> None:
    assert Rollout().seen(found).recalled(found, wanted, candidates).failed == failed, reason


def test_what_this_process_does_is_known_without_recalling() -> None:
    arrived = Rollout().begun("new", BEFORE.version).seen(ARRIVED)
    assert arrived.recalled(CHANGED_SINCE, AS_MADE, {"old", "new"}).failed is None
    made = Rollout().seen(None)
    assert made.recalled(CHANGED_SINCE, AS_MADE, {"old", "new"}).failed is None


def test_it_is_recalled_once_the_endpoint_is_at_rest() -> None:
    rollout = Rollout().seen(ROLLING_BACK).recalled(ROLLING_BACK, AS_MADE, {"old", "new"})
    assert not rollout.is_recalled
    assert rollout.seen(CHANGED_SINCE).recalled(CHANGED_SINCE, AS_MADE, {"old", "new"}).failed == "new"
