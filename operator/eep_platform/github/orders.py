"""What the control API is asked to do, as its bodies."""

from typing import Annotated, Final, Literal

from pydantic import Field, PositiveInt, StringConstraints

from eep_platform.emulation.settings import FrozenModel

FullName = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$")]
Sha = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}$")]
RoleName = Literal["none", "read", "triage", "write", "maintain", "admin"]

REVIEWS: Final = {"metadata": "read", "pull_requests": "write", "deployments": "write", "statuses": "write"}
"""The permissions that publishing on pull requests needs."""


class NewRepository(FrozenModel):
    """A repository to make."""

    name: FullName
    private: bool = True


class NewToken(FrozenModel):
    """A token to make for a user: classic with ``scopes``, or fine-grained with ``permissions``.

    ``repositories`` restrict a fine-grained one. Without a ``value``, one is made up.
    """

    login: str
    scopes: frozenset[str] | None = None
    permissions: dict[str, str] | None = None
    repositories: tuple[FullName, ...] | None = None
    value: str | None = None


class NewApp(FrozenModel):
    """An App to make, and to install in the account of the ``repositories``."""

    slug: str
    permissions: dict[str, str] = Field(default_factory=lambda: dict(REVIEWS))
    repositories: Annotated[tuple[FullName, ...], Field(min_length=1)]
    all_repositories: bool = False


class NewPull(FrozenModel):
    """A pull request to open; see ``people.Opening``."""

    sha: Sha
    number: PositiveInt | None = None
    branch: str | None = None
    title: str | None = None
    body: str | None = None
    author: str = "ada"
    fork: FullName | None = None


class Push(FrozenModel):
    """A commit to add to a pull request."""

    sha: Sha
    message: str = "Another commit"


class Act(FrozenModel):
    """Who closes, merges, reopens, locks or unlocks a pull request."""

    login: str = "ada"


class NewComment(FrozenModel):
    """A comment of a user."""

    login: str
    body: str


class Rename(FrozenModel):
    """Another name for a repository."""

    name: FullName


class Grant(FrozenModel):
    """The role of a collaborator."""

    role: RoleName
