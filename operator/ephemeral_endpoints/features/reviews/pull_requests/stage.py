"""The condition of an object that tells of its pull request. Pure."""

from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api import CONFIRM_CLOSED_ANNOTATION
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint, Source
from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.reasons import Finality, Reason, ReasonGroup
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.expiry import stage as expiry
from ephemeral_endpoints.features.expiry.brake import WINDOW_SECONDS
from ephemeral_endpoints.features.expiry.policy import EndCause
from ephemeral_endpoints.features.expiry.stage import ENDED, PULL_REQUEST_OPEN
from ephemeral_endpoints.features.images.policy import is_fork
from ephemeral_endpoints.features.reviews import errors
from ephemeral_endpoints.features.reviews.forge import PullRequest
from ephemeral_endpoints.features.reviews.policy import not_granted
from ephemeral_endpoints.features.reviews.pull_requests.sights import Sight
from ephemeral_endpoints.features.reviews.pull_requests.watched import PullRequestView
from ephemeral_endpoints.features.subject import Subject

REASONS: Final = ReasonGroup(PULL_REQUEST_OPEN)

OPEN: Final = REASONS.normal("Open", meaning="The pull request is open, and the object asks for its newest commit.")
HEAD_MOVED: Final = REASONS.for_author(
    "HeadMoved",
    finality=Finality.RECOVERABLE,
    meaning="The pull request is open and has a newer commit than the one that the object asks for. The message names "
    "both.",
    remedy="apply the object with the newer commit in `spec.source.revision`, or set `spec.source.follow` to true",
)
TOO_MANY_CLOSED: Final = REASONS.for_platform(
    "TooManyClosed",
    finality=Finality.RECOVERABLE,
    meaning="The pull request was closed, and so were more at the same time than can be right: more than the share "
    "`operator.expiry.mostShare` of those of the namespace in one repository, of the namespace, or of the class, and "
    "more than ten. None of their objects ends for that.",
    remedy="see the [runbook](runbooks.md#ephemeralendpointspullrequestsheld)",
)

NOT_WATCHED: Final = REASONS.for_platform(
    "PullRequestNotWatched",
    meaning="`spec.source.follow` is true, but the object's class does not name a forge that knows the newest commit.",
    remedy="set `spec.reviews` of the class, or `spec.source.follow` to false",
)

ENDS: Final = {PullRequestState.CLOSED: EndCause.CLOSED, PullRequestState.MERGED: EndCause.MERGED}

_KNOWN: Final = {each.name: each for group in (REASONS, expiry.REASONS, errors.REASONS) for each in group}


def pull_request_open(endpoint: EphemeralEndpoint, view: PullRequestView, class_name: str) -> ConditionUpdate | None:
    """The condition; None while nothing is known of the pull request, not even why."""
    if view.error:
        message = f"{view.error.described}; the object is kept"
        return _condition(ConditionStatus.UNKNOWN, view.error.reason, message)
    if view.sight is None:
        return None
    if view.sight.is_closed:
        return _closed(view, view.sight, class_name)
    return _open(endpoint, view.sight.pull_request)


def unwatched(subject: Subject) -> ConditionUpdate | None:
    """The condition of an object whose pull request the class does not watch: it follows it in vain."""
    source, endpoint_class = subject.endpoint.spec.source, subject.endpoint_class
    if not source.follow:
        return None
    none = Cause(
        NOT_WATCHED,
        f"spec.source.follow is true, but the class {endpoint_class.metadata.name} watches no pull requests: a "
        "platform engineer must set spec.reviews of the class, or follow must be false",
    )
    refused = not_granted(endpoint_class, subject.endpoint.metadata.namespace or "", source.repository)
    cause = refused or none
    return _condition(ConditionStatus.UNKNOWN, cause.reason, cause.message)


def as_before(endpoint: EphemeralEndpoint) -> ConditionUpdate | None:
    """The condition as the status has it: after a start of the operator it holds until the forge has answered."""
    before = next((each for each in endpoint.status.conditions if each.type == PULL_REQUEST_OPEN), None)
    if before is None or before.reason not in _KNOWN:
        return None
    return _condition(ConditionStatus(before.status), _KNOWN[before.reason], before.message)


def was_open(endpoint: EphemeralEndpoint, now: datetime) -> bool:
    """Whether the pull request was open lately, as the status says: another process may have seen it close."""
    if endpoint.status.review and endpoint.status.review.state is PullRequestState.OPEN:
        return True
    said = next((each for each in endpoint.status.conditions if each.type == PULL_REQUEST_OPEN), None)
    if said is None or said.status != ConditionStatus.FALSE.value:
        return False
    return said.reason == TOO_MANY_CLOSED.name or now - said.last_transition_time <= timedelta(seconds=WINDOW_SECONDS)


def can_follow(source: Source, pull_request: PullRequest) -> bool:
    """Whether the head may be rolled out: it must be in the repository that the object names.

    An object that presents a fork's commits as the repository's own would have them built without an approval.
    """
    return pull_request.is_fork == is_fork(source)


def _closed(view: PullRequestView, sight: Sight, class_name: str) -> ConditionUpdate:
    cause = ENDED[ENDS[sight.pull_request.state]]
    if view.is_held:
        message = (
            f"{cause.message}, and so were more pull requests at the same time than can be right; the object is kept. "
            f"If the forge is wrong, a platform engineer must correct spec.reviews of class {class_name}; if it is "
            f"right, they must confirm it: kubectl annotate {ENDPOINT_CLASS.short_name} {class_name} --overwrite "
            f'{CONFIRM_CLOSED_ANNOTATION}="$(date -u +%Y-%m-%dT%H:%M:%SZ)"'
        )
        return _condition(ConditionStatus.FALSE, TOO_MANY_CLOSED, message)
    ends_at = timestamp(sight.closed_since + view.grace) if sight.closed_since else ""
    unless = "" if sight.pull_request.state is PullRequestState.MERGED else " unless it is reopened before"
    message = f"{cause.message}; the object ends when it is seen so again after {ends_at}{unless}"
    return _condition(ConditionStatus.FALSE, cause.reason, message)


def _open(endpoint: EphemeralEndpoint, pull_request: PullRequest) -> ConditionUpdate:
    source, head = endpoint.spec.source, pull_request.head
    if head.startswith(endpoint.revision):
        return _condition(ConditionStatus.TRUE, OPEN, "the pull request is open, and this is its newest commit")
    message = f"the pull request is open, and its newest commit is {head}, but the object asks for {endpoint.revision}"
    if not source.follow:
        remedy = "set spec.source.revision to the newer one, or spec.source.follow to true"
    elif can_follow(source, pull_request):
        remedy = "the operator rolls the newer one out within minutes"
    elif pull_request.is_fork:
        remedy = "it comes from a fork, which the operator follows only if spec.source.headRepository names it"
    else:
        remedy = "it does not come from a fork, so spec.source.headRepository must be removed for it to be followed"
    return _condition(ConditionStatus.TRUE, HEAD_MOVED, f"{message}: {remedy}")


def _condition(status: ConditionStatus, reason: Reason, message: str) -> ConditionUpdate:
    return ConditionUpdate.of(PULL_REQUEST_OPEN, status, Cause(reason, message))
