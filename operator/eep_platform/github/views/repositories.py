"""Repositories, their commits, and the statuses of these."""

from collections.abc import Iterable
from typing import Final

from eep_platform.github.records import Commit, CommitStatus, Repository, Role, User
from eep_platform.github.views.users import Json, UserViews, instant

_REPOSITORY_URLS: Final = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_MISSING: Final = ("has_projects", "has_wiki", "has_pages", "has_discussions", "archived", "disabled")
_COUNTS: Final = ("forks", "forks_count", "stargazers_count", "watchers", "watchers_count", "size")


def role_name(role: Role) -> str:
    """A role by GitHub's name."""
    return role.name.lower()


def association(repository: Repository, user: User) -> str:
    """How a user stands to a repository. Pure."""
    if user is repository.owner:
        return "OWNER"
    return "COLLABORATOR" if repository.roles.get(user.login.lower(), Role.NONE) > Role.NONE else "NONE"


class RepositoryViews(UserViews):
    """The representations of repositories."""

    def repository(self, repository: Repository) -> Json:
        """Repository; all that MinimalRepository and FullRepository need is in it."""
        api = f"{self.api}/repos/{repository.full_name}"
        html = f"{self.url}/{repository.full_name}"
        open_ = sum(pull.is_open for pull in repository.pulls.values())
        times = dict.fromkeys(("created_at", "updated_at", "pushed_at"), instant(repository.created))
        features = dict.fromkeys(("has_issues", "has_pull_requests"), True)
        missing = dict.fromkeys(_MISSING, False)
        return {
            "id": repository.id,
            "node_id": f"R_{repository.id}",
            "name": repository.name,
            "full_name": repository.full_name,
            "owner": self.user(repository.owner),
            "private": repository.is_private,
            "visibility": "private" if repository.is_private else "public",
            "html_url": html,
            "description": None,
            "fork": repository.fork_of is not None,
            "url": api,
            **{name: f"{api}{path}" for name, path in _REPOSITORY_URLS.items()},
            "git_url": f"{html}.git",
            "ssh_url": f"{html}.git",
            "clone_url": f"{html}.git",
            "svn_url": html,
            "mirror_url": None,
            "homepage": None,
            "language": None,
            "license": None,
            "topics": [],
            "default_branch": repository.default_branch,
            **dict.fromkeys(_COUNTS, 0),
            **dict.fromkeys(("open_issues", "open_issues_count"), open_),
            **features,
            **missing,
            **times,
        }

    def full_repository(self, repository: Repository) -> Json:
        """FullRepository."""
        return {**self.repository(repository), "network_count": 0, "subscribers_count": 0}

    def repositories(self, found: Iterable[Repository]) -> list[Json]:
        """A list of Repository."""
        return [self.repository(each) for each in found]

    def commit(self, repository: Repository, commit: Commit) -> Json:
        """Commit."""
        api, html = f"{self.api}/repos/{repository.full_name}", f"{self.url}/{repository.full_name}"
        git = f"{api}/git/commits/{commit.sha}"
        author = {"name": commit.author.login, "email": "", "date": instant(commit.created)}
        parents = [commit.parent] if commit.parent else []
        return {
            "url": f"{api}/commits/{commit.sha}",
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "html_url": f"{html}/commit/{commit.sha}",
            "comments_url": f"{api}/commits/{commit.sha}/comments",
            "commit": {
                "url": git,
                "author": author,
                "committer": author,
                "message": commit.message,
                "comment_count": 0,
                "tree": {"sha": commit.sha, "url": f"{api}/git/trees/{commit.sha}"},
            },
            "author": self.user(commit.author),
            "committer": self.user(commit.author),
            "parents": [{"sha": each, "url": f"{api}/commits/{each}"} for each in parents],
        }

    def status(self, repository: Repository, sha: str, status: CommitStatus) -> Json:
        """Status; with its creator also SimpleCommitStatus."""
        return {
            "url": f"{self.api}/repos/{repository.full_name}/statuses/{sha}",
            "avatar_url": f"{self.url}/avatars/{status.creator.id}",
            "id": status.id,
            "node_id": f"SC_{status.id}",
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": instant(status.created),
            "updated_at": instant(status.created),
            "creator": self.user(status.creator),
        }
