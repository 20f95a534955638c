"""Pull requests: where a class publishes, and what is known of an object's pull request."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel
from ephemeral_endpoints.api.v1alpha1.review_commands import ReviewCommand, ReviewCommands
from ephemeral_endpoints.api.v1alpha1.types import DnsSubdomain, Duration, between

GITHUB: Final = "https://github.com"

# Credentials are sent there, so nobody on the way may read or answer them.
ForgeUrl = Annotated[
    str,
    Field(max_length=256),
    matches(
        "https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?|http://(localhost|127[.]0[.]0[.]1)(:[0-9]{1,5})?",
        "must be https:// and the name of the forge's host in lower case, with a port if it needs one, and nothing "
        "behind it, such as https://github.com; http:// reaches this machine only",
    ),
    Rule(
        cel="!self.matches('^https://api[.](github[.]com|[a-z0-9.-]+[.]ghe[.]com)$')",
        message="must be the URL of the forge's pages, not of its API: https://github.com or https://<name>.ghe.com",
        holds=lambda url: (
            not (url == "https://api.github.com" or (url.startswith("https://api.") and url.endswith(".ghe.com")))
        ),
    ),
]

RepositoryGlob = Annotated[
    str,
    Field(max_length=256),
    matches(
        "[A-Za-z0-9._~*?-]+(/[A-Za-z0-9._~*?-]+)+",
        "must be the path of a repository in which * matches any characters and ? one, such as acme/*",
    ),
]

NamespaceGlob = Annotated[
    str,
    Field(max_length=63),
    matches(
        "[a-z0-9*?]([a-z0-9*?-]*[a-z0-9*?])?",
        "must be the name of a namespace in which * matches any characters and ? one, such as nlp-*",
    ),
]

# It becomes part of URLs and pages, and stays on the forge for ever.
EnvironmentName = Annotated[
    str,
    Field(max_length=63),
    matches(
        "[A-Za-z0-9]([A-Za-z0-9._ /-]*[A-Za-z0-9])?",
        "must be the name of an environment: letters, digits and '.', '_', ' ', '/' and '-' between them",
    ),
]

StatusContext = Annotated[
    str,
    Field(max_length=100),
    matches(
        "[A-Za-z0-9]([A-Za-z0-9._ /-]*[A-Za-z0-9])?",
        "must be the name of a commit status: letters, digits and '.', '_', ' ', '/' and '-' between them",
    ),
]


class CommentPolicy(StrEnum):
    """When a pull request gets a comment."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


class RepositoryGrant(ApiModel):
    """Which objects may speak for repositories."""

    repository: RepositoryGlob
    """Path of the repositories, as a pattern in which * stands for any characters and ? for one, in upper or lower
    case: acme/sentiment or acme/*."""

    namespaces: Annotated[tuple[NamespaceGlob, ...], Field(min_length=1, max_length=20)]
    """Namespaces whose objects may speak for them, as patterns, 1 to 20: [nlp, "vision-*"]."""


class ReviewPolicy(ApiModel):
    """Where the class's objects are published, by which credentials, and for which repositories."""

    url: ForgeUrl = GITHUB
    """URL of GitHub, GitHub Enterprise Server or GHE.com, as people open it, without a path. Default
    https://github.com."""

    secret_name: DnsSubdomain
    """Name of a Secret in the operator's namespace with the credentials: the key token, or the keys appId and
    privateKey of a GitHub App, and installationId where the App is installed once and shall not be looked up. With the
    key webhookSecret, webhooks are taken. Objects never see it."""

    repositories: Annotated[tuple[RepositoryGrant, ...], Field(min_length=1, max_length=100)]
    """Repositories whose pull requests are published, watched and commanded, and by whose objects, 1 to 100. An object
    that no entry admits is served, but nothing is published for it."""

    comment: CommentPolicy = CommentPolicy.ALWAYS
    """When a pull request gets a comment, one for each object, which is edited in place: Always, OnFailure or Never.
    Default Always."""

    environment: EnvironmentName = "preview"
    """Name of the forge's environment that all deployments of the class belong to. One for all pull requests:
    environments stay when their pull requests are gone, and only an administrator can delete them. Default preview."""

    context: StatusContext = "ephemeral-endpoints"
    """Name of the commit status, the same for all pull requests, so that it can be required for merging. Default
    ephemeral-endpoints."""

    commands: ReviewCommands = tuple(ReviewCommand)
    """What people who may write to the repository can have done by a comment on the pull request. Empty: comments are
    not read. Default ['Extend', 'Rebuild', 'Sleep', 'Wake', 'Delete']."""

    close_grace: Annotated[Duration, between(timedelta(0), timedelta(days=7), "must be at most 7d")] = timedelta(
        minutes=10
    )
    """How long an object stays after its pull request was closed or merged, for the case that it is reopened, at most
    7d. Default 10m."""


class PullRequestState(StrEnum):
    """The state of a pull request."""

    OPEN = "Open"
    CLOSED = "Closed"
    MERGED = "Merged"


class ReviewStatus(ApiModel):
    """What is known of the object's pull request, and what was published there."""

    model_config = TOLERANT

    state: PullRequestState | None = None
    """State of the pull request, as last seen."""

    head: str | None = None
    """The head commit of the pull request, as last seen."""

    revision: str | None = None
    """The Git commit that was last published."""

    deployment_id: int | None = None
    """Number of the commit's deployment on the forge."""

    former_deployment_ids: tuple[int, ...] | None = None
    """Numbers of deployments of earlier commits that may still be active, at most 10."""

    comment_id: int | None = None
    """Number of the comment on the forge."""

    comment_revision: str | None = None
    """The Git commit that the comment was last written for. Without commentId, somebody deleted it since, and there is
    none before the next commit."""

    published: str | None = None
    """Digests of the deployment, the commit status and the comment that were last published, separated by dots."""
