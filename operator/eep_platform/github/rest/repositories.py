"""Operations on repositories, their pull requests and commits. Source: https://docs.github.com/rest/pulls/pulls."""

from typing import Final

from eep_platform.github.access import METADATA, Need
from eep_platform.github.errors import unprocessable
from eep_platform.github.records import PullRequest, Repository, Role
from eep_platform.github.rest.operations import Answer, Call, operation
from eep_platform.github.rest.paging import paged
from eep_platform.github.store import Store
from eep_platform.github.views.repositories import role_name
from eep_platform.github.views.views import Views

READ_PULLS: Final = Need("pull_requests", "read")

_MOST_COMMITS: Final = 250
_PERMISSIONS: Final = {Role.TRIAGE: "read", Role.MAINTAIN: "write"}
"""What the roles are called that are between the four permissions of old."""


class RepositoryOperations:
    """Reads repositories."""

    def __init__(self, store: Store, views: Views) -> None:
        self._store = store
        self._views = views

    @operation("repos/get", "GET /repos/{owner}/{repo}", {200: "FullRepository"}, need=METADATA)
    def get(self, call: Call) -> Answer:
        """One repository."""
        return Answer({**self._views.full_repository(call.repository), "permissions": _permissions(call)})

    @operation(
        "repos/get-collaborator-permission-level",
        "GET /repos/{owner}/{repo}/collaborators/{username}/permission",
        {200: "RepositoryCollaboratorPermission"},
        need=METADATA,
    )
    def permission(self, call: Call) -> Answer:
        """What a user may do: admin, write, read or none, whatever the role is called."""
        user = self._store.user(call.path["username"])
        role = call.repository.role_of(user)
        shown = {**self._views.user(user), "role_name": role_name(role)}
        permission = _PERMISSIONS.get(role, role_name(role))
        return Answer({"permission": permission, "role_name": role_name(role), "user": shown})

    @operation("pulls/get", "GET /repos/{owner}/{repo}/pulls/{pull_number}", {200: "PullRequest"}, need=READ_PULLS)
    def pull(self, call: Call) -> Answer:
        """One pull request."""
        return Answer(self._views.full_pull(call.repository, self._pull(call)))

    @operation("pulls/list", "GET /repos/{owner}/{repo}/pulls", {200: "list[PullRequestSimple]"}, need=READ_PULLS)
    def pulls(self, call: Call) -> Answer:
        """Pull requests, the newest first unless the request says otherwise."""
        state = call.query.get("state", "open")
        if state not in {"open", "closed", "all"}:
            raise unprocessable("Validation Failed")
        found = [each for each in call.repository.pulls.values() if state in {"all", _state(each)}]
        if head := call.query.get("head"):
            found = [each for each in found if head == _label(call.repository, each)]
        if base := call.query.get("base"):
            found = [each for each in found if each.base_branch == base]
        by_update = call.query.get("sort") == "updated"
        is_ascending = call.query.get("direction", "desc") == "asc"
        found.sort(key=lambda each: (each.updated if by_update else each.created, each.id), reverse=not is_ascending)
        return paged(call, found, lambda each: self._views.pull(call.repository, each))

    @operation(
        "pulls/list-commits",
        "GET /repos/{owner}/{repo}/pulls/{pull_number}/commits",
        {200: "list[Commit]"},
        need=READ_PULLS,
    )
    def commits(self, call: Call) -> Answer:
        """The commits of a pull request, the oldest first, at most 250."""
        shas = self._pull(call).commits[:_MOST_COMMITS]
        return paged(call, shas, lambda sha: self._views.commit(call.repository, call.repository.commits[sha]))

    @operation(
        "repos/list-pull-requests-associated-with-commit",
        "GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls",
        {200: "list[PullRequestSimple]"},
        need=READ_PULLS,
    )
    def pulls_of_commit(self, call: Call) -> Answer:
        """The pull requests that a commit belongs to, merged and open ones: not those that were closed unmerged."""
        sha = call.path["commit_sha"]
        if sha not in call.repository.commits:
            raise unprocessable(f"No commit found for SHA: {sha}")
        listed = (pull for pull in call.repository.pulls.values() if pull.is_open or pull.merged)
        found = [pull for pull in listed if sha in {*pull.commits, pull.merge_sha}]
        return paged(call, found, lambda each: self._views.pull(call.repository, each))

    def _pull(self, call: Call) -> PullRequest:
        return self._store.pull(call.repository, call.number("pull_number"))


def _permissions(call: Call) -> dict[str, bool]:
    """What the caller may do: a user by their role, an installation by its permission for contents."""
    token = call.caller.token
    role = Role.READ if token is None else call.repository.role_of(token.user)
    if token is not None and token.installation is not None:
        role = Role.WRITE if (token.permissions or {}).get("contents") == "write" else Role.READ
    names = {"admin": Role.ADMIN, "maintain": Role.MAINTAIN, "push": Role.WRITE, "triage": Role.TRIAGE}
    return {**{name: role >= least for name, least in names.items()}, "pull": role >= Role.READ}


def _label(repository: Repository, pull: PullRequest) -> str:
    return f"{(pull.fork or repository).owner.login}:{pull.head_branch}"


def _state(pull: PullRequest) -> str:
    return "open" if pull.is_open else "closed"
