"""What is written on an object because of its pull request. Pure."""

from datetime import datetime

from ephemeral_endpoints.api import HEAD_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.tags import moment_of, timestamp
from ephemeral_endpoints.features.expiry.policy import ENDED_BY
from ephemeral_endpoints.features.reviews.forge import PullRequest
from ephemeral_endpoints.features.reviews.pull_requests.stage import ENDS, can_follow
from ephemeral_endpoints.features.reviews.pull_requests.watched import PullRequestView

Annotations = dict[str, str | None]


def annotations(endpoint: EphemeralEndpoint, view: PullRequestView, *, follows: bool, now: datetime) -> Annotations:
    """The annotations that have to change, None for those that have to go.

    ``follows``: the sight is recent enough to name the commit that is served. What is not known changes nothing.
    """
    if view.sight is None or endpoint.metadata.deletion_timestamp is not None:
        return {}
    given, seen = endpoint.metadata.annotations, view.sight.pull_request
    if view.sight.is_closed:
        has_ended = any((at := moment_of(given.get(each, ""))) and at <= now for each in ENDED_BY.values())
        return {ENDED_BY[ENDS[seen.state]]: timestamp(now)} if view.ends and not has_ended else {}
    revived: Annotations = {each: None for each in ENDED_BY.values() if each in given}
    return revived | (_followed(endpoint, seen) if follows else {})


def _followed(endpoint: EphemeralEndpoint, pull_request: PullRequest) -> Annotations:
    source = endpoint.spec.source
    if not source.follow or not can_follow(source, pull_request):
        return {}
    is_named = pull_request.head.startswith(source.revision)
    wanted = None if is_named else f"{source.revision}={pull_request.head}"
    return {} if endpoint.metadata.annotations.get(HEAD_ANNOTATION) == wanted else {HEAD_ANNOTATION: wanted}
