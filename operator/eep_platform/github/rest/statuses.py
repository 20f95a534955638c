"""Operations on the statuses of commits. Source: https://docs.github.com/rest/commits/statuses."""

from typing import Final

from eep_platform.github.access import Need
from eep_platform.github.errors import unprocessable, validation_failed
from eep_platform.github.records import CommitStatus
from eep_platform.github.rest.deployments import MOST_DESCRIPTION, check_url
from eep_platform.github.rest.operations import Answer, Call, operation
from eep_platform.github.rest.paging import paged
from eep_platform.github.store import Store
from eep_platform.github.views.views import Views

MOST_OF_CONTEXT: Final = 1000
"""Statuses of one commit and context."""

_MOST_CONTEXT: Final = 255
_READ: Final = Need("statuses", "read")
_WRITE: Final = Need("statuses", "write")


class StatusOperations:
    """Creates and reads statuses."""

    def __init__(self, store: Store, views: Views) -> None:
        self._store = store
        self._views = views

    @operation(
        "repos/create-commit-status",
        "POST /repos/{owner}/{repo}/statuses/{sha}",
        {201: "Status"},
        body="ReposOwnerRepoStatusesShaPostBody",
        need=_WRITE,
    )
    def create(self, call: Call) -> Answer:
        """Add a status to a commit, which is named by its whole SHA."""
        repository, sha = call.repository, call.path["sha"]
        if sha not in repository.commits:
            raise unprocessable(f"No commit found for SHA: {sha}")
        context, description = call.text("context", "default"), call.text("description", "")
        for name, text, most in (("description", description, MOST_DESCRIPTION), ("context", context, _MOST_CONTEXT)):
            if len(text) > most:
                raise validation_failed("Status", name, "custom", f"{name} is too long (maximum is {most} characters)")
        check_url("Status", "target_url", call.text("target_url", ""))
        known = repository.statuses.setdefault(sha, [])
        if sum(each.context == context for each in known) >= MOST_OF_CONTEXT:
            message = "This SHA and context has reached the maximum number of statuses."
            raise validation_failed("Status", "base", "custom", message)
        made = CommitStatus(
            id=self._store.new_id(),
            state=str(call.body["state"]),
            context=context,
            description=description or None,
            target_url=call.text("target_url", "") or None,
            creator=call.user,
            created=self._store.clock(),
        )
        known.append(made)
        return Answer(self._views.status(repository, sha, made), status=201)

    @operation(
        "repos/list-commit-statuses-for-ref",
        "GET /repos/{owner}/{repo}/commits/{ref}/statuses",
        {200: "list[Status]"},
        need=_READ,
    )
    def list(self, call: Call) -> Answer:
        """All statuses of a commit, the newest first."""
        sha = _sha(call)
        found = call.repository.statuses.get(sha, [])[::-1]
        return paged(call, found, lambda each: self._views.status(call.repository, sha, each))

    @operation(
        "repos/get-combined-status-for-ref",
        "GET /repos/{owner}/{repo}/commits/{ref}/status",
        {200: "CombinedCommitStatus"},
        need=_READ,
    )
    def combined(self, call: Call) -> Answer:
        """The newest status of each context, and what they come to."""
        sha, repository = _sha(call), call.repository
        latest = repository.latest_statuses(sha)
        page = paged(call, latest, lambda each: self._views.status(repository, sha, each))
        shown = self._views.repository(repository)
        body = {
            "state": combined_state(latest),
            "statuses": page.body,
            "sha": sha,
            "total_count": len(latest),
            "repository": shown,
            "commit_url": f"{shown['url']}/commits/{sha}",
            "url": f"{shown['url']}/commits/{sha}/status",
        }
        return Answer(body, page=page.page, pages=page.pages)


def combined_state(latest: "list[CommitStatus]") -> str:
    """What the newest statuses of a commit come to. Pure."""
    states = {status.state for status in latest}
    if states & {"error", "failure"}:
        return "failure"
    return "pending" if "pending" in states or not states else "success"


def _sha(call: Call) -> str:
    ref = call.path["ref"]
    sha = call.repository.resolve(ref)
    if sha is None:
        raise unprocessable(f"No commit found for SHA: {ref}")
    return sha
