"""What GitHub keeps: users, repositories, pull requests, and what is published on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal

Permissions = Mapping[str, str]
"""Access levels (read or write) by the names of GitHub's permissions, such as ``pull_requests``."""


UserType = Literal["User", "Organization", "Bot"]


class Role(IntEnum):
    """What a user may do in a repository; a higher role includes the lower ones."""

    NONE = 0
    READ = 1
    TRIAGE = 2
    WRITE = 3
    MAINTAIN = 4
    ADMIN = 5


@dataclass(slots=True, eq=False)
class User:
    """A person, an organization, or the bot of an App."""

    id: int
    login: str
    created: datetime
    type: UserType = "User"


@dataclass(slots=True, eq=False)
class App:
    """A GitHub App. Its requests are signed with the private half of ``public_key`` (PEM)."""

    id: int
    slug: str
    client_id: str
    owner: User
    bot: User
    public_key: bytes
    permissions: Permissions
    created: datetime


@dataclass(slots=True, eq=False)
class Installation:
    """An App in an account. ``repositories`` are ids; None: all of the account."""

    id: int
    app: App
    account: User
    repositories: frozenset[int] | None
    permissions: Permissions
    created: datetime


@dataclass(slots=True, eq=False)
class Token:
    """A credential of a user or of an installation.

    A classic token has ``scopes``; a fine-grained one and one of an installation have ``permissions`` and may be
    restricted to ``repositories`` (ids).
    """

    value: str
    user: User
    scopes: frozenset[str] | None = None
    permissions: Permissions | None = None
    repositories: frozenset[int] | None = None
    installation: Installation | None = None
    expires: datetime | None = None


@dataclass(slots=True, eq=False)
class Reaction:
    """A reaction to a comment."""

    id: int
    user: User
    content: str
    created: datetime


@dataclass(slots=True, eq=False)
class Comment:
    """A comment on a pull request."""

    id: int
    number: int
    author: User
    body: str
    created: datetime
    updated: datetime
    app: App | None = None
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class DeploymentStatus:
    """A status of a deployment."""

    id: int
    state: str
    creator: User
    created: datetime
    environment: str
    description: str = ""
    environment_url: str = ""
    log_url: str = ""
    app: App | None = None


@dataclass(slots=True, eq=False)
class Deployment:
    """A deployment of a commit to an environment."""

    id: int
    sha: str
    ref: str
    task: str
    payload: Any
    environment: str
    original_environment: str
    description: str | None
    creator: User
    created: datetime
    updated: datetime
    is_transient: bool
    is_production: bool
    app: App | None = None
    statuses: list[DeploymentStatus] = field(default_factory=list)

    @property
    def state(self) -> str | None:
        """The state of the newest status."""
        return self.statuses[-1].state if self.statuses else None


@dataclass(slots=True, eq=False)
class CommitStatus:
    """A status of a commit in a context; the newest of a context counts."""

    id: int
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: User
    created: datetime


@dataclass(slots=True, eq=False)
class Commit:
    """A commit. Its content is not kept."""

    sha: str
    message: str
    author: User
    created: datetime
    parent: str | None = None


@dataclass(slots=True, eq=False)
class PullRequest:
    """A pull request. ``commits`` are SHAs, the newest last. ``fork`` is the head's repository if it is another one."""

    id: int
    number: int
    title: str
    body: str | None
    author: User
    head_branch: str
    base_branch: str
    base_sha: str
    commits: list[str]
    created: datetime
    updated: datetime
    fork: "Repository | None" = None
    closed: datetime | None = None
    merged: datetime | None = None
    merged_by: User | None = None
    merge_sha: str | None = None
    is_locked: bool = False
    """Whether only people who may write to the repository may comment."""

    @property
    def head(self) -> str:
        """The SHA of the newest commit."""
        return self.commits[-1]

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor merged."""
        return self.closed is None


@dataclass(slots=True, eq=False)
class Repository:
    """A repository, with all that belongs to it."""

    id: int
    owner: User
    name: str
    is_private: bool
    created: datetime
    default_branch: str = "main"
    fork_of: "Repository | None" = None
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    deployments: dict[int, Deployment] = field(default_factory=dict)
    statuses: dict[str, list[CommitStatus]] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """``OWNER/NAME``."""
        return f"{self.owner.login}/{self.name}"

    def role_of(self, user: User) -> Role:
        """What a user may do here: everybody may read a public repository."""
        if user is self.owner:
            return Role.ADMIN
        return max(self.roles.get(user.login.lower(), Role.NONE), Role.NONE if self.is_private else Role.READ)

    def resolve(self, ref: str) -> str | None:
        """The SHA that a branch, ``HEAD``, or a whole SHA means here; None if there is no such commit."""
        sha = self.branches.get(self.default_branch if ref == "HEAD" else ref.removeprefix("heads/"), ref)
        return sha if sha in self.commits else None

    def latest_statuses(self, sha: str) -> list[CommitStatus]:
        """The newest status of each context of a commit."""
        return list({status.context: status for status in self.statuses.get(sha, [])}.values())

    def comments_of(self, number: int) -> list[Comment]:
        """The comments of a pull request, the oldest first."""
        return [comment for comment in self.comments.values() if comment.number == number]
