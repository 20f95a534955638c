"""The condition ``Published``: whether the forge shows the object, or the stage. It does not decide about Ready."""

from collections.abc import Iterable
from typing import Final

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.reasons import Finality, Reason, ReasonGroup
from ephemeral_endpoints.features.reviews.errors import REASONS as FORGE_REASONS
from ephemeral_endpoints.features.reviews.forge import PullRequestKey
from ephemeral_endpoints.features.reviews.policy import PUBLISHED
from ephemeral_endpoints.features.reviews.policy import REASONS as GRANT_REASONS

REASONS: Final = ReasonGroup(PUBLISHED)

SHOWN: Final = REASONS.normal(
    "Shown", meaning="The pull request shows the object, or the repository the stage, as it is."
)
PUBLISHING: Final = REASONS.transient(
    "Publishing", meaning="The object or stage waits for its turn to be shown on its forge."
)
REVISION_ABBREVIATED: Final = REASONS.for_author(
    "RevisionAbbreviated",
    finality=Finality.RECOVERABLE,
    meaning="`spec.source.revision` is the beginning of an SHA. Deployments and commit statuses are for whole ones.",
    remedy="name the commit by its whole SHA",
)
COMMIT_NOT_IN_PULL_REQUEST: Final = REASONS.for_author(
    "CommitNotInPullRequest",
    finality=Finality.RECOVERABLE,
    meaning="The commit of `spec.source.revision` does not belong to the pull request, so the object has nothing to "
    "say on it. The operator asks again, at the latest after five minutes.",
    remedy="correct `spec.source.pullRequest` or `spec.source.revision`, or push the commit",
)
COMMIT_UNKNOWN: Final = REASONS.for_author(
    "CommitUnknown",
    finality=Finality.RECOVERABLE,
    meaning="The package of a version names no commit of the stage's repository, so that no deployment can be shown "
    "for it. It is promoted all the same.",
    remedy="register packages with the commit's whole SHA as `revision` in CustomerMetadataProperties, and with "
    "`repository` as the stage has it",
)

_WAITING: Final = "the object waits for its turn to be shown on its pull request"

_BY_NAME: Final = {reason.name: reason for reason in (*REASONS, *GRANT_REASONS, *FORGE_REASONS)}


def revision_abbreviated(revision: str) -> Cause:
    """The commit is not named in whole."""
    message = f"spec.source.revision is {revision}, the beginning of an SHA: name the commit by its whole SHA"
    return Cause(REVISION_ABBREVIATED, message)


def commit_not_in(pull_request: PullRequestKey, revision: str) -> Cause:
    """The commit does not belong to the pull request."""
    return Cause(
        COMMIT_NOT_IN_PULL_REQUEST,
        f"commit {revision} does not belong to pull request {pull_request.number} of {pull_request.repository}: "
        "correct spec.source, or push the commit; the operator asks again within 5 minutes",
    )


def shown(pull_request: PullRequestKey) -> ConditionUpdate:
    """The pull request shows what it should."""
    message = f"shown on pull request {pull_request.number} of {pull_request.repository}"
    return ConditionUpdate.of(PUBLISHED, ConditionStatus.TRUE, Cause(SHOWN, message))


def versions_shown(repository: str, environment: str) -> ConditionUpdate:
    """The repository shows what it should of a stage."""
    message = f"shown as deployments to {environment} of {repository}"
    return ConditionUpdate.of(PUBLISHED, ConditionStatus.TRUE, Cause(SHOWN, message))


def commit_unknown(versions: Iterable[str], repository: str) -> Cause:
    """Versions do not say what they were made from."""
    names = ", ".join(sorted(versions))
    return Cause(
        COMMIT_UNKNOWN,
        f"no deployment is shown for {names}, because its package names no commit of {repository}: register packages "
        "with the keys revision, a whole SHA, and repository in CustomerMetadataProperties",
    )


def not_shown(cause: Cause) -> ConditionUpdate:
    """The pull request does not show what it should."""
    return ConditionUpdate.of(PUBLISHED, ConditionStatus.FALSE, cause)


def unchanged(before: Iterable[Condition], waiting: str = _WAITING) -> ConditionUpdate:
    """The condition as it was, while nothing newer is known: each transition is a write, and an Event."""
    last = next((each for each in before if each.type == PUBLISHED), None)
    reason: Reason | None = _BY_NAME.get(last.reason) if last else None
    if last is None or reason is None:
        return not_shown(Cause(PUBLISHING, waiting))
    return ConditionUpdate.of(PUBLISHED, ConditionStatus(last.status), Cause(reason, last.message))
