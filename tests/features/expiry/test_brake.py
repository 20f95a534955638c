from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.engine.objects import CLUSTER, endpoint, make_class

from ephemeral_endpoints.api import PULL_REQUEST_CLOSED_ANNOTATION
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.expiry.brake import LEAST, WINDOW_SECONDS, ExpiryBrake, recently_ended
from ephemeral_endpoints.features.expiry.policy import EndCause
from ephemeral_endpoints.features.expiry.stage import EXPIRY_HELD
from ephemeral_endpoints.features.subject import Subject

EXPIRED = EndCause.EXPIRED


class Fleet:
    """So many objects with a brake."""

    def __init__(self, objects: int, share: float = 0.25) -> None:
        self.objects = objects
        self.now = 0.0
        self.differs: str | None = None
        self.share = share
        self.ended: dict[str, float] = {}
        self.begin()

    def begin(self) -> None:
        """Have another leader, whose memory is empty; it sees what ``ended`` says."""
        self.brake = ExpiryBrake(
            lambda: self.differs,
            lambda: self.objects,
            ended=self.ended.items,
            share=self.share,
            clock=lambda: self.now,
        )

    def expire(self, *uids: object) -> list[object]:
        """Those of the objects that are held; the others are gone at once."""
        held = []
        for uid in uids:
            if self.brake.hold(str(uid), EXPIRED):
                held.append(uid)
            else:
                self.objects -= 1
                self.brake.forget(str(uid))
        return held


@pytest.mark.parametrize(
    ("objects", "share", "passes", "why"),
    [
        (100, 0.25, 25, "a quarter of all that there were, not of what is left"),
        (1000, 0.25, 250, "likewise"),
        (4, 0.25, 4, "so few are no sign of anything"),
        (LEAST + 1, 0.25, LEAST, "but one more is"),
        (100, 1.0, 100, "the brake is off"),
    ],
)
def test_only_a_share_of_all_objects_expires_at_once(objects: int, share: float, passes: int, why: str) -> None:
    fleet = Fleet(objects, share)
    held = fleet.expire(*range(objects))
    assert len(held) == objects - passes, why
    assert fleet.brake.held() == {"clock": 0, "share": objects - passes}


def test_what_is_held_follows_when_the_window_has_passed() -> None:
    fleet = Fleet(100)
    held = fleet.expire(*range(100))
    fleet.now = WINDOW_SECONDS - 0.001
    assert fleet.expire(*held) == held
    fleet.now = WINDOW_SECONDS
    assert len(fleet.expire(*held)) == 75 - 19, "a quarter of the others"


def test_an_object_that_has_begun_to_end_is_not_counted_twice_nor_stopped_by_others() -> None:
    fleet = Fleet(20)
    passed = [uid for uid in map(str, range(20)) if not fleet.brake.hold(uid, EXPIRED)]
    assert len(passed) == LEAST
    assert all(fleet.brake.hold(uid, EXPIRED) is None for uid in passed), "each is reconciled many times"
    fleet.now = WINDOW_SECONDS
    assert all(fleet.brake.hold(uid, EXPIRED) is None for uid in passed)
    assert fleet.brake.hold("another", EXPIRED) is None, "those did not count again"


def test_nothing_expires_while_clocks_differ_and_everything_that_may_does_afterwards() -> None:
    fleet = Fleet(4)
    fleet.differs = "the operator's clock is 15 d ahead of that of AWS"
    cause = fleet.brake.hold("0", EXPIRED)
    assert cause == Cause(EXPIRY_HELD, cause.message if cause else "")
    assert "15 d ahead" in str(cause)
    assert fleet.brake.held() == {"clock": 1, "share": 0}
    fleet.differs = None
    assert fleet.expire(*range(4)) == []
    assert fleet.brake.held() == {"clock": 0, "share": 0}


def test_clocks_that_differ_keep_nobody_from_ending_with_its_pull_request() -> None:
    fleet = Fleet(4)
    fleet.differs = "the operator's clock is 15 d ahead of that of AWS"
    assert fleet.brake.hold("0", EndCause.CLOSED) is None, "no clock decides that it is closed"
    assert fleet.brake.hold("1", EndCause.MERGED) is None


def test_ends_of_all_causes_share_the_window() -> None:
    fleet = Fleet(LEAST + 1)
    causes = [*EndCause] * LEAST
    passed = [uid for uid in range(LEAST + 1) if fleet.brake.hold(str(uid), causes[uid]) is None]
    assert len(passed) == LEAST
    cause = fleet.brake.hold("another", EndCause.MERGED)
    assert "the pull request was merged, but the operator does not delete the object yet" in str(cause)


@pytest.mark.parametrize("cause", EndCause)
def test_too_many_are_held_whatever_ends_them(cause: EndCause) -> None:
    fleet = Fleet(LEAST + 1)
    held = [fleet.brake.hold(str(uid), cause) for uid in range(LEAST + 1)]
    assert held[:-1] == [None] * LEAST
    assert held[-1] is not None


