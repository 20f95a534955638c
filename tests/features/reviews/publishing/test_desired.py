from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from tests.features.reviews.publications import (
    CHECK_RUN,
    CREATED,
    FAILURES,
    NOW,
    OTHER,
    READY,
    REVISION,
    SERVING,
    URL,
    certainly,
    condition,
    not_ready,
    policy,
    published,
    subject,
)
from tests.features.reviews.texts import hostile

from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED
from ephemeral_endpoints.features.reviews.forge import (
    CheckState,
    CommitStatus,
    Deployment,
    DeploymentState,
    LeftDeployment,
    Owner,
    Publication,
    PullRequestKey,
    Upsert,
)
from ephemeral_endpoints.features.reviews.publishing.desired import (
    MOST_DESCRIPTION,
    gone,
    is_publishable,
    left_over,
    publication,
    renewed_in,
    speak_together,
)
from ephemeral_endpoints.features.reviews.publishing.digest import Digest
from ephemeral_endpoints.features.subject import Subject

RUNNING = {**SERVING, "conditions": [READY, condition(CHECKS_PASSED, "False", "ChecksRunning")]}
CHECKS_FAILED = {
    **SERVING,
    "conditions": [READY, condition(CHECKS_PASSED, "False", "ChecksFailed", "1 of 3 checks failed")],
    "checks": CHECK_RUN,
}
BUILDING = not_ready("Building")
FAILED = not_ready("BuildFailed", "pip: no such package")
UNAPPROVED = not_ready("ApprovalRequired")
SECOND: Mapping[str, Any] = {"name": "pr-42-b", "uid": "uid-b"}
DELETED: Mapping[str, Any] = {"deletionTimestamp": "2026-11-01T13:00:00Z"}


def wanted(status: Mapping[str, Any], **more: Any) -> Publication:  # noqa: ANN401 - members of an object
    return certainly(published(subject(status, **more)))


@pytest.mark.parametrize(
    ("status", "deployment", "check"),
    [
        pytest.param(
            BUILDING,
            Deployment("preview", DeploymentState.IN_PROGRESS, "Building and rolling out"),
            CommitStatus("ephemeral-endpoints", CheckState.PENDING, "Waiting for the endpoint and its checks"),
            id="on its way",
        ),
        pytest.param(
            UNAPPROVED,
            Deployment("preview", DeploymentState.QUEUED, "Nothing is built before somebody approves it"),
            CommitStatus("ephemeral-endpoints", CheckState.PENDING, "Nothing is built before somebody approves it"),
            id="not approved",
        ),
        pytest.param(
            FAILED,
            Deployment("preview", DeploymentState.FAILURE, "pip: no such package"),
            CommitStatus("ephemeral-endpoints", CheckState.FAILURE, "pip: no such package"),
            id="failed",
        ),
        pytest.param(
            RUNNING,
            Deployment("preview", DeploymentState.SUCCESS, "Serving", URL),
            CommitStatus("ephemeral-endpoints", CheckState.PENDING, "Waiting for the endpoint and its checks"),
            id="its checks run: the status is what it was before",
        ),
        pytest.param(
            CHECKS_FAILED,
            Deployment("preview", DeploymentState.SUCCESS, "Serving", URL),
            CommitStatus("ephemeral-endpoints", CheckState.FAILURE, "Checks failed: score", URL),
            id="a check failed",
        ),
        pytest.param(
            SERVING,
            Deployment("preview", DeploymentState.SUCCESS, "Serving", URL),
            CommitStatus("ephemeral-endpoints", CheckState.SUCCESS, "The endpoint serves this commit", URL),
            id="all is well",
        ),
    ],
)
def test_a_pull_request_shows_how_the_object_stands(
    status: Mapping[str, Any], deployment: Deployment, check: CommitStatus
) -> None:
    found = wanted(status)
    assert (found.deployment, found.status) == (deployment, check)
    assert found.supersedes is (deployment.state is DeploymentState.SUCCESS)
    assert (found.pull_request, found.revision) == (PullRequestKey("acme/sentiment", 42), REVISION)
    assert found.owner == Owner("c1", "nlp", "pr-42", "3f0c1c5e-0000-4000-8000-000000000042")


