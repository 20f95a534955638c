"""What should be on a pull request for an object: a function of its status, of its class, and of the clock."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import WHOLE_REVISIONS, EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.reviews import CommentPolicy, ReviewPolicy
from ephemeral_endpoints.features.reviews.forge import (
    CheckState,
    CommentText,
    CommitStatus,
    Deployment,
    DeploymentState,
    LeftDeployment,
    Owner,
    Publication,
    PullRequestKey,
    Upsert,
)
from ephemeral_endpoints.features.reviews.publishing import comment
from ephemeral_endpoints.features.reviews.publishing.assessment import (
    APPROVAL_REQUIRED,
    Assessment,
    assess,
    failed_checks,
)
from ephemeral_endpoints.features.reviews.publishing.markdown import is_plain_url, plain
from ephemeral_endpoints.features.subject import Subject

MOST_DESCRIPTION: Final = 140
"""GitHub refuses longer descriptions of deployments and commit statuses."""

_WORST_FIRST: Final = (CheckState.ERROR, CheckState.FAILURE, CheckState.PENDING, CheckState.SUCCESS)


def is_publishable(endpoint: EphemeralEndpoint) -> bool:
    """Whether the object belongs to a pull request, and names its commit by the whole SHA that a forge wants."""
    source = endpoint.spec.source
    return source.pull_request is not None and len(endpoint.revision) in WHOLE_REVISIONS


def pull_request_of(endpoint: EphemeralEndpoint) -> PullRequestKey:
    """The pull request of an object that has one."""
    return PullRequestKey(endpoint.spec.source.repository, endpoint.spec.source.pull_request or 0)


def speak_together(one: EphemeralEndpoint, other: EphemeralEndpoint) -> bool:
    """Whether two objects of a class share a commit status, because they are of pull requests with the same commit.

    A commit has one status for each context, whatever pull requests it is in: a branch that is made from another
    one's commit must not speak for it alone. GitHub takes no notice of the case of a repository's name.
    """
    a, b = one.spec.source, other.spec.source
    is_reviewed = a.pull_request is not None and b.pull_request is not None
    return is_reviewed and a.repository.lower() == b.repository.lower() and one.revision == other.revision


def publication(
    subject: Subject,
    policy: ReviewPolicy,
    together: Sequence[Subject],
    failures: Collection[str],
    now: datetime,
) -> Publication | None:
    """What should be on the pull request of an object as it is now; None if everything should stay as it is.

    ``together`` are all living objects that ``speak_together`` with it, itself among them, in their order: the first
    one speaks for all of them. ``failures`` are the reasons that somebody has to act on.
    """
    endpoint = subject.endpoint
    if subject.is_terminating(now):
        # While resources are left, everything stays as it is: a deletion takes a minute, and ends with ``gone``.
        is_tombstone = endpoint.metadata.deletion_timestamp is None and not endpoint.status.resources
        at = subject.end.at
        return gone(subject, policy, at, is_alone=not together) if is_tombstone else None
    assessment = assess(endpoint, failures, now)
    if assessment is None:
        return None
    is_served = assessment.deployment is DeploymentState.SUCCESS
    url = endpoint.status.url
    return Publication(
        owner_of(subject),
        pull_request_of(endpoint),
        endpoint.revision,
        Deployment(
            policy.environment,
            assessment.deployment,
            plain(assessment.words, MOST_DESCRIPTION),
            url if is_served and url and is_plain_url(url) else None,
        ),
        _status(subject, policy, together, failures, now),
        _comment(subject, policy, assessment),
        supersedes=is_served,
    )


def gone(
    subject: Subject, policy: ReviewPolicy, at: datetime, *, is_alone: bool, is_remade: bool = False
) -> Publication:
    """What should be on the pull request of an object that is gone since ``at``.

    ``is_alone``: no other object shares its commit status. ``is_remade``: another object has its name, and with it its
    comment. A required status that is pending for ever would keep the pull request from being merged unexplained.
    """
    endpoint = subject.endpoint
    has_text = policy.comment is not CommentPolicy.NEVER and not is_remade
    return Publication(
        owner_of(subject),
        pull_request_of(endpoint),
        endpoint.revision,
        Deployment(policy.environment, DeploymentState.INACTIVE, "The endpoint is gone"),
        _went_early(policy.context) if is_alone and not is_remade else None,
        CommentText(comment.ended(subject, at), Upsert.EDIT) if has_text else None,
        supersedes=True,
    )


def left_over(  # noqa: PLR0913 - all that decides what remains
    left: LeftDeployment, environment: str, context: str | None, at: datetime, *, is_gone: bool, is_remade: bool
) -> Publication:
    """What should be in place of a deployment that was not ended.

    ``is_gone``: its object is, so that its comment is ended too unless another object ``is_remade`` under its name, and
    its commit status in ``context`` unless that is None, because another object speaks for the commit.
    """
    text = comment.lost(f"{left.owner.namespace}/{left.owner.name}", at)
    words = "The endpoint is gone" if is_gone else "The endpoint serves another commit now"
    return Publication(
        left.owner,
        left.pull_request,
        left.revision,
        Deployment(environment, DeploymentState.INACTIVE, words),
        _went_early(context) if is_gone and context else None,
        CommentText(text, Upsert.EDIT) if is_gone and not is_remade else None,
    )


def renewed_in(endpoint: EphemeralEndpoint, failures: Collection[str], now: datetime) -> timedelta | None:
    """In what time the object has to be published again although nothing of it changes."""
    assessment = assess(endpoint, failures, now)
    return assessment.renewed_in if assessment else None


def owner_of(subject: Subject) -> Owner:
    """The owner of what is published for an object."""
    metadata = subject.endpoint.metadata
    return Owner(subject.cluster_id, metadata.namespace or "", metadata.name, metadata.uid)


def _status(
    subject: Subject, policy: ReviewPolicy, together: Sequence[Subject], failures: Collection[str], now: datetime
) -> CommitStatus | None:
    """The commit status of all objects that speak together: the worst of them, said by the first."""
    if not together or together[0].endpoint.metadata.uid != subject.endpoint.metadata.uid:
        return None
    assessed = [(each, assess(each.endpoint, failures, now)) for each in together]
    known = [(each, found) for each, found in assessed if found]
    if not known or len(known) < len(together):
        return None
    worst, found = min(known, key=lambda each: _WORST_FIRST.index(each[1].check))
    several = len(together) > 1
    name = f"{worst.endpoint.metadata.namespace}/{worst.endpoint.metadata.name}: "
    is_named = several and found.check is not CheckState.SUCCESS
    said = (name if is_named else "") + _describe(worst.endpoint, found, len(together))
    url = worst.endpoint.status.url
    # While it is pending it stays the same, whatever is still to come: each change is a request.
    is_shown = found.deployment is DeploymentState.SUCCESS and found.check is not CheckState.PENDING
    return CommitStatus(
        policy.context,
        found.check,
        plain(said, MOST_DESCRIPTION),
        url if is_shown and url and is_plain_url(url) else None,
    )


def _describe(endpoint: EphemeralEndpoint, assessment: Assessment, count: int) -> str:
    """A description that stays the same while the state does: each change is a request."""
    if assessment.check is CheckState.SUCCESS:
        return "The endpoint serves this commit" if count == 1 else f"All {count} endpoints serve this commit"
    if assessment.check is CheckState.PENDING:
        is_held = assessment.reason == APPROVAL_REQUIRED
        return "Nothing is built before somebody approves it" if is_held else "Waiting for the endpoint and its checks"
    failed = failed_checks(endpoint) if assessment.deployment is DeploymentState.SUCCESS else ()
    return f"Checks failed: {', '.join(each.name for each in failed)}" if failed else assessment.message


def _went_early(context: str) -> CommitStatus:
    """The end of a status that nobody would ever set: what was found out of the commit stays."""
    description = "The endpoint went before it was ready and checked"
    return CommitStatus(context, CheckState.ERROR, description, replaces=CheckState.PENDING)


def _comment(subject: Subject, policy: ReviewPolicy, assessment: Assessment) -> CommentText | None:
    upsert = _UPSERTS[policy.comment](assessment)
    commands = [each.value.lower() for each in policy.commands]
    return CommentText(comment.live(subject, assessment, commands), upsert) if upsert else None


def _always(assessment: Assessment) -> Upsert:
    """No comment before there is something to say, and no edit for what is about to change again."""
    if _needs_somebody(assessment):
        return Upsert.EITHER
    if assessment.deployment is DeploymentState.SUCCESS:
        return Upsert.EITHER if assessment.is_settled else Upsert.POST
    return Upsert.EDIT


def _on_failure(assessment: Assessment) -> Upsert | None:
    if _needs_somebody(assessment):
        return Upsert.EITHER
    is_unsettled = assessment.deployment is DeploymentState.SUCCESS and not assessment.is_settled
    return None if is_unsettled else Upsert.EDIT


def _needs_somebody(assessment: Assessment) -> bool:
    is_checked = assessment.is_settled and assessment.check in (CheckState.FAILURE, CheckState.ERROR)
    return is_checked or assessment.reason == APPROVAL_REQUIRED


_UPSERTS: Final[dict[CommentPolicy, Callable[[Assessment], Upsert | None]]] = {
    CommentPolicy.ALWAYS: _always,
    CommentPolicy.ON_FAILURE: _on_failure,
    CommentPolicy.NEVER: lambda _: None,
}