def test_what_is_counted_by_hours_is_not_spent_while_clocks_differ() -> None:
    fleet = Fleet(4)
    fleet.differs = "the operator's clock is 2 d behind that of the Kubernetes API server"
    assert fleet.brake.hold("0", EndCause.OVER_BUDGET) is not None
    fleet.differs = None
    assert fleet.brake.hold("0", EndCause.OVER_BUDGET) is None


def test_what_had_begun_to_end_stops_while_clocks_differ() -> None:
    fleet = Fleet(4)
    assert fleet.brake.hold("0", EXPIRED) is None
    fleet.differs = "the operator's clock is 15 d ahead of that of AWS"
    assert fleet.brake.hold("0", EXPIRED) is not None


def test_an_object_that_lives_on_is_not_held_any_more() -> None:
    fleet = Fleet(20)
    held = fleet.expire(*range(20))
    fleet.brake.forget(str(held[0]))
    assert fleet.brake.held()["share"] == len(held) - 1


def test_a_leader_that_crashes_time_and_again_has_one_share_in_all() -> None:
    fleet = Fleet(100)
    passed: set[str] = set()
    for _ in range(5):
        passed |= {uid for uid in map(str, range(100)) if uid not in passed and not fleet.brake.hold(uid, EXPIRED)}
        # All are still being deleted when the process ends.
        fleet.ended |= dict.fromkeys(passed, 0.0)
        fleet.begin()
    assert len(passed) < 2 * 25, "of a hundred, where each leader by itself would end another quarter"
    assert all(fleet.brake.hold(uid, EXPIRED) is None for uid in passed), "what has begun goes on"


def test_what_ended_under_an_earlier_leader_counts_until_its_window_has_passed() -> None:
    fleet = Fleet(20)
    fleet.ended |= {f"gone-{number}": 600.0 for number in range(LEAST)}
    assert fleet.brake.hold("0", EXPIRED)
    fleet.now = WINDOW_SECONDS - 600.0
    assert fleet.brake.hold("0", EXPIRED) is None


NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def minutes_ago(minutes: float) -> str:
    return timestamp(NOW - timedelta(minutes=minutes))


def tombstone(minutes: float, reason: str = "Expired") -> dict[str, Any]:
    ready = {"type": "Ready", "status": "False", "reason": reason, "lastTransitionTime": minutes_ago(minutes)}
    return {"status": {"conditions": [{**ready, "message": ""}]}}


def deleted(minutes: float, **lifecycle: str) -> dict[str, Any]:
    return {"metadata": {"deletionTimestamp": minutes_ago(minutes)}, "spec": {"lifecycle": lifecycle}}


def closed(minutes: float, changes: dict[str, Any]) -> dict[str, Any]:
    annotations = {PULL_REQUEST_CLOSED_ANNOTATION: minutes_ago(minutes)}
    return {"spec": {"lifecycle": {"ttl": "21d"}}, "metadata": {**changes["metadata"], "annotations": annotations}}


@pytest.mark.parametrize(
    ("changes", "seconds", "why"),
    [
        (deleted(5), [300.0], "its time to live was over when it was deleted"),
        (deleted(15), [], "too long ago"),
        (deleted(5, ttl="21d"), [], "somebody deleted it"),
        (deleted(-1), [0.0], "the API server is a little ahead"),
        (tombstone(5), [300.0], "it stays, and its resources went"),
        (tombstone(15), [], "too long ago"),
        (tombstone(5, "PullRequestMerged"), [300.0], "likewise, by its pull request"),
        (closed(5, deleted(5)), [300.0], "its pull request was closed when it was deleted"),
        (closed(4, deleted(5)), [], "somebody deleted it before"),
        (tombstone(5, "Ready"), [], "it serves"),
        ({}, [], "nothing is known of it"),
    ],
)
def test_what_has_expired_lately_is_seen_in_the_api_server(
    changes: dict[str, Any], seconds: list[float], why: str
) -> None:
    subject = Subject(CLUSTER, endpoint(changes), make_class({"spec": {"lifecycle": {"maxTtl": "30d"}}}))
    found = dict(recently_ended([(subject.endpoint, subject.end)], NOW, NOW))
    assert found == dict.fromkeys([subject.endpoint.metadata.uid] * len(seconds), *seconds), why


@pytest.mark.parametrize("changes", [deleted(5), tombstone(5 - 24 * 60)])
def test_how_long_ago_something_ended_is_told_by_the_clock_that_wrote_when(changes: dict[str, Any]) -> None:
    """The API server, which writes when an object is deleted, is a day behind."""
    subject = Subject(CLUSTER, endpoint(changes), make_class({"spec": {"lifecycle": {"maxTtl": "30d"}}}))
    ago = dict(recently_ended([(subject.endpoint, subject.end)], NOW, NOW + timedelta(days=1)))
    assert list(ago.values()) == [300.0]
