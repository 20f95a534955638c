"""Asks GitHub what credentials are good for, without writing anything."""

from collections.abc import Collection
from typing import Final

from ephemeral_endpoints.features.reviews.access import Access
from ephemeral_endpoints.features.reviews.errors import ForgeInvalid, ForgeNotFound, ForgePermissionMissing
from ephemeral_endpoints.features.reviews.github.app import AppAuthority
from ephemeral_endpoints.features.reviews.github.auth import TokenAuthority
from ephemeral_endpoints.features.reviews.github.client import GitHubClient
from ephemeral_endpoints.features.reviews.github.permissions import missing, missing_scopes

MOST_ASKED: Final = 5
"""Repositories: they differ rarely, and each costs requests."""

MOST_OWNERS: Final = 20

_SCOPES: Final = "x-oauth-scopes"
_PROBES: Final = {
    "Pull requests": "pulls?per_page=1",
    "Deployments": "deployments?per_page=1",
    "Commit statuses": "commits/HEAD/statuses?per_page=1",
}
"""What a fine-grained token may at least read, by the permission. Writing is not tried: GitHub names what a refused
write lacks."""


async def access(client: GitHubClient, owners: Collection[str], repositories: Collection[str]) -> Access:
    """Who the credentials are, and what they lack for these owners and repositories. Raises a ForgeError."""
    login = await client.login()
    authority = await client.authority()
    asked = sorted(repositories)[:MOST_ASKED]
    if isinstance(authority, AppAuthority):
        return await _of_app(client, authority, login, owners, asked)
    return await _of_token(client, authority, login, asked)


async def _of_app(
    client: GitHubClient, app: AppAuthority, login: str, owners: Collection[str], repositories: Collection[str]
) -> Access:
    lacking = [f"{each} (of the App)" for each in missing(await app.permissions())]
    for owner in sorted(owners)[:MOST_OWNERS]:
        lacks = missing((await app.installation(owner)).permissions)
        lacking += [f"{each} (in {owner})" for each in lacks if f"{each} (of the App)" not in lacking]
    hidden = tuple([each for each in repositories if not await _sees(client, each)])
    return Access(login, tuple(lacking), hidden)


async def _of_token(client: GitHubClient, token: TokenAuthority, login: str, repositories: Collection[str]) -> Access:
    scopes = (await token.user()).headers.get(_SCOPES)
    lacking: dict[str, None] = {}
    if scopes is not None:
        names = {each.strip() for each in scopes.split(",")}
        lacking |= dict.fromkeys(f"the scope {each}" for each in missing_scopes(names))
    hidden = []
    for repository in repositories:
        if not await _sees(client, repository):
            hidden.append(repository)
            continue
        lacking |= dict.fromkeys(await _lacks(client, repository, is_classic=scopes is not None))
    return Access(login, tuple(lacking), tuple(hidden))


async def _sees(client: GitHubClient, repository: str) -> bool:
    try:
        await client.get(f"/repos/{repository}")
    except ForgeNotFound:
        return False
    return True


async def _lacks(client: GitHubClient, repository: str, *, is_classic: bool) -> list[str]:
    """A token has no more rights than its user."""
    found = await client.get(f"/repos/{repository}")
    lacking = [] if found.get("permissions", {}).get("push") else [f"the user's permission to push to {repository}"]
    if is_classic:
        return lacking
    for name, path in _PROBES.items():
        try:
            await client.get(f"/repos/{repository}/{path}")
        except ForgePermissionMissing:
            lacking.append(f"{name}: write")
        except (ForgeNotFound, ForgeInvalid):
            continue  # an empty repository
    return lacking
