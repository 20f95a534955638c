from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.engine.objects import endpoint, subject
from tests.features.reviews.pull_requests.test_sights import CLOSED, GRACE, MERGED, NOON, OPEN, pull_request

from ephemeral_endpoints.api import HEAD_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState
from ephemeral_endpoints.engine.conditions import MESSAGE_LENGTH, ConditionUpdate
from ephemeral_endpoints.features.reviews.errors import ForgeError, ForgeNotFound, ForgeUnavailable
from ephemeral_endpoints.features.reviews.pull_requests.sights import Sight
from ephemeral_endpoints.features.reviews.pull_requests.stage import (
    as_before,
    pull_request_open,
    unwatched,
    was_open,
)
from ephemeral_endpoints.features.reviews.pull_requests.watched import PullRequestView

HEAD, OLD = "b" * 40, "1f0c2a9" + "0" * 33
FORK = {"headRepository": "stranger/wine"}
DOWN = ForgeUnavailable("GET /graphql: 502 Bad Gateway; the operator tries again")
REVIEWS = {"secretName": "github", "repositories": [{"repository": "acme/*", "namespaces": ["vision"]}]}


def an_object(annotations: dict[str, str] | None = None, /, **source: Any) -> EphemeralEndpoint:  # noqa: ANN401 - fields
    spec = {"source": {"repository": "acme/wine", "pullRequest": 42, "revision": OLD, **source}}
    return endpoint({"spec": spec, "metadata": {"annotations": annotations or {}}})


def view(state: PullRequestState = OPEN, *, head: str = HEAD, is_fork: bool = False, **more: Any) -> PullRequestView:  # noqa: ANN401 - fields
    return PullRequestView(GRACE, Sight.first(pull_request(state, head, is_fork=is_fork), 0.0, NOON), **more)


def failed(error: ForgeError) -> PullRequestView:
    return PullRequestView(GRACE, error=error)


ROWS: tuple[tuple[EphemeralEndpoint, PullRequestView, str, str, str], ...] = (
    (an_object(), view(head=OLD), "True", "Open", "it asks for the newest commit"),
    (an_object(revision="1f0c2a9"), view(head=OLD), "True", "Open", "an abbreviation of it"),
    (an_object(), view(), "True", "HeadMoved", "nobody has applied it"),
    (an_object(follow=True), view(), "True", "HeadMoved", "it is not written yet"),
    (an_object({HEAD_ANNOTATION: f"{OLD}={HEAD}"}, follow=True), view(), "True", "Open", "it is followed"),
    (an_object({HEAD_ANNOTATION: f"{OLD}={HEAD}"}), view(), "True", "HeadMoved", "it is followed no more"),
    (an_object(follow=True), view(is_fork=True), "True", "HeadMoved", "a fork presented as the repository"),
    (an_object(follow=True, **FORK), view(), "True", "HeadMoved", "the other way round"),
    (an_object(), view(CLOSED), "False", "PullRequestClosed", "in the grace"),
    (an_object(), view(MERGED), "False", "PullRequestMerged", "in the grace"),
    (an_object(), view(CLOSED, is_held=True), "False", "TooManyClosed", "with too many others"),
    (an_object(), failed(DOWN), "Unknown", "ForgeUnavailable", "never seen"),
    (an_object(), failed(ForgeNotFound("no such pull request")), "Unknown", "ForgeNotFound", "a wrong number"),
    (an_object(), view(error=DOWN), "Unknown", "ForgeUnavailable", "seen long ago"),
    (an_object(), view(CLOSED, error=DOWN), "Unknown", "ForgeUnavailable", "it may be open again"),
)


def pull_requests() -> Iterator[ConditionUpdate]:
    """All conditions that there are of pull requests."""
    conditions = (pull_request_open(found, seen, "default") for found, seen, *_ in ROWS)
    yield from filter(None, (*conditions, *map(unwatched, UNWATCHED)))


@pytest.mark.parametrize(("found", "seen", "status", "reason", "why"), ROWS, ids=[row[-1] for row in ROWS])
def test_the_condition_tells_what_is_known_of_the_pull_request(
    found: EphemeralEndpoint, seen: PullRequestView, status: str, reason: str, why: str
) -> None:
    update = pull_request_open(found, seen, "default")
    assert update
    assert (update.type, update.status, update.reason.name) == ("PullRequestOpen", status, reason), why
    if status == "Unknown":
        assert "the object is kept" in update.message


