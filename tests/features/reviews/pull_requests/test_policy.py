from datetime import timedelta

import pytest
from tests.features.reviews.pull_requests.test_sights import CLOSED, GRACE, MERGED, NOON, OPEN, pull_request, seen
from tests.features.reviews.pull_requests.test_stage import DOWN, FORK, HEAD, OLD, an_object, view

from ephemeral_endpoints.api import HEAD_ANNOTATION, PULL_REQUEST_CLOSED_ANNOTATION, PULL_REQUEST_MERGED_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.reviews.pull_requests.policy import annotations
from ephemeral_endpoints.features.reviews.pull_requests.sights import Sight
from ephemeral_endpoints.features.reviews.pull_requests.watched import PullRequestView

NOW = NOON + timedelta(hours=1)
CLOSED_AT, MERGED_AT = PULL_REQUEST_CLOSED_ANNOTATION, PULL_REQUEST_MERGED_ANNOTATION
ENDED = {CLOSED_AT: timestamp(NOON)}
FOLLOWED = {HEAD_ANNOTATION: f"{OLD}={HEAD}"}


def over(sight: Sight, *, is_held: bool = False) -> PullRequestView:
    return PullRequestView(GRACE, sight, is_held=is_held)


CLOSED_FOR_GOOD = seen((0, CLOSED), (600, CLOSED))
FOLLOWING = an_object(follow=True)


@pytest.mark.parametrize(
    ("found", "known", "wanted", "why"),
    [
        (an_object(), over(CLOSED_FOR_GOOD), {CLOSED_AT: timestamp(NOW)}, "it ends"),
        (an_object(), over(seen((0, CLOSED), (600, MERGED))), {MERGED_AT: timestamp(NOW)}, "it ends as merged"),
        (an_object(), over(seen((0, CLOSED))), {}, "seen once"),
        (an_object(), over(CLOSED_FOR_GOOD, is_held=True), {}, "with too many others"),
        (an_object(), PullRequestView(GRACE), {}, "nothing is known"),
        (an_object(), PullRequestView(GRACE, error=DOWN), {}, "not even whether it exists"),
        (an_object(ENDED), over(CLOSED_FOR_GOOD), {}, "it has ended: the time stays"),
        (an_object({MERGED_AT: timestamp(NOON)}), over(CLOSED_FOR_GOOD), {}, "likewise"),
        (an_object({CLOSED_AT: "never"}), over(CLOSED_FOR_GOOD), {CLOSED_AT: timestamp(NOW)}, "no time: no excuse"),
        (
            an_object({CLOSED_AT: "2099-01-01T00:00:00Z"}),
            over(CLOSED_FOR_GOOD),
            {CLOSED_AT: timestamp(NOW)},
            "nobody lives longer by writing a time himself",
        ),
        (an_object(ENDED), over(seen((0, OPEN))), {CLOSED_AT: None}, "it was reopened"),
        (an_object(ENDED), PullRequestView(GRACE, error=DOWN), {}, "whether it was reopened is unknown"),
        (an_object(ENDED), over(seen((0, CLOSED))), {}, "after a restart it is seen closed anew"),
        (FOLLOWING, view(), FOLLOWED, "the head is followed"),
        (FOLLOWING, view(head=OLD), {}, "the spec names it already"),
        (an_object(FOLLOWED, follow=True), view(), {}, "it is followed already"),
        (an_object(FOLLOWED, follow=True), view(head=OLD), {HEAD_ANNOTATION: None}, "back to what the spec names"),
        (
            an_object({HEAD_ANNOTATION: f"{HEAD}={'c' * 40}"}, follow=True),
            view(),
            FOLLOWED,
            "the one of an earlier revision of the spec is void",
        ),
        (an_object(follow=True, revision="1f0c2a9"), view(head=OLD), {}, "an abbreviation names it"),
        (an_object(), view(), {}, "nobody asked to follow"),
        (FOLLOWING, view(is_fork=True), {}, "the commit of a fork, presented as the repository's own"),
        (an_object(follow=True, **FORK), view(is_fork=True), FOLLOWED, "a fork that says so"),
        (an_object(follow=True, **FORK), view(), {}, "the fork does not have the commit"),
        (FOLLOWING, view(CLOSED), {}, "it is closed"),
        (FOLLOWING, view(MERGED), {}, "it is merged"),
        (an_object({**ENDED, **FOLLOWED}, follow=True), view(), {CLOSED_AT: None}, "it lives again where it was"),
    ],
)
def test_the_annotations_say_what_the_forge_does(
    found: EphemeralEndpoint, known: PullRequestView, wanted: dict[str, str | None], why: str
) -> None:
    assert annotations(found, known, follows=True, now=NOW) == wanted, why


def test_an_object_that_is_being_deleted_is_left_alone() -> None:
    deleted = an_object().model_copy(
        update={"metadata": an_object().metadata.model_copy(update={"deletion_timestamp": NOON})}
    )
    assert annotations(deleted, over(CLOSED_FOR_GOOD), follows=True, now=NOW) == {}


def test_a_head_that_was_seen_before_the_spec_changed_is_not_followed_but_an_end_is_an_end() -> None:
    assert annotations(FOLLOWING, view(), follows=False, now=NOW) == {}
    assert annotations(FOLLOWING, over(CLOSED_FOR_GOOD), follows=False, now=NOW)


def test_the_sight_of_a_pull_request_alone_names_the_head() -> None:
    hostile = Sight.first(pull_request(OPEN, "d" * 64), 0.0, NOON)
    assert annotations(FOLLOWING, over(hostile), follows=True, now=NOW) == {HEAD_ANNOTATION: f"{OLD}={'d' * 64}"}
