"""The interface to a forge, such as GitHub, and its small vocabulary. Every method waits for the forge."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState
from ephemeral_endpoints.features.reviews.errors import ForgeError


@dataclass(frozen=True, slots=True, order=True)
class PullRequestKey:
    """A pull request of a repository, such as acme/sentiment."""

    repository: str
    number: int


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as the forge shows it. ``head`` is the SHA of its newest commit."""

    key: PullRequestKey
    state: PullRequestState
    head: str
    is_fork: bool
    closed_at: datetime | None = None


class DeploymentState(StrEnum):
    """The state of a deployment, in GitHub's words."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"
    INACTIVE = "inactive"


class CheckState(StrEnum):
    """The state of a commit status, in GitHub's words."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The deployment that should be shown for a commit. ``description`` has at most 140 characters."""

    environment: str
    state: DeploymentState
    description: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """The commit status that should be shown for a commit. ``description`` has at most 140 characters.

    Where ``replaces`` is set, only a status in that state is replaced.
    """

    context: str
    state: CheckState
    description: str
    url: str | None = None
    replaces: CheckState | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """The object that something on a forge belongs to."""

    cluster: str
    namespace: str
    name: str
    uid: str

    @property
    def marker(self) -> str:
        """Identifies the object among all that publish, also if it is made anew under its name."""
        return f"{self.cluster}/{self.namespace}/{self.name}"


class Upsert(StrEnum):
    """What is done about a comment: a new one where there is none, an edit of one that exists, or either."""

    POST = "Post"
    EDIT = "Edit"
    EITHER = "Either"


@dataclass(frozen=True, slots=True)
class CommentText:
    """The comment that should be there, in Markdown, without the hidden marker that it is found by."""

    body: str
    upsert: Upsert


@dataclass(frozen=True, slots=True)
class Publication:
    """What should be on a pull request for an object; a part that is None stays as it is.

    An inactive deployment is never created. ``supersedes``: deployments of earlier revisions become inactive.
    """

    owner: Owner
    pull_request: PullRequestKey
    revision: str
    deployment: Deployment | None
    status: CommitStatus | None
    comment: CommentText | None
    supersedes: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """What is there, as far as it is remembered; all of it are hints, and what is missing is looked up.

    ``former_ids`` are deployments of earlier revisions that may still be active. ``comment_revision`` is the one that
    the comment was last written for; without ``comment_id``, a person has deleted it since, and none is posted before
    the next revision.
    """

    revision: str | None = None
    deployment_id: int | None = None
    former_ids: tuple[int, ...] = ()
    comment_id: int | None = None
    comment_revision: str | None = None
    digest: str | None = None
    """Of what is there, see ``digest.Digest``; what is equal needs no request."""

    def at(self, revision: str) -> "Published":
        """The same for another revision, which has no deployment yet."""
        if self.revision == revision:
            return self
        former = (*self.former_ids, *([self.deployment_id] if self.deployment_id is not None else []))
        return replace(self, revision=revision, deployment_id=None, former_ids=former[-MOST_FORMER:])


MOST_FORMER: Final = 10
"""Earlier deployments that are remembered; a sweep finds the others."""


@dataclass(frozen=True, slots=True)
class StagePublication:
    """The deployment that should be shown for a version of a stage, which is the ``owner``.

    An inactive one is never created.
    """

    owner: Owner
    repository: str
    revision: str
    version: str
    deployment: Deployment


@dataclass(frozen=True, slots=True)
class LeftDeployment:
    """A deployment of ours that is over, though maybe still active."""

    id: int
    owner: Owner
    pull_request: PullRequestKey
    revision: str
    is_active: bool = False


class Reaction(StrEnum):
    """How a comment is answered, in GitHub's words."""

    SEEN = "eyes"
    DONE = "+1"
    REFUSED = "-1"


COMMENTS: Final = 100
"""As many comments as a forge lists at once."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a pull request. Times are the forge's own; one that ``is_bot`` or ``is_edited`` is no command."""

    id: int
    pull_request: PullRequestKey
    author: str
    body: str
    created_at: datetime
    updated_at: datetime
    is_bot: bool

    @property
    def is_edited(self) -> bool:
        """Whether its text was changed after it was posted."""
        return self.updated_at != self.created_at


class Discussion(Protocol):
    """What commands need of a forge. Every method may raise a ``ForgeError``."""

    async def comments(self, repository: str, since: datetime) -> Sequence[Comment]:
        """At most ``COMMENTS`` comments on pull requests that were created or edited since, the latest change last."""
        ...

    async def may_write(self, repository: str, user: str) -> bool:
        """Whether the user may write to the repository."""
        ...

    async def reactions(self, comment: Comment) -> frozenset[Reaction]:
        """By which reactions these credentials have answered a comment."""
        ...

    async def react(self, comment: Comment, reaction: Reaction) -> None:
        """Answer a comment by a reaction; the same one twice is one."""
        ...

    async def reply(self, comment: Comment, body: str) -> None:
        """Answer a comment by another one, in Markdown."""
        ...


class PullRequestReader(Protocol):
    """A forge as far as it is asked how pull requests are."""

    async def states(
        self, pull_requests: Collection[PullRequestKey]
    ) -> Mapping[PullRequestKey, PullRequest | ForgeError]:
        """The pull requests as they are now; the error of one that is unknown, which is never the same as closed.

        Raises no ``ForgeError``.
        """
        ...

    async def contains(self, pull_request: PullRequestKey, revision: str) -> bool:
        """Whether the commit belongs to the pull request. Raises a ``ForgeError``."""
        ...


class PublishingForge(Protocol):
    """A forge as far as objects are published there. Every method may raise a ``ForgeError``."""

    async def contains(self, pull_request: PullRequestKey, revision: str) -> bool:
        """Whether the commit belongs to the pull request."""
        ...

    async def containing(self, repository: str, revision: str) -> frozenset[int]:
        """The numbers of the repository's pull requests to which the commit belongs."""
        ...

    async def publish(self, wanted: Publication, known: Published) -> Published:
        """Have the deployment and the commit status as wanted; writes what differs only."""
        ...

    async def deploy(self, wanted: StagePublication, hint: int | None) -> int | None:
        """Have the deployment of a stage as wanted; writes what differs only.

        Returns its number, None if there is none and need not be. ``hint`` is what is remembered of that.
        """
        ...

    async def comment(self, wanted: Publication, known: Published) -> Published:
        """Have the comment as wanted: one for each owner, found by its marker and its author, edited in place."""
        ...

    async def left(
        self, repository: str, environment: str, cluster: str, is_over: Callable[[LeftDeployment], bool]
    ) -> Sequence[LeftDeployment]:
        """The operator's deployments that are over, as far as a few requests tell.

        ``cluster`` is the operator's cluster id. ``is_over`` is asked before it is known whether one is active.
        """
        ...


class Forge(PullRequestReader, PublishingForge, Discussion, Protocol):
    """A forge with the credentials of one class. Its methods may raise a ``ForgeError``."""
