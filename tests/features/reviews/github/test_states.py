"""The states of pull requests at the embedded GitHub, which judges every query by GitHub's own schema."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient as EmbeddedGitHub
from eep_platform.github.client import sha_of
from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState
from ephemeral_endpoints.features.reviews.errors import (
    ForgeDenied,
    ForgeError,
    ForgeInvalid,
    ForgeLimited,
    ForgeNotFound,
    ForgeUnavailable,
)
from ephemeral_endpoints.features.reviews.forge import PullRequest, PullRequestKey
from ephemeral_endpoints.features.reviews.github.answers import GraphqlAnswer
from ephemeral_endpoints.features.reviews.github.client import GitHubClient
from ephemeral_endpoints.features.reviews.github.states import contains, states

OPEN, CLOSED, MERGED = PullRequestState


class Held:
    """The Secret of a class."""

    where = "the Secret eep/github"

    def __init__(self, **data: str) -> None:
        self.values = {name: value.encode() for name, value in data.items()}

    async def data(self) -> Mapping[str, bytes]:
        return self.values

    def forget(self) -> None:
        """There is nothing else to be read."""


async def no_pause(_: float) -> None:
    """Time stands still."""


def key(number: int, repository: str = REPOSITORY) -> PullRequestKey:
    return PullRequestKey(repository, number)


@pytest.fixture
async def client(github: EmbeddedGitHub) -> AsyncIterator[GitHubClient]:
    async with aiohttp.ClientSession() as session:
        secret = Held(token=github.add_token("ada"))
        yield GitHubClient(
            session, github.url, secret, now=lambda: datetime.now(UTC), clock=lambda: 0.0, sleep=no_pause
        )


async def test_each_state_is_told_with_head_fork_and_time(github: EmbeddedGitHub, client: GitHubClient) -> None:
    github.open_many(REPOSITORY, [1, 2, 3])
    github.open(REPOSITORY, sha_of("fork"), number=4, fork="stranger/wine")
    github.close(REPOSITORY, 2)
    github.merge(REPOSITORY, 3)
    github.push(REPOSITORY, 1, sha_of("another"))
    found = await states(client, [key(number) for number in range(1, 5)])
    assert {each.number: (one.state, one.is_fork) for each, one in pulls(found).items()} == {
        1: (OPEN, False),
        2: (CLOSED, False),
        3: (MERGED, False),
        4: (OPEN, True),
    }
    assert pulls(found)[key(1)].head == sha_of("another")
    closed_at = pulls(found)[key(2)].closed_at
    assert closed_at
    assert closed_at.tzinfo
    assert pulls(found)[key(1)].closed_at is None
    github.reopen(REPOSITORY, 2)
    assert pulls(await states(client, [key(2)]))[key(2)].state is OPEN


def pulls(found: Mapping[PullRequestKey, PullRequest | ForgeError]) -> dict[PullRequestKey, PullRequest]:
    assert not [each for each in found.values() if isinstance(each, ForgeError)]
    return {key: each for key, each in found.items() if isinstance(each, PullRequest)}


def reasons(found: Mapping[PullRequestKey, PullRequest | ForgeError]) -> dict[int, str]:
    return {key.number: type(each).__name__ for key, each in found.items()}


@pytest.mark.parametrize(("count", "queries"), [(1, 1), (100, 1), (101, 2), (250, 3)])
async def test_a_hundred_pull_requests_are_one_query(
    github: EmbeddedGitHub, client: GitHubClient, count: int, queries: int
) -> None:
    github.open_many(REPOSITORY, range(1, count + 1))
    github.forget_calls()
    assert len(pulls(await states(client, [key(number) for number in range(1, count + 1)]))) == count
    assert github.calls() == {"graphql": queries}


async def test_several_repositories_of_an_owner_are_one_query(github: EmbeddedGitHub, client: GitHubClient) -> None:
    for name in ("acme/beer", "acme-labs/wine"):
        github.add_repository(name)
        github.add_collaborator(name, "ada", "write")
        github.open_many(name, [7])
    github.open_many(REPOSITORY, [7])
    github.forget_calls()
    asked = [key(7), key(7, "acme/beer"), key(7, "acme-labs/wine")]
    assert pulls(await states(client, asked)).keys() == set(asked)
    assert github.calls() == {"graphql": 2}, "an App has other credentials for each owner"


async def test_one_that_does_not_exist_is_unknown_and_the_others_are_known(
    github: EmbeddedGitHub, client: GitHubClient
) -> None:
    github.open_many(REPOSITORY, [1])
    asked = [key(1), key(2), key(1, "acme/nothing")]
    found = await states(client, asked)
    assert isinstance(found[asked[0]], PullRequest)
    for each in asked[1:]:
        error = found[each]
        assert isinstance(error, ForgeNotFound)
        assert each.repository in str(error)
        assert "Could not resolve" in str(error), "GitHub's own words"


async def test_of_a_repository_that_was_renamed_nothing_is_concluded(
    github: EmbeddedGitHub, client: GitHubClient
) -> None:
    github.open_many(REPOSITORY, [1])
    github.close(REPOSITORY, 1)
    github.rename(REPOSITORY, "acme/vin")
    error = (await states(client, [key(1)]))[key(1)]
    assert isinstance(error, ForgeNotFound)
    assert "was renamed to acme/vin" in str(error)


async def test_the_name_of_a_repository_counts_in_upper_and_lower_case(
    github: EmbeddedGitHub, client: GitHubClient
) -> None:
    github.open_many(REPOSITORY, [1])
    assert pulls(await states(client, [key(1, "ACME/Wine")]))


TROUBLES: tuple[tuple[dict[str, Any], type[ForgeError]], ...] = (
    ({"effect": "html"}, ForgeUnavailable),
    ({"effect": "empty"}, ForgeUnavailable),
    ({"effect": "reset"}, ForgeUnavailable),
    ({"effect": "answer_lost"}, ForgeUnavailable),
    ({"effect": "error", "status": 500}, ForgeUnavailable),
    ({"effect": "error", "status": 502}, ForgeUnavailable),
    ({"effect": "error", "status": 403}, ForgeDenied),
    ({"effect": "error", "status": 404}, ForgeNotFound),
    ({"effect": "primary_limit"}, ForgeLimited),
    ({"effect": "secondary_limit", "retry_after": 60}, ForgeLimited),
)


@pytest.mark.parametrize(("trouble", "expected"), TROUBLES, ids=str)
async def test_in_any_trouble_all_are_unknown_and_none_is_closed(
    github: EmbeddedGitHub, client: GitHubClient, trouble: dict[str, Any], expected: type[ForgeError]
) -> None:
    github.open_many(REPOSITORY, [1, 2])
    github.close(REPOSITORY, 1)
    github.trouble({"operation": "graphql", **trouble})
    found = await states(client, [key(1), key(2)])
    assert [type(each) for each in found.values()] == [expected] * 2


async def test_after_a_question_that_is_not_answered_no_other_is_asked(
    github: EmbeddedGitHub, client: GitHubClient
) -> None:
    github.open_many(REPOSITORY, range(1, 301))
    github.trouble({"operation": "graphql", "effect": "error", "status": 502, "skip": 1})
    github.forget_calls()
    found = await states(client, [key(number) for number in range(1, 301)])
    assert sorted(reasons(found).values()).count("PullRequest") == 100
    assert github.calls() == {"graphql": 2}


async def test_credentials_that_lose_their_access_know_nothing(github: EmbeddedGitHub, client: GitHubClient) -> None:
    github.open_many(REPOSITORY, [1])
    github.add_collaborator(REPOSITORY, "ada", "none")
    assert reasons(await states(client, [key(1)])) == {1: "ForgeNotFound"}


async def test_a_repository_deleted_is_unknown(github: EmbeddedGitHub, client: GitHubClient) -> None:
    github.open_many(REPOSITORY, [1])
    github.delete_repository(REPOSITORY)
    assert reasons(await states(client, [key(1)])) == {1: "ForgeNotFound"}


async def test_what_is_no_repository_of_github_is_not_asked_for(github: EmbeddedGitHub, client: GitHubClient) -> None:
    found = await states(client, [key(1, "group/sub/wine")])
    assert [type(each) for each in found.values()] == [ForgeInvalid]
    assert github.calls() == {}


GOOD = {"number": 1, "state": "OPEN", "headRefOid": "a" * 40, "isCrossRepository": False, "closedAt": None}


class Answering:
    """GitHub's client where GitHub answers something else than its schema promises."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data

    async def graphql(self, query: str, variables: Mapping[str, Any], *, owner: str) -> GraphqlAnswer:
        assert (query, variables["owner"]) != ("", owner[1:])
        return GraphqlAnswer(self.data)


