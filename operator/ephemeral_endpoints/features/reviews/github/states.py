"""The state of many pull requests on GitHub at the price of few requests, and what belongs to one."""

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.endpoint import WHOLE_REVISION
from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState
from ephemeral_endpoints.features.reviews.errors import ForgeError, ForgeInvalid, ForgeNotFound, ForgeUnavailable
from ephemeral_endpoints.features.reviews.forge import PullRequest, PullRequestKey
from ephemeral_endpoints.features.reviews.github.client import GitHubClient, GraphqlAnswer, Json

MOST_ASKED: Final = 100
"""Pull requests in a query. It names no connection, so that it costs one point, whatever their number:
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api"""

_FIELDS: Final = "fragment fields on PullRequest {number state headRefOid isCrossRepository closedAt}"
_STATES: Final = {
    "OPEN": PullRequestState.OPEN,
    "CLOSED": PullRequestState.CLOSED,
    "MERGED": PullRequestState.MERGED,
}

States = Mapping[PullRequestKey, PullRequest | ForgeError]


async def states(client: GitHubClient, pull_requests: Collection[PullRequestKey]) -> States:
    """The pull requests as they are now; one that is not known has the reason in its place. Raises no ``ForgeError``.

    After a request that GitHub did not answer, it is not asked for the others.
    """
    found: dict[PullRequestKey, PullRequest | ForgeError] = {}
    silent: ForgeUnavailable | None = None
    for asked in _batches(pull_requests):
        try:
            found |= dict.fromkeys(asked, silent) if silent else await _ask(client, asked)
        except ForgeError as error:
            silent = error if isinstance(error, ForgeUnavailable) else None
            found |= dict.fromkeys(asked, error)
    return {key: found.get(key) or _no_repository(key) for key in pull_requests}


async def containing(client: GitHubClient, repository: str, revision: str) -> frozenset[int]:
    """The numbers of the repository's pull requests to which the commit belongs. Raises a ``ForgeError``.

    An abbreviated SHA belongs to none: a branch may have such a name.
    """
    if not (re.fullmatch(WHOLE_REVISION, revision) and repository.count("/") == 1):
        return frozenset()
    found = set[int]()
    try:
        async for each in client.pages(f"/repos/{repository}/commits/{revision}/pulls"):
            # The pull requests of other repositories, such as the one that this is a fork of, are listed too.
            base, number = _member(_member(_member(each, "base"), "repo"), "full_name"), _member(each, "number")
            if isinstance(number, int) and str(base).lower() == repository.lower():
                found.add(number)
    except ForgeInvalid:  # 422: the repository has no such commit
        return frozenset()
    return frozenset(found)


async def contains(client: GitHubClient, pull_request: PullRequestKey, revision: str) -> bool:
    """Whether the commit belongs to the pull request. Raises a ``ForgeError``."""
    repository, number = pull_request.repository, pull_request.number
    if number in await containing(client, repository, revision):
        return True
    return _is_named(pull_request) and await _is_head(client, pull_request, revision)


async def _is_head(client: GitHubClient, pull_request: PullRequestKey, revision: str) -> bool:
    """Whether the commit is the last one of the pull request: GitHub lists none that were closed unmerged.

    https://docs.github.com/en/rest/commits/commits#list-pull-requests-associated-with-a-commit
    """
    try:
        found = await client.get(f"/repos/{pull_request.repository}/pulls/{pull_request.number}")
    except ForgeNotFound:
        return False
    return bool(_member(_member(found, "head"), "sha") == revision)


def _batches(pull_requests: Collection[PullRequestKey]) -> Iterator[Sequence[PullRequestKey]]:
    """What is asked for together: an App has other credentials for each owner."""
    named = sorted(sorted(filter(_is_named, pull_requests)), key=_account)
    for _, owned in itertools.groupby(named, key=_account):
        keys = list(owned)
        for begin in range(0, len(keys), MOST_ASKED):
            yield keys[begin : begin + MOST_ASKED]


async def _ask(client: GitHubClient, keys: Sequence[PullRequestKey]) -> States:
    """All of them are of one owner. Names, which objects choose, reach GitHub as variables only."""
    repositories = {name: f"r{index}" for index, name in enumerate(sorted({each.repository for each in keys}))}
    variables: dict[str, Json] = {"owner": _owner(keys[0])}
    types, parts = ["$owner: String!"], []
    for repository, alias in repositories.items():
        variables[alias] = repository.partition("/")[2]
        types.append(f"${alias}: String!")
        numbers = [each.number for each in keys if each.repository == repository]
        fields = " ".join(f"p{number}: pullRequest(number: {number:d}) {{...fields}}" for number in numbers)
        parts.append(f"{alias}: repository(owner: $owner, name: ${alias}) {{nameWithOwner {fields}}}")
    query = f"query({', '.join(types)}) {{{' '.join(parts)}}} {_FIELDS}"
    answer = await client.graphql(query, variables, owner=_owner(keys[0]))
    return {each: _read(each, repositories[each.repository], answer) for each in keys}


def _read(key: PullRequestKey, alias: str, answer: GraphqlAnswer) -> PullRequest | ForgeError:
    words = _first((f"{alias}.p{key.number}", alias), answer.unknown)
    repository = _member(answer.data, alias)
    found = _member(repository, f"p{key.number}")
    if words or not found:
        why = words or "GitHub shows no such pull request to these credentials"
        return ForgeNotFound(f"pull request {key.number} of {key.repository}: {why}")
    name = str(_member(repository, "nameWithOwner"))
    if not _is(name, key):
        message = f"the repository {key.repository} was renamed to {name}: correct spec.source.repository"
        return ForgeNotFound(message)
    try:
        return _pull_request(key, found)
    except (KeyError, TypeError, ValueError):
        return ForgeUnavailable(f"pull request {key.number} of {key.repository}: GitHub's answer cannot be read")


def _pull_request(key: PullRequestKey, found: Mapping[str, Any]) -> PullRequest:
    if found["number"] != key.number or not re.fullmatch(WHOLE_REVISION, found["headRefOid"]):
        raise ValueError("another pull request, or no head")
    closed_at = datetime.fromisoformat(found["closedAt"]).astimezone(UTC) if found["closedAt"] else None
    is_fork = bool(found["isCrossRepository"])
    return PullRequest(key, _STATES[found["state"]], found["headRefOid"], is_fork, closed_at)


def _first(names: Iterable[str], found: Mapping[str, str]) -> str | None:
    return next((found[name] for name in names if name in found), None)


def _member(found: Json, name: str) -> Json:
    return found.get(name) if isinstance(found, Mapping) else None


def _is_named(key: PullRequestKey) -> bool:
    """Whether it can be in a repository of GitHub, which knows no groups."""
    return key.repository.count("/") == 1


def _owner(key: PullRequestKey) -> str:
    return key.repository.partition("/")[0]


def _account(key: PullRequestKey) -> str:
    """The owner as GitHub tells it from others."""
    return _owner(key).lower()


def _is(name: str, key: PullRequestKey) -> bool:
    return name.lower() == key.repository.lower()


def _no_repository(key: PullRequestKey) -> ForgeError:
    return ForgeInvalid(f"{key.repository} is no repository of GitHub: spec.source.repository must be owner/name")
