"""What the credentials need, and which of it they lack."""

from collections.abc import Collection, Mapping
from typing import Final

READING: Final[Mapping[str, str]] = {"metadata": "read", "pull_requests": "read"}
"""Of a token that reads how pull requests of all of an owner's repositories are."""

WRITING: Final[Mapping[str, str]] = {
    "metadata": "read",
    "pull_requests": "write",
    "deployments": "write",
    "statuses": "write",
}
"""Of a token that publishes in one repository."""

NAMES: Final[Mapping[str, str]] = {
    "metadata": "Metadata",
    "pull_requests": "Pull requests",
    "deployments": "Deployments",
    "statuses": "Commit statuses",
}
"""As GitHub's pages show them."""

_RANKS: Final = {"read": 1, "write": 2, "admin": 3}

CLASSIC_SCOPES: Final = frozenset({"public_repo", "repo:status", "repo_deployment"})
"""Of a classic token, for public repositories; private ones need ``repo``, which contains them.

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
"""


def granted(wanted: Mapping[str, str], has: Mapping[str, str]) -> dict[str, str]:
    """As much of the permissions as there is of them: one that is missing does not keep the others from use."""
    common = {name: min(level, has.get(name, ""), key=_rank) for name, level in wanted.items()}
    return {name: level for name, level in common.items() if _rank(level)}


def missing(has: Mapping[str, str]) -> tuple[str, ...]:
    """The permissions that are needed and not there, as people read them: ``Deployments: write``."""
    return tuple(
        f"{NAMES[name]}: {level}" for name, level in WRITING.items() if _rank(has.get(name, "")) < _rank(level)
    )


def missing_scopes(scopes: Collection[str]) -> tuple[str, ...]:
    """The scopes that a classic token lacks even for public repositories."""
    return () if "repo" in scopes else tuple(sorted(CLASSIC_SCOPES - frozenset(scopes)))


def _rank(level: str) -> int:
    return _RANKS.get(level, 0)
