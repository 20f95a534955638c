"""GitHub as a forge: the client and what is done with it."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from ephemeral_endpoints.features.reviews.access import Access
from ephemeral_endpoints.features.reviews.forge import (
    Comment,
    LeftDeployment,
    Publication,
    Published,
    PullRequestKey,
    Reaction,
    StagePublication,
)
from ephemeral_endpoints.features.reviews.github import discussion
from ephemeral_endpoints.features.reviews.github.access import access
from ephemeral_endpoints.features.reviews.github.client import GitHubClient
from ephemeral_endpoints.features.reviews.github.comment import comment
from ephemeral_endpoints.features.reviews.github.publishing import deploy, left, publish
from ephemeral_endpoints.features.reviews.github.states import States, containing, contains, states


class GitHub:
    """GitHub with the credentials of one class. Every method waits for GitHub and may raise a ``ForgeError``."""

    def __init__(self, client: GitHubClient) -> None:
        self.client = client

    async def states(self, pull_requests: Collection[PullRequestKey]) -> States:
        """The pull requests as they are now, and errors in the place of those that are not known."""
        return await states(self.client, pull_requests)

    async def contains(self, pull_request: PullRequestKey, revision: str) -> bool:
        """Whether the commit belongs to the pull request."""
        return await contains(self.client, pull_request, revision)

    async def containing(self, repository: str, revision: str) -> frozenset[int]:
        """See ``Forge``."""
        return await containing(self.client, repository, revision)

    async def publish(self, wanted: Publication, known: Published) -> Published:
        """Have the deployment and the commit status as wanted; writes what differs only."""
        return await publish(self.client, wanted, known)

    async def deploy(self, wanted: StagePublication, hint: int | None) -> int | None:
        """See ``Forge``."""
        return await deploy(self.client, wanted, hint)

    async def comment(self, wanted: Publication, known: Published) -> Published:
        """Have the comment as wanted: one for each owner, found by its marker and its author, edited in place."""
        return await comment(self.client, wanted, known)

    async def left(
        self, repository: str, environment: str, cluster: str, is_over: Callable[[LeftDeployment], bool]
    ) -> Sequence[LeftDeployment]:
        """The operator's deployments that are over, as far as a few requests tell."""
        return await left(self.client, repository, environment, cluster, is_over)

    async def access(self, owners: Collection[str], repositories: Collection[str]) -> Access:
        """Who the credentials are, and what they lack for owners and repositories."""
        return await access(self.client, owners, repositories)

    async def comments(self, repository: str, since: datetime) -> Sequence[Comment]:
        """See ``Forge``."""
        return await discussion.comments(self.client, repository, since)

    async def may_write(self, repository: str, user: str) -> bool:
        """See ``Forge``."""
        return await discussion.may_write(self.client, repository, user)

    async def reactions(self, comment: Comment) -> frozenset[Reaction]:
        """See ``Forge``."""
        return await discussion.reactions(self.client, comment)

    async def react(self, comment: Comment, reaction: Reaction) -> None:
        """See ``Forge``."""
        await discussion.react(self.client, comment, reaction)

    async def reply(self, comment: Comment, body: str) -> None:
        """See ``Forge``."""
        await discussion.reply(self.client, comment, body)