@pytest.mark.parametrize(
    ("status", "always", "on_failure"),
    [
        pytest.param(BUILDING, Upsert.EDIT, Upsert.EDIT, id="nothing to say yet, but an older comment is outdated"),
        pytest.param(UNAPPROVED, Upsert.EITHER, Upsert.EITHER, id="somebody has to act"),
        pytest.param(FAILED, Upsert.EITHER, Upsert.EITHER, id="a failure"),
        pytest.param(RUNNING, Upsert.POST, None, id="the URL is news, but an edit would not last"),
        pytest.param(CHECKS_FAILED, Upsert.EITHER, Upsert.EITHER, id="failed checks"),
        pytest.param(SERVING, Upsert.EITHER, Upsert.EDIT, id="all is well"),
    ],
)
def test_the_class_decides_when_there_is_a_comment(
    status: Mapping[str, Any], always: Upsert, on_failure: Upsert | None
) -> None:
    def upsert(mode: str) -> Upsert | None:
        found = wanted(status, reviews={"comment": mode}).comment
        return found.upsert if found else None

    assert (upsert("Always"), upsert("OnFailure"), upsert("Never")) == (always, on_failure, None)


@pytest.mark.parametrize(
    ("statuses", "state", "description"),
    [
        pytest.param([SERVING, SERVING], CheckState.SUCCESS, "All 2 endpoints serve this commit", id="all serve"),
        pytest.param(
            [SERVING, BUILDING],
            CheckState.PENDING,
            "nlp/pr-42-b: Waiting for the endpoint and its checks",
            id="one waits",
        ),
        pytest.param(
            [SERVING, {}], CheckState.PENDING, "nlp/pr-42-b: Waiting for the endpoint and its checks", id="new"
        ),
        pytest.param([FAILED, BUILDING], CheckState.FAILURE, "nlp/pr-42: pip: no such package", id="one failed"),
        pytest.param([SERVING, CHECKS_FAILED], CheckState.FAILURE, "nlp/pr-42-b: Checks failed: score", id="checks"),
    ],
)
def test_a_commit_status_is_as_bad_as_the_worst_of_the_objects_that_share_it(
    statuses: list[Mapping[str, Any]], state: CheckState, description: str
) -> None:
    first, second = subject(statuses[0]), subject(statuses[1], metadata=SECOND)
    found = certainly(published(first, second)).status
    assert found is not None
    assert (found.state, found.description) == (state, description)


def test_only_the_first_of_them_speaks_and_each_has_its_own_deployment_and_comment() -> None:
    first, second = subject(SERVING), subject(SERVING, metadata=SECOND)
    found = publication(second, policy(second), (first, second), FAILURES, NOW)
    assert found is not None
    assert found.status is None
    assert found.deployment is not None
    assert found.comment is not None


def test_what_is_not_known_of_one_leaves_their_status_as_it_is() -> None:
    unknown = {**SERVING, "conditions": [condition("Ready", "Unknown", "CredentialsUnavailable")]}
    found = certainly(published(subject(SERVING), subject(unknown, metadata=SECOND)))
    assert found.status is None
    assert published(subject(unknown)) is None


@pytest.mark.parametrize(
    ("source", "together"),
    [
        pytest.param({}, True, id="the same"),
        pytest.param({"repository": "Acme/Sentiment"}, True, id="GitHub takes no notice of case"),
        pytest.param({"repository": "acme/other"}, False, id="another repository"),
        pytest.param({"pullRequest": 43}, True, id="another pull request with the same commit"),
        pytest.param({"pullRequest": None}, False, id="none of a pull request"),
        pytest.param({"revision": OTHER}, False, id="another commit"),
    ],
)
def test_objects_of_one_commit_speak_together(*, source: Mapping[str, Any], together: bool) -> None:
    one, other = subject().endpoint, subject(spec={"source": source}, metadata=SECOND).endpoint
    assert speak_together(one, other) is speak_together(other, one) is together


@pytest.mark.parametrize(
    ("source", "publishable"),
    [({}, True), ({"revision": "1f0c2a9"}, False), ({"revision": "a" * 64}, True), ({"pullRequest": None}, False)],
)
def test_only_whole_commits_of_pull_requests_are_published(*, source: Mapping[str, Any], publishable: bool) -> None:
    assert is_publishable(subject(spec={"source": source}).endpoint) is publishable


@given(hostile(), hostile())
def test_descriptions_fit_and_are_one_line(message: str, name: str) -> None:
    checks = {**CHECK_RUN, "results": [{"name": name, "outcome": "Failed"}] * 9}
    for status in (not_ready("BuildFailed", message), {**CHECKS_FAILED, "checks": checks}):
        found = certainly(published(subject(status), subject(SERVING, metadata=SECOND)))
        assert found.deployment is not None
        assert found.status is not None
        for text in (found.deployment.description, found.status.description):
            assert len(text) <= MOST_DESCRIPTION
            assert text.isprintable()


