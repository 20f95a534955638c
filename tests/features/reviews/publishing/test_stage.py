import pytest
from tests.features.reviews.publications import REVISION, condition, subject

from ephemeral_endpoints.engine.conditions import ConditionStatus
from ephemeral_endpoints.features.reviews.forge import MOST_FORMER, Published, PullRequestKey
from ephemeral_endpoints.features.reviews.publishing.delivery import Memory, is_reported, published_of, review_of
from ephemeral_endpoints.features.reviews.publishing.delivery import condition as published_condition
from ephemeral_endpoints.features.reviews.publishing.stage import (
    COMMIT_NOT_IN_PULL_REQUEST,
    PUBLISHING,
    SHOWN,
    commit_not_in,
    not_shown,
    shown,
    unchanged,
)

KEY = PullRequestKey("acme/sentiment", 42)


def test_the_condition_says_where_it_is_shown_or_why_not() -> None:
    assert (shown(KEY).status, shown(KEY).reason) == (ConditionStatus.TRUE, SHOWN)
    assert shown(KEY).message == "shown on pull request 42 of acme/sentiment"
    refused = not_shown(commit_not_in(KEY, REVISION))
    assert (refused.status, refused.reason) == (ConditionStatus.FALSE, COMMIT_NOT_IN_PULL_REQUEST)
    assert REVISION in refused.message


@pytest.mark.parametrize(
    ("before", "status", "reason"),
    [
        pytest.param([], "False", "Publishing", id="nothing was said yet"),
        pytest.param([condition("Published", "True", "Shown")], "True", "Shown", id="it was shown"),
        pytest.param([condition("Published", "False", "ForgeDenied")], "False", "ForgeDenied", id="it was not"),
        pytest.param([condition("Published", "True", "Strange")], "False", "Publishing", id="of another version"),
    ],
)
def test_before_anything_newer_is_known_the_condition_stays(
    before: list[dict[str, str]], status: str, reason: str
) -> None:
    found = unchanged(subject({"conditions": before}).endpoint.status.conditions)
    assert (found.status.value, found.reason.name) == (status, reason)


def test_what_is_remembered_is_what_the_status_says_after_a_restart() -> None:
    published = Published(REVISION, 7, (5, 6), 9, REVISION, "a.b.c")
    said = {"review": review_of(published), "conditions": [condition("Published", "True", "Shown", shown(KEY).message)]}
    endpoint = subject(said).endpoint
    assert published_of(endpoint.status.review) == published
    assert published_of(None) == Published()
    assert is_reported(endpoint, Memory(published, is_current=True))
    assert is_reported(endpoint, Memory(published))
    assert not is_reported(endpoint, Memory(Published(REVISION, 8), is_current=True))
    assert not is_reported(endpoint, Memory(published, problem=commit_not_in(KEY, REVISION), is_current=True))
    assert not is_reported(subject().endpoint, Memory(is_current=True))
    assert published_condition(subject().endpoint, Memory()).reason is PUBLISHING


def test_another_revision_has_no_deployment_and_the_ones_before_are_remembered() -> None:
    known = Published()
    for number in range(MOST_FORMER + 3):
        known = known.at(f"revision {number}")
        assert known.deployment_id is None
        known = Published(known.revision, number, known.former_ids)
    assert known.at(known.revision or "") is known
    assert known.at("another").former_ids == tuple(range(3, MOST_FORMER + 3))
