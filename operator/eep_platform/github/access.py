"""What credentials may do in a repository. Pure.

Sources: https://docs.github.com/rest/authentication/permissions-required-for-github-apps for the names of permissions,
https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps for scopes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eep_platform.github.errors import GitHubError, forbidden, not_accessible, not_found
from eep_platform.github.records import App, Repository, Role, Token, User
from eep_platform.github.store import covers

_LEVELS: Final = {"read": 1, "write": 2, "admin": 3}
_NEEDS_PUSH: Final = frozenset({"contents", "deployments", "statuses"})
_ALL: Final = ("contents", "deployments", "issues", "pull_requests", "statuses")
_SCOPES: Final[Mapping[str, frozenset[str]]] = {
    "repo": frozenset(_ALL),
    "public_repo": frozenset(_ALL),
    "repo:status": frozenset({"statuses"}),
    "repo_deployment": frozenset({"deployments"}),
}


@dataclass(frozen=True, slots=True)
class Need:
    """The permission that an operation needs. ``accepted`` is what GitHub names where it is lacking."""

    permission: str
    level: str
    accepted: str = ""

    def __str__(self) -> str:
        return self.accepted or f"{self.permission}={self.level}"


METADATA: Final = Need("metadata", "read")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request: with a token, as an App, or nobody known."""

    token: Token | None = None
    app: App | None = None

    @property
    def user(self) -> User | None:
        """The user or bot."""
        return self.token.user if self.token else None

    @property
    def via(self) -> App | None:
        """The App through whose installation the request is made."""
        return self.token.installation.app if self.token and self.token.installation else None

    @property
    def bucket(self) -> str:
        """Whose limits count."""
        if self.token and self.token.installation:
            return f"installation ID {self.token.installation.id}"
        if self.token:
            return f"user ID {self.token.user.id}"
        return f"app ID {self.app.id}" if self.app else "127.0.0.1"


def check(caller: Caller, repository: Repository, need: Need) -> None:
    """Raise GitHub's error if the caller may not do in the repository what needs this permission."""
    if not _sees(caller, repository):
        raise not_found()
    token = caller.token
    if token is None:
        if need.level != "read":
            raise not_found()
        return
    if not _granted(token, repository, need):
        raise _lacking(token, need)
    if token.installation is None and need.level == "write" and repository.role_of(token.user) < _role(need):
        raise forbidden("Must have push access to repository")


def _sees(caller: Caller, repository: Repository) -> bool:
    if not repository.is_private:
        return True
    token = caller.token
    if token is None or (token.repositories is not None and repository.id not in token.repositories):
        return False
    if token.installation is not None:
        return covers(token.installation, repository)
    is_in_scope = token.scopes is None or bool(token.scopes & {"repo", "repo:status", "repo_deployment"})
    return is_in_scope and repository.role_of(token.user) >= Role.READ


def _granted(token: Token, repository: Repository, need: Need) -> bool:
    """Whether the token itself allows it."""
    if need == METADATA:
        return True
    if token.scopes is not None:
        usable = token.scopes - {"public_repo"} if repository.is_private else token.scopes
        is_public = need.level == "read" and not repository.is_private
        return is_public or any(need.permission in _SCOPES.get(scope, ()) for scope in usable)
    is_reachable = token.repositories is None or repository.id in token.repositories
    if token.installation is not None:
        is_reachable = is_reachable and covers(token.installation, repository)
    if not is_reachable:
        return need.level == "read" and not repository.is_private
    held = _LEVELS.get((token.permissions or {}).get(need.permission, ""), 0)
    return held >= _LEVELS[need.level]


def _lacking(token: Token, need: Need) -> GitHubError:
    if token.scopes is not None:
        return not_found()
    return not_accessible("integration" if token.installation else "personal access token", str(need))


def _role(need: Need) -> Role:
    return Role.WRITE if need.permission in _NEEDS_PUSH else Role.READ
