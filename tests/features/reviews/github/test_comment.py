"""The comment of an object on the embedded GitHub: one, found by its marker and its author, edited in place."""

from dataclasses import replace
from typing import Any

import pytest
from tests.features.reviews.github.clients import app_secret, connected, token_secret
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient as Service
from eep_platform.github.client import sha_of
from ephemeral_endpoints.features.reviews.errors import ForgeNotFound
from ephemeral_endpoints.features.reviews.forge import (
    CommentText,
    Owner,
    Publication,
    Published,
    PullRequestKey,
    Upsert,
)
from ephemeral_endpoints.features.reviews.github.comment import comment, marker

OWNER = Owner("c1", "nlp", "wine-pr", "uid-1")
FIRST, SECOND = sha_of("first"), sha_of("second")


def wanted(body: str, upsert: Upsert = Upsert.EITHER, **more: Any) -> Publication:  # noqa: ANN401 - members
    text = CommentText(body, upsert)
    return replace(Publication(OWNER, PullRequestKey(REPOSITORY, 42), FIRST, None, None, text), **more)


def bodies(service: Service) -> list[str]:
    return [each["body"] for each in service.seen(REPOSITORY, 42).comments]


@pytest.fixture
def pull(github: Service) -> Service:
    github.open(REPOSITORY, FIRST, number=42)
    return github


@pytest.fixture
def token(pull: Service) -> str:
    return pull.add_token("ada")


async def test_a_comment_is_edited_in_place(pull: Service, token: str) -> None:
    async with connected(pull.url, token_secret(token)) as client:
        known = await comment(client, wanted("one"), Published())
        known = await comment(client, wanted("two"), known)
        assert await comment(client, wanted("three"), Published()) == known
    (found,) = pull.seen(REPOSITORY, 42).comments
    assert found["body"] == "<!-- ephemeral-endpoints: c1/nlp/wine-pr -->\nthree"
    assert known == Published(comment_id=found["id"], comment_revision=FIRST)


async def test_an_app_finds_its_own_comments(pull: Service) -> None:
    secret = app_secret(pull.add_app("previews", [REPOSITORY]))
    async with connected(pull.url, secret) as client:
        await comment(client, wanted("one"), Published())
        await comment(client, wanted("two"), Published())
    (found,) = pull.seen(REPOSITORY, 42).comments
    assert found["user"]["login"] == "previews[bot]"
    assert found["body"].endswith("two")


async def test_each_object_has_its_own(pull: Service, token: str) -> None:
    async with connected(pull.url, token_secret(token)) as client:
        await comment(client, wanted("one"), Published())
        await comment(client, wanted("two", owner=replace(OWNER, name="wine-pr-b")), Published())
    assert [each.splitlines()[1] for each in bodies(pull)] == ["one", "two"]


async def test_an_object_made_anew_under_its_name_goes_on_with_the_comment(pull: Service, token: str) -> None:
    async with connected(pull.url, token_secret(token)) as client:
        await comment(client, wanted("one"), Published())
        await comment(client, wanted("two", owner=replace(OWNER, uid="uid-2")), Published())
    assert [each.splitlines()[1] for each in bodies(pull)] == ["two"]


async def test_a_marker_in_somebody_elses_comment_is_not_believed(pull: Service, token: str) -> None:
    theirs = pull.comment(REPOSITORY, 42, "mallory", f"{marker(OWNER)}\nhers")
    async with connected(pull.url, token_secret(token)) as client:
        await comment(client, wanted("ours"), Published(comment_id=theirs["id"]))
    assert [each.splitlines()[1] for each in bodies(pull)] == ["hers", "ours"]


@pytest.mark.parametrize(
    ("upsert", "without", "with_one"),
    [
        (Upsert.EITHER, ["new"], ["new"]),
        (Upsert.POST, ["new"], ["old"]),
        (Upsert.EDIT, [], ["new"]),
    ],
)
async def test_a_comment_is_posted_or_edited_as_is_wanted(
    pull: Service, token: str, upsert: Upsert, without: list[str], with_one: list[str]
) -> None:
    async with connected(pull.url, token_secret(token)) as client:
        await comment(client, wanted("new", upsert), Published())
        assert [each.splitlines()[1] for each in bodies(pull)] == without
        other = replace(OWNER, name="other")
        await comment(client, wanted("old", owner=other), Published())
        await comment(client, wanted("new", upsert, owner=other), Published())
    assert [each.splitlines()[1] for each in bodies(pull)][len(without) :] == with_one


async def test_a_comment_that_a_person_deletes_is_not_posted_again_before_the_next_revision(
    pull: Service, token: str
) -> None:
    async with connected(pull.url, token_secret(token)) as client:
        known = await comment(client, wanted("one"), Published())
        pull.delete_comment(REPOSITORY, known.comment_id or 0)
        for body in ("two", "three"):
            known = await comment(client, wanted(body), known)
            assert known == Published(comment_id=None, comment_revision=FIRST)
        assert bodies(pull) == []
        pull.push(REPOSITORY, 42, SECOND)
        known = await comment(client, wanted("on its way", Upsert.EDIT, revision=SECOND), known)
        assert bodies(pull) == []
        await comment(client, wanted("four", revision=SECOND), known)
    assert [each.splitlines()[1] for each in bodies(pull)] == ["four"]


async def test_one_that_was_deleted_during_an_earlier_revision_is_posted_in_the_next(pull: Service, token: str) -> None:
    async with connected(pull.url, token_secret(token)) as client:
        known = await comment(client, wanted("one"), Published())
        pull.delete_comment(REPOSITORY, known.comment_id or 0)
        known = await comment(client, wanted("on its way", Upsert.EDIT, revision=SECOND), known)
        await comment(client, wanted("two", revision=SECOND), known)
    assert [each.splitlines()[1] for each in bodies(pull)] == ["two"]


async def test_a_comment_that_is_deleted_while_it_is_edited_counts_as_deleted(pull: Service, token: str) -> None:
    async with connected(pull.url, token_secret(token)) as client:
        known = await comment(client, wanted("one"), Published())
        pull.trouble({"operation": "issues/update-comment", "effect": "error", "status": 404})
        assert await comment(client, wanted("two"), known) == replace(known, comment_id=None)


async def test_a_comment_that_cannot_be_seen_is_not_one_that_was_deleted(pull: Service, token: str) -> None:
    """Access to the repository may be lost for a while."""
    async with connected(pull.url, token_secret(token)) as client:
        known = await comment(client, wanted("one"), Published())
        pull.trouble({"effect": "error", "status": 404})
        with pytest.raises(ForgeNotFound):
            await comment(client, wanted("two"), known)
        pull.trouble()
        assert await comment(client, wanted("two"), known) == known
    assert [each.splitlines()[1] for each in bodies(pull)] == ["two"]
