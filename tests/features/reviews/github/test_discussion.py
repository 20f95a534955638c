"""Comments, permissions and reactions, at the embedded GitHub."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.features.reviews.github.clients import connected, token_secret
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient as Service
from eep_platform.github.client import sha_of
from ephemeral_endpoints.features.reviews.errors import ForgeNotFound, ForgeUnavailable
from ephemeral_endpoints.features.reviews.forge import COMMENTS, PullRequestKey, Reaction
from ephemeral_endpoints.features.reviews.github.forge import GitHub

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def forge(github: Service) -> AsyncIterator[GitHub]:
    """GitHub with two pull requests, for a bot whose token may comment."""
    for number in (1, 2):
        github.open(REPOSITORY, sha_of(str(number)), number=number)
    github.add_collaborator(REPOSITORY, "previews", "write")
    async with connected(github.url, token_secret(github.add_token("previews"))) as client:
        yield GitHub(client)


async def test_the_comments_on_all_pull_requests_are_one_list_the_newest_last(github: Service, forge: GitHub) -> None:
    github.comment(REPOSITORY, 2, "ada", "/preview delete\r\nbye")
    github.advance(60)
    github.comment(REPOSITORY, 1, "mallory", "hello")
    first, second = await forge.comments(REPOSITORY, LONG_AGO)
    assert (first.pull_request, first.author, first.body) == (
        PullRequestKey(REPOSITORY, 2),
        "ada",
        "/preview delete\r\nbye",
    )
    assert (second.pull_request.number, second.author, second.is_bot) == (1, "mallory", False)
    assert second.created_at - first.created_at == timedelta(seconds=60)
    assert await forge.comments(REPOSITORY, second.created_at) == [second], "since then, that second included"
    assert not first.is_edited


async def test_while_nothing_changes_a_look_costs_nothing_of_the_limit(github: Service, forge: GitHub) -> None:
    github.comment(REPOSITORY, 1, "ada", "hello")
    found = await forge.comments(REPOSITORY, LONG_AGO)
    github.forget_calls()
    assert await forge.comments(REPOSITORY, LONG_AGO) == found
    assert [each["status"] for each in github.log()] == [304]


async def test_who_edits_a_comment_or_is_a_bot_is_known(github: Service, forge: GitHub) -> None:
    made = github.comment(REPOSITORY, 1, "ada", "hello")
    github.advance(1)
    github.edit_comment(REPOSITORY, made["id"], "ada", "/preview delete")
    app = github.add_app("other", [REPOSITORY])
    assert app.slug == "other"
    github.comment(REPOSITORY, 1, "other[bot]", "/preview delete")
    edited, bots = sorted(await forge.comments(REPOSITORY, LONG_AGO), key=lambda each: each.id)
    assert (edited.is_edited, edited.is_bot) == (True, False)
    assert (bots.is_edited, bots.is_bot) == (False, True)


async def test_no_more_comments_are_read_at_once_than_said(github: Service, forge: GitHub) -> None:
    for number in range(COMMENTS + 1):
        github.comment(REPOSITORY, 1, "ada", f"{number}")
    found = await forge.comments(REPOSITORY, LONG_AGO)
    assert [each.body for each in found] == [str(number) for number in range(COMMENTS)]


@pytest.mark.parametrize(
    ("role", "may"),
    [("none", False), ("read", False), ("triage", False), ("write", True), ("maintain", True), ("admin", True)],
)
async def test_who_may_write_is_who_has_that_permission(
    github: Service,
    forge: GitHub,
    role: str,
    may: bool,  # noqa: FBT001 - a table's column
) -> None:
    github.add_collaborator(REPOSITORY, "grace", role)
    assert await forge.may_write(REPOSITORY, "grace") is may


async def test_who_does_not_exist_may_not_write(forge: GitHub) -> None:
    assert not await forge.may_write(REPOSITORY, "nobody-at-all")


async def test_a_reaction_is_made_once_and_those_of_others_are_not_ours(github: Service, forge: GitHub) -> None:
    github.comment(REPOSITORY, 1, "ada", "/preview delete")
    [comment] = await forge.comments(REPOSITORY, LONG_AGO)
    async with connected(github.url, token_secret(github.add_token("ada"))) as others:
        await GitHub(others).react(comment, Reaction.DONE)
    assert await forge.reactions(comment) == frozenset()
    for _ in range(2):
        await forge.react(comment, Reaction.SEEN)
    assert await forge.reactions(comment) == {Reaction.SEEN}
    [shown] = github.seen(REPOSITORY, 1).comments
    assert sorted(content for _, content in shown["all_reactions"]) == ["+1", "eyes"]


async def test_a_reply_is_a_comment_on_the_same_pull_request(github: Service, forge: GitHub) -> None:
    github.comment(REPOSITORY, 2, "ada", "/preview")
    [comment] = await forge.comments(REPOSITORY, LONG_AGO)
    await forge.reply(comment, "@ada: write `/preview delete`.")
    [_, reply] = github.seen(REPOSITORY, 2).comments
    assert (reply["user"]["login"], reply["body"]) == ("previews", "@ada: write `/preview delete`.")


async def test_a_comment_that_was_deleted_is_not_found(github: Service, forge: GitHub) -> None:
    made = github.comment(REPOSITORY, 1, "ada", "/preview delete")
    [comment] = await forge.comments(REPOSITORY, LONG_AGO)
    github.delete_comment(REPOSITORY, made["id"])
    with pytest.raises(ForgeNotFound):
        await forge.react(comment, Reaction.SEEN)


@pytest.mark.parametrize("effect", ["html", "empty"])
async def test_an_answer_that_is_none_is_no_empty_list(github: Service, forge: GitHub, effect: str) -> None:
    github.trouble({"operation": "issues/list-comments-for-repo", "effect": effect})
    with pytest.raises(ForgeUnavailable):
        await forge.comments(REPOSITORY, LONG_AGO)