def test_a_url_that_the_operator_never_makes_is_not_linked() -> None:
    found = wanted({**SERVING, "url": "javascript:alert(1)"})
    assert found.deployment is not None
    assert found.status is not None
    assert (found.deployment.url, found.status.url) == (None, None)


@pytest.mark.parametrize("resources", [[], [{"kind": "Endpoint", "name": "eep-x"}]])
def test_an_end_is_published_when_nothing_is_left(resources: list[dict[str, str]]) -> None:
    expired = CREATED + timedelta(hours=72)
    found = published(subject({**SERVING, "resources": resources}), now=expired + timedelta(hours=1))
    if resources:
        assert found is None
    else:
        found = certainly(found)
        assert found.deployment == Deployment("preview", DeploymentState.INACTIVE, "The endpoint is gone")
        assert found.comment is not None
        assert "is gone since 4 November 2026, 12:00 UTC" in found.comment.body


def test_a_deleted_object_changes_nothing_before_it_is_gone() -> None:
    assert published(subject(SERVING, metadata=DELETED)) is None


def ended(one: Subject, *, is_alone: bool = True, is_remade: bool = False) -> Publication:
    return gone(one, policy(one), NOW, is_alone=is_alone, is_remade=is_remade)


def test_the_last_comment_is_an_edit_and_nothing_is_made_for_it() -> None:
    found = ended(subject(SERVING))
    assert found.comment is not None
    assert found.comment.upsert is Upsert.EDIT
    assert found.deployment is not None
    assert found.deployment.state is DeploymentState.INACTIVE
    assert ended(subject(SERVING, reviews={"comment": "Never"})).comment is None


@pytest.mark.parametrize(
    ("alone", "remade", "state"),
    [
        pytest.param(True, False, CheckState.ERROR, id="else it would be pending for ever"),
        pytest.param(False, False, None, id="another object goes on to speak for the commit"),
        pytest.param(True, True, None, id="so does one of the same name"),
    ],
)
def test_a_commit_status_does_not_stay_pending(
    *,
    alone: bool,
    remade: bool,
    state: CheckState | None,
) -> None:
    found = ended(subject(BUILDING), is_alone=alone, is_remade=remade)
    assert (found.status.state if found.status else None) is state
    assert found.status is None or found.status.replaces is CheckState.PENDING, "what was found out stays"
    assert (found.comment is None) is remade


LEFT = LeftDeployment(7, Owner("c1", "nlp", "pr-42", "uid"), PullRequestKey("acme/wine", 42), REVISION, is_active=True)


@pytest.mark.parametrize(
    ("is_gone", "is_remade", "context", "has_comment", "has_status"),
    [
        (True, False, "previews", True, True),
        (True, True, None, False, False),
        (True, False, None, True, False),
        (False, False, "previews", False, False),
    ],
)
def test_what_was_left_is_ended_with_its_comment_and_status_unless_another_object_has_them(
    *,
    is_gone: bool,
    is_remade: bool,
    context: str | None,
    has_comment: bool,
    has_status: bool,
) -> None:
    found = left_over(LEFT, "preview", context, NOW, is_gone=is_gone, is_remade=is_remade)
    assert found.deployment is not None
    assert found.deployment.state is DeploymentState.INACTIVE
    assert (found.status is not None) is has_status
    assert (found.comment is not None) is has_comment


def test_a_digest_tells_the_parts_apart() -> None:
    one = wanted(SERVING)
    assert one.deployment is not None
    assert one.comment is not None
    digest = Digest.of(one)
    assert Digest.parse(str(digest)) == digest
    other = Digest.of(replace(one, deployment=replace(one.deployment, description="another")))
    assert (other.status, other.comment) == (digest.status, digest.comment)
    assert other.deployment != digest.deployment
    assert Digest.of(replace(one, status=None)).status is None
    assert len({Digest.of(replace(one, revision=each)).comment for each in (REVISION, OTHER)}) == 2


@pytest.mark.parametrize("text", [None, "", "nonsense", "a.b", "a.b.c.d"])
def test_a_digest_that_cannot_be_read_is_of_nothing(text: str | None) -> None:
    assert Digest.parse(text) == Digest()


def test_the_same_status_gives_the_same_digest_until_it_has_to_be_renewed() -> None:
    one = subject(BUILDING)
    soon = renewed_in(one.endpoint, FAILURES, NOW)
    assert soon is not None
    digests = [Digest.of(certainly(published(one, now=NOW + each))) for each in (timedelta(), soon / 2, soon)]
    assert digests[0] == digests[1]
    assert digests[1].deployment != digests[2].deployment
    assert digests[1].status == digests[2].status