def test_while_nothing_is_known_the_condition_stays_as_it_was() -> None:
    assert pull_request_open(an_object(), PullRequestView(GRACE), "default") is None
    for _, seen, *_ in ROWS:
        update = pull_request_open(an_object(), seen, "default")
        assert update
        assert as_before(reporting(update)) == update


def reporting(update: ConditionUpdate, **changes: str) -> EphemeralEndpoint:
    condition = {"type": update.type, "status": update.status, "reason": update.reason.name, "message": update.message}
    written = {**condition, "lastTransitionTime": "2026-11-21T12:00:00Z", **changes}
    return endpoint({"status": {"conditions": [written]}})


def test_a_condition_that_another_version_wrote_does_not_stay() -> None:
    (update, *_) = pull_requests()
    assert as_before(reporting(update, reason="Unheard")) is None
    assert as_before(endpoint()) is None


def test_a_new_head_is_named_with_the_commit_that_the_object_asks_for_and_with_what_to_do() -> None:
    moved = pull_request_open(an_object(), view(), "default")
    assert moved
    assert HEAD in moved.message
    assert OLD in moved.message
    assert "spec.source.follow" in moved.message


def test_an_end_is_told_with_its_time_and_that_a_mass_needs_a_person() -> None:
    closed = pull_request_open(an_object(), view(CLOSED), "default")
    assert closed
    assert "2026-11-21T12:10:00Z unless it is reopened" in closed.message
    merged = pull_request_open(an_object(), view(MERGED), "default")
    assert merged
    assert "reopened" not in merged.message
    held = pull_request_open(an_object(), view(CLOSED, is_held=True), "gpu")
    assert held
    assert "kubectl annotate eepc gpu --overwrite ephemeral-endpoints.io/confirm-closed=" in held.message


def test_words_of_the_forge_are_bounded_and_harmless() -> None:
    update = pull_request_open(an_object(), failed(ForgeNotFound("\x1b[31m\n" + "x" * 9000)), "default")
    assert update
    assert update.message.isprintable()
    assert len(update.message) <= MESSAGE_LENGTH


SOURCE = {"repository": "acme/wine", "pullRequest": 42, "revision": OLD, "follow": True}
UNWATCHED = (subject({"source": SOURCE}), subject({"source": SOURCE}, {"reviews": REVIEWS}))


def test_an_object_that_follows_in_vain_is_told_so() -> None:
    none, refused = map(unwatched, UNWATCHED)
    assert none
    assert (none.status, none.reason.name) == ("Unknown", "PullRequestNotWatched")
    assert refused
    assert (refused.status, refused.reason.name) == ("Unknown", "RepositoryNotGranted")
    assert unwatched(subject({"source": {**SOURCE, "follow": False}})) is None


def test_the_message_of_a_closed_one_stays_the_same_from_sight_to_sight() -> None:
    sight = Sight.first(pull_request(CLOSED), 0.0, NOON)
    later = sight.then(pull_request(CLOSED), 60.0, NOON + timedelta(seconds=60.7))
    first, second = (pull_request_open(an_object(), replace(view(), sight=each), "default") for each in (sight, later))
    assert first == second, "each difference would be a write"


def said(status: str, reason: str, minutes: int = 60) -> dict[str, Any]:
    at = NOON - timedelta(minutes=minutes)
    return {
        "type": "PullRequestOpen",
        "status": status,
        "reason": reason,
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": at.isoformat(),
    }


@pytest.mark.parametrize(
    ("state", "conditions", "expected", "why"),
    [
        ("Open", [], True, "it was last seen open"),
        ("Closed", [said("False", "PullRequestClosed")], False, "it closed long ago"),
        ("Closed", [said("False", "PullRequestClosed", minutes=5)], True, "another process has just seen it close"),
        ("Closed", [said("False", "TooManyClosed")], True, "it was held, and still is"),
        (None, [said("Unknown", "ForgeUnavailable", minutes=1)], False, "it was never seen"),
        (None, [], False, "the object is new"),
    ],
)
def test_whether_a_pull_request_was_open_is_what_the_status_says(
    state: str | None,
    conditions: list[dict[str, Any]],
    expected: bool,  # noqa: FBT001 - a table's column
    why: str,
) -> None:
    status = {"conditions": conditions, **({"review": {"state": state}} if state else {})}
    assert was_open(endpoint({"status": status}), NOON) is expected, why
