"""Pull requests."""

from eep_platform.github.records import PullRequest, Repository
from eep_platform.github.views.repositories import RepositoryViews, association
from eep_platform.github.views.users import Json, instant, rollup


class PullViews(RepositoryViews):
    """The representations of pull requests."""

    def page_of(self, repository: Repository, number: int) -> str:
        """The URL of a pull request's page."""
        return f"{self.url}/{repository.full_name}/pull/{number}"

    def pull(self, repository: Repository, pull: PullRequest) -> Json:
        """PullRequestSimple."""
        api = f"{self.api}/repos/{repository.full_name}"
        number, html = pull.number, self.page_of(repository, pull.number)
        urls = {
            "self": f"{api}/pulls/{number}",
            "html": html,
            "issue": f"{api}/issues/{number}",
            "comments": f"{api}/issues/{number}/comments",
            "review_comments": f"{api}/pulls/{number}/comments",
            "review_comment": f"{api}/pulls/comments{{/number}}",
            "commits": f"{api}/pulls/{number}/commits",
            "statuses": f"{api}/statuses/{pull.head}",
        }
        base = {"ref": pull.base_branch, "sha": pull.base_sha, "user": self.user(repository.owner)}
        head_in = pull.fork or repository
        return {
            "url": urls["self"],
            "id": pull.id,
            "node_id": f"PR_{pull.id}",
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            **{f"{name}_url": urls[name] for name in urls if name not in {"self", "html"}},
            "number": number,
            "state": "open" if pull.is_open else "closed",
            "locked": pull.is_locked,
            "title": pull.title,
            "user": self.user(pull.author),
            "body": pull.body,
            **{name: [] for name in ("labels", "assignees", "requested_reviewers", "requested_teams")},
            **dict.fromkeys(("active_lock_reason", "assignee")),
            "milestone": None,
            "created_at": instant(pull.created),
            "updated_at": instant(pull.updated),
            "closed_at": instant(pull.closed),
            "merged_at": instant(pull.merged),
            "merge_commit_sha": pull.merge_sha,
            "head": {
                "label": f"{head_in.owner.login}:{pull.head_branch}",
                "ref": pull.head_branch,
                "sha": pull.head,
                "user": self.user(head_in.owner),
                "repo": self.repository(head_in),
            },
            "base": {
                **base,
                "label": f"{repository.owner.login}:{pull.base_branch}",
                "repo": self.repository(repository),
            },
            "_links": {name: {"href": url} for name, url in urls.items()},
            "author_association": association(repository, pull.author),
            "auto_merge": None,
            "draft": False,
        }

    def full_pull(self, repository: Repository, pull: PullRequest) -> Json:
        """PullRequest."""
        unknown = ("review_comments", "additions", "deletions", "changed_files")
        return {
            **self.pull(repository, pull),
            **dict.fromkeys(unknown, 0),
            "merged": pull.merged is not None,
            "merged_by": self.user(pull.merged_by) if pull.merged_by else None,
            "mergeable": pull.is_open or None,
            "mergeable_state": "clean" if pull.is_open else "unknown",
            "comments": len(repository.comments_of(pull.number)),
            "maintainer_can_modify": False,
            "commits": len(pull.commits),
        }

    def issue(self, repository: Repository, pull: PullRequest) -> Json:
        """A pull request as the issue that it is too: Issue."""
        shown = self.full_pull(repository, pull)
        taken = ("id", "node_id", "number", "title", "user", "state", "locked", "body", "labels", "milestone")
        times = ("created_at", "updated_at", "closed_at", "author_association", "comments")
        more = ("assignees", "active_lock_reason")
        api = f"{self.api}/repos/{repository.full_name}"
        url = f"{api}/issues/{pull.number}"
        links = {name: shown[name] for name in ("url", "html_url", "diff_url", "patch_url", "merged_at")}
        return {
            **{name: shown[name] for name in (*taken, *times, *more)},
            "url": url,
            "repository_url": api,
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "html_url": shown["html_url"],
            "assignee": None,
            "reactions": rollup(url, []),
            "pull_request": links,
        }
