"""All representations: those of the other modules, and what is published on pull requests."""

from eep_platform.github.records import Comment, Deployment, DeploymentStatus, PullRequest, Reaction, Repository
from eep_platform.github.views.pulls import PullViews
from eep_platform.github.views.repositories import association
from eep_platform.github.views.users import Json, instant, rollup


class Views(PullViews):
    """The representations of everything."""

    def comment(self, repository: Repository, comment: Comment) -> Json:
        """IssueComment."""
        api = f"{self.api}/repos/{repository.full_name}/issues"
        url = f"{api}/comments/{comment.id}"
        return {
            "id": comment.id,
            "node_id": f"IC_{comment.id}",
            "url": url,
            "html_url": f"{self.page_of(repository, comment.number)}#issuecomment-{comment.id}",
            "issue_url": f"{api}/{comment.number}",
            "body": comment.body,
            "user": self.user(comment.author),
            "created_at": instant(comment.created),
            "updated_at": instant(comment.updated),
            "author_association": association(repository, comment.author),
            "performed_via_github_app": self.app(comment.app) if comment.app else None,
            "reactions": rollup(url, comment.reactions),
        }

    def reaction(self, reaction: Reaction) -> Json:
        """Reaction."""
        return {
            "id": reaction.id,
            "node_id": f"REA_{reaction.id}",
            "user": self.user(reaction.user),
            "content": reaction.content,
            "created_at": instant(reaction.created),
        }

    def deployment(self, repository: Repository, deployment: Deployment) -> Json:
        """Deployment."""
        api = f"{self.api}/repos/{repository.full_name}"
        url = f"{api}/deployments/{deployment.id}"
        return {
            "url": url,
            "id": deployment.id,
            "node_id": f"DE_{deployment.id}",
            "sha": deployment.sha,
            "ref": deployment.ref,
            "task": deployment.task,
            "payload": deployment.payload,
            "original_environment": deployment.original_environment,
            "environment": deployment.environment,
            "description": deployment.description,
            "creator": self.user(deployment.creator),
            "created_at": instant(deployment.created),
            "updated_at": instant(deployment.updated),
            "statuses_url": f"{url}/statuses",
            "repository_url": api,
            "transient_environment": deployment.is_transient,
            "production_environment": deployment.is_production,
            "performed_via_github_app": self.app(deployment.app) if deployment.app else None,
        }

    def deployment_status(self, repository: Repository, deployment: Deployment, status: DeploymentStatus) -> Json:
        """DeploymentStatus."""
        api = f"{self.api}/repos/{repository.full_name}"
        url = f"{api}/deployments/{deployment.id}"
        return {
            "url": f"{url}/statuses/{status.id}",
            "id": status.id,
            "node_id": f"DES_{status.id}",
            "state": status.state,
            "creator": self.user(status.creator),
            "description": status.description,
            "environment": status.environment,
            "target_url": status.log_url,
            "created_at": instant(status.created),
            "updated_at": instant(status.created),
            "deployment_url": url,
            "repository_url": api,
            "environment_url": status.environment_url,
            "log_url": status.log_url,
            "performed_via_github_app": self.app(status.app) if status.app else None,
        }

    def seen(self, repository: Repository, pull: PullRequest) -> Json:
        """A pull request and everything that is on it, the oldest first; GitHub has no such answer."""
        shas = {*pull.commits, pull.merge_sha}
        return {
            "pull": self.full_pull(repository, pull),
            "comments": [
                {
                    **self.comment(repository, each),
                    "all_reactions": [[one.user.login, one.content] for one in each.reactions],
                }
                for each in repository.comments_of(pull.number)
            ],
            "deployments": [
                {
                    **self.deployment(repository, each),
                    "statuses": [self.deployment_status(repository, each, one) for one in each.statuses],
                }
                for each in repository.deployments.values()
                if each.sha in shas
            ],
            "statuses": [
                {**self.status(repository, sha, each), "sha": sha}
                for sha in pull.commits
                for each in repository.statuses.get(sha, [])
            ],
        }