@pytest.mark.parametrize(
    "pull",
    [
        {**GOOD, "state": "LOCKED"},
        {**GOOD, "state": None},
        {**GOOD, "state": ["CLOSED"]},
        {**GOOD, "number": 2},
        {**GOOD, "headRefOid": "main"},
        {**GOOD, "headRefOid": None},
        {**GOOD, "headRefOid": f"{'a' * 40}\n"},
        {**GOOD, "state": "CLOSED", "closedAt": "yesterday"},
        {"number": 1, "state": "CLOSED"},
        "CLOSED",
        None,
    ],
    ids=str,
)
async def test_an_answer_that_cannot_be_read_is_unknown(pull: object) -> None:
    client: Any = Answering({"r0": {"nameWithOwner": REPOSITORY, "p1": pull}})
    assert isinstance((await states(client, [key(1)]))[key(1)], ForgeError)


@pytest.mark.parametrize("data", [{}, {"r0": None}, {"r0": "x"}, {"r0": {"p1": GOOD}}], ids=str)
async def test_an_answer_without_the_repository_is_unknown(data: Mapping[str, Any]) -> None:
    client: Any = Answering(data)
    assert isinstance((await states(client, [key(1)]))[key(1)], ForgeError)


async def test_a_commit_belongs_to_the_pull_requests_that_contain_it(
    github: EmbeddedGitHub, client: GitHubClient
) -> None:
    github.open(REPOSITORY, sha_of("one"), number=1)
    github.open(REPOSITORY, sha_of("two"), number=2)
    assert await contains(client, key(1), sha_of("one"))
    assert not await contains(client, key(2), sha_of("one")), "nobody speaks on another's commits"
    assert not await contains(client, key(1), sha_of("nothing"))
    assert not await contains(client, key(1), sha_of("one")[:7]), "a branch may have such a name"
    assert not await contains(client, key(1, "a/b/c"), sha_of("one"))


