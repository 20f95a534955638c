"""Comments on pull requests of GitHub, who may command by them, and how they are answered."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.reviews.errors import ForgeNotFound, ForgeUnavailable
from ephemeral_endpoints.features.reviews.forge import COMMENTS, Comment, PullRequestKey, Reaction
from ephemeral_endpoints.features.reviews.github.client import GitHubClient, Json

# https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user
# "maintain" counts as write there, "triage" as read.
_MAY_WRITE: Final = frozenset({"admin", "write"})
_OF_PULL_REQUEST: Final = re.compile(r"/pull/([0-9]{1,10})#[a-z0-9-]+")


async def comments(client: GitHubClient, repository: str, since: datetime) -> Sequence[Comment]:
    """See ``Forge.comments``. One request, and nothing of the limit while nothing changes. Raises ForgeError."""
    path = f"{_at(repository)}/issues/comments?since={timestamp(since)}&sort=updated&direction=asc&per_page={COMMENTS}"
    try:
        found = [_comment(repository, raw) for raw in await client.get(path)]
    except (KeyError, TypeError, ValueError) as error:
        raise ForgeUnavailable(f"GitHub's list of comments cannot be read: {type(error).__name__}") from error
    return [each for each in found if each]


async def may_write(client: GitHubClient, repository: str, user: str) -> bool:
    """See ``Forge.may_write``: by the permission itself; ``author_association`` is none. Raises ForgeError."""
    try:
        found = await client.get(f"{_at(repository)}/collaborators/{quote(user, safe='')}/permission")
    except ForgeNotFound:
        return False
    return isinstance(found, Mapping) and found.get("permission") in _MAY_WRITE


async def reactions(client: GitHubClient, comment: Comment) -> frozenset[Reaction]:
    """See ``Forge.reactions``. Raises ForgeError."""
    own, known = await client.login(), {str(each) for each in Reaction}
    found = await client.get(f"{_of(comment)}/reactions?per_page=100")
    if not isinstance(found, list):
        raise ForgeUnavailable("GitHub's list of reactions cannot be read")
    ours = (each.get("content") for each in found if (each.get("user") or {}).get("login") == own)
    return frozenset(Reaction(each) for each in ours if each in known)


async def react(client: GitHubClient, comment: Comment, reaction: Reaction) -> None:
    """See ``Forge.react``: GitHub answers the second time as if it had been made. Raises ForgeError."""
    await client.write("POST", f"{_of(comment)}/reactions", {"content": str(reaction)})


async def reply(client: GitHubClient, comment: Comment, body: str) -> None:
    """See ``Forge.reply``. Raises ForgeError."""
    key = comment.pull_request
    await client.write("POST", f"{_at(key.repository)}/issues/{key.number}/comments", {"body": body})


def _comment(repository: str, raw: Mapping[str, Json]) -> Comment | None:
    """The comment; None if it is on an issue. Raises KeyError, TypeError and ValueError for what is none."""
    found = _OF_PULL_REQUEST.search(raw["html_url"])
    if not found:
        return None
    user: Mapping[str, Any] = raw["user"] or {}  # null: the account is deleted
    return Comment(
        id=int(raw["id"]),
        pull_request=PullRequestKey(repository, int(found[1])),
        author=str(user.get("login", "")),
        body=str(raw.get("body") or ""),
        created_at=datetime.fromisoformat(raw["created_at"]).astimezone(UTC),
        updated_at=datetime.fromisoformat(raw["updated_at"]).astimezone(UTC),
        is_bot=user.get("type") != "User",
    )


def _at(repository: str) -> str:
    return f"/repos/{quote(repository)}"


def _of(comment: Comment) -> str:
    return f"{_at(comment.pull_request.repository)}/issues/comments/{comment.id}"
