"""What objects say of their pull request, and what is said there."""

from collections.abc import Iterator

from tests.features.reviews.publications import (
    CHECK_RUN,
    COMPARISON,
    NOW,
    OTHER,
    READY,
    REVISION,
    SERVING,
    certainly,
    condition,
    not_ready,
    policy,
    published,
    subject,
)

from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED
from ephemeral_endpoints.features.reviews.forge import PullRequestKey
from ephemeral_endpoints.features.reviews.publishing.comment import lost
from ephemeral_endpoints.features.reviews.publishing.desired import gone
from ephemeral_endpoints.features.reviews.publishing.stage import (
    commit_not_in,
    not_shown,
    revision_abbreviated,
    shown,
    unchanged,
)

_KEY = PullRequestKey("acme/sentiment", 42)
_RESULTS = {**SERVING, "checks": CHECK_RUN, "comparison": COMPARISON}
_STATUSES = {
    "queued": not_ready("BuildQueued"),
    "unapproved": not_ready("ApprovalRequired"),
    "building": not_ready("Building", url=SERVING["url"], revision=OTHER),
    "failed": not_ready("BuildFailed", "the build failed: pip: no such package"),
    "serving": {**_RESULTS, "review": {"state": "Open", "head": OTHER}},
    "checking": {**SERVING, "conditions": [READY, condition(CHECKS_PASSED, "False", "ChecksRunning")]},
    "unchecked": {**_RESULTS, "conditions": [READY, condition(CHECKS_PASSED, "False", "ChecksFailed")]},
}


def told() -> Iterator[tuple[str, str]]:
    """The conditions of objects, descriptions of deployments and commit statuses, and the lines of comments."""
    causes = (commit_not_in(_KEY, REVISION), revision_abbreviated("1f0c2a9"))
    for update in (shown(_KEY), unchanged(()), *map(not_shown, causes)):
        yield f"{update.type}={update.status} {update.reason}", update.message
    for name, status in _STATUSES.items():
        wanted = certainly(published(subject(status)))
        if wanted.deployment and wanted.status:
            yield f"deployment {name}", wanted.deployment.description
            yield f"commit status {name}", wanted.status.description
        yield from _lines(name, wanted.comment.body if wanted.comment else "")
    cost = {"hourlyUSD": "0.115", "accruedUSD": "0.10", "since": "2026-11-01T12:00:00Z"}
    one = subject({**SERVING, "cost": cost}, metadata={"deletionTimestamp": "2026-11-01T12:10:00Z"})
    ended = gone(one, policy(one), NOW, is_alone=True).comment
    yield from _lines("gone", ended.body if ended else "")
    yield from _lines("lost", lost("nlp/pr-42", NOW))


def _lines(name: str, comment: str) -> Iterator[tuple[str, str]]:
    yield from ((f"comment {name}", line) for line in comment.splitlines() if line.strip())