async def test_a_commit_belongs_to_its_pull_request_also_once_that_is_closed(
    github: EmbeddedGitHub, client: GitHubClient
) -> None:
    for number, text in ((1, "closed"), (2, "merged"), (3, "open")):
        github.open(REPOSITORY, sha_of(text), number=number)
    github.close(REPOSITORY, 1)
    github.merge(REPOSITORY, 2)
    assert [await contains(client, key(number), sha_of("closed")) for number in (1, 2, 3, 4)] == [True, *[False] * 3]
    assert await contains(client, key(2), sha_of("merged"))


async def test_whether_a_commit_belongs_is_an_error_where_it_is_unknown(
    github: EmbeddedGitHub, client: GitHubClient
) -> None:
    github.open(REPOSITORY, sha_of("one"), number=1)
    github.trouble({"effect": "error", "status": 503})
    with pytest.raises(ForgeUnavailable):
        await contains(client, key(1), sha_of("one"))


async def test_an_owner_in_many_cases_is_asked_about_once(github: EmbeddedGitHub, client: GitHubClient) -> None:
    github.open(REPOSITORY, sha_of("first"), number=1)
    keys = [PullRequestKey(name, 1) for name in (REPOSITORY, REPOSITORY.upper(), REPOSITORY.title())]
    found = await states(client, keys)
    assert github.calls() == {"graphql": 1}
    assert all(isinstance(found[each], PullRequest) for each in keys)
