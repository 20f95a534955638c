from typing import Any

import pytest
from tests.eep_platform.github.conftest import Caller, caller
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient, sha_of
from eep_platform.github.rest.comments import MOST_CHARACTERS

COMMENTS = "issues/42/comments"

pytestmark = pytest.mark.usefixtures("pull")


def ids(found: list[dict[str, Any]]) -> list[int]:
    return [each["id"] for each in found]


def test_a_comment_is_written_edited_and_deleted(github: GitHubClient, ada: Caller) -> None:
    made = ada.post(COMMENTS, body="<!-- marker -->\nReady")
    assert made["created_at"] == made["updated_at"]
    assert (made["user"]["login"], made["user"]["type"]) == ("ada", "User")
    assert made["issue_url"].endswith("/issues/42")
    github.advance(5)
    edited = ada("PATCH", made["url"], {"body": "Gone"}).json()
    assert edited["created_at"] < edited["updated_at"]
    assert ada.get(made["url"])["body"] == "Gone"
    assert ada("DELETE", made["url"]).status_code == 204
    assert ada("GET", made["url"]).status_code == 404
    assert ada("PATCH", made["url"], {"body": "Back"}).status_code == 404


def test_an_installation_comments_as_its_bot(installation: Caller) -> None:
    made = installation.post(COMMENTS, body="Ready")
    assert (made["user"]["login"], made["user"]["type"]) == ("previews[bot]", "Bot")
    assert made["performed_via_github_app"]["slug"] == "previews"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"body": "é" * MOST_CHARACTERS}, 201, "as long as may be, in characters"),
        ({"body": "x" * (MOST_CHARACTERS + 1)}, 422, "one too many"),
        ({"body": " \n"}, 422, "blank"),
        ({"body": 5}, 422, "no text"),
        ({}, 422, "nothing"),
    ],
)
def test_bodies_are_judged_when_written_and_when_edited(
    ada: Caller, body: dict[str, Any], status: int, reason: str
) -> None:
    there = ada.post(COMMENTS, body="Ready")
    assert ada("POST", COMMENTS, body).status_code == status, reason
    assert ada("PATCH", there["url"], body).status_code == (200 if status == 201 else status), reason


def test_only_writers_edit_comments_of_others(github: GitHubClient, ada: Caller) -> None:
    github.add_collaborator(REPOSITORY, "rita", "read")
    rita = caller(github, github.add_token("rita"))
    ours, hers = ada.post(COMMENTS, body="Ours"), rita.post(COMMENTS, body="Hers")
    assert rita("PATCH", ours["url"], {"body": "Mine now"}).status_code == 403
    assert rita("DELETE", ours["url"]).status_code == 403
    assert rita("PATCH", hers["url"], {"body": "Still hers"}).status_code == 200
    assert ada("PATCH", hers["url"], {"body": "Moderated"}).status_code == 200


def test_the_comments_of_a_pull_request_come_in_pages_from_the_oldest(ada: Caller) -> None:
    made = [ada.post(COMMENTS, body=str(number))["id"] for number in range(5)]
    first = ada("GET", f"{COMMENTS}?per_page=2")
    assert ids(first.json()) == made[:2]
    assert {rel: int(link["url"][-1]) for rel, link in first.links.items()} == {"next": 2, "last": 3}
    middle = ada("GET", first.links["next"]["url"])
    assert {rel: int(link["url"][-1]) for rel, link in middle.links.items()} == {
        "next": 3,
        "last": 3,
        "prev": 1,
        "first": 1,
    }
    last = ada("GET", middle.links["last"]["url"])
    assert (ids(last.json()), set(last.links)) == (made[4:], {"prev", "first"})
    beyond = ada("GET", f"{COMMENTS}?per_page=2&page=9")
    assert beyond.json() == []


def test_the_comments_of_a_repository_are_found_since_a_time_and_sorted(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, sha_of("other"), number=43)
    old = ada.post(COMMENTS, body="Old")
    github.advance(60)
    later = github.comment(REPOSITORY, 43, "eve", "/preview delete")
    github.advance(60)
    ada("PATCH", old["url"], {"body": "Old, edited"})
    path = "issues/comments"
    assert ids(ada.get(path)) == [old["id"], later["id"]]
    assert ids(ada.get(f"{path}?direction=desc")) == [old["id"], later["id"]], "a direction needs a sort"
    assert ids(ada.get(f"{path}?sort=updated&direction=asc")) == [later["id"], old["id"]]
    assert ids(ada.get(f"{path}?sort=updated")) == [old["id"], later["id"]]
    edited = ada.get(old["url"])["updated_at"]
    assert ids(ada.get(f"{path}?since={edited}")) == [old["id"]], "what is as old as that is found"
    assert ids(ada.get(f"{path}?since={later['updated_at']}&sort=created")) == [later["id"], old["id"]]
    for bad in ("yesterday", "2026-01-01T00:00:00"):
        assert ada("GET", f"{path}?since={bad}").status_code == 422


def test_the_same_reaction_of_a_user_is_one(github: GitHubClient, ada: Caller, installation: Caller) -> None:
    command = github.comment(REPOSITORY, 42, "eve", "/preview extend 24h")
    path = f"{command['url']}/reactions"
    first, again = ada("POST", path, {"content": "eyes"}), ada("POST", path, {"content": "eyes"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert installation("POST", path, {"content": "eyes"}).status_code == 201
    assert ada("POST", path, {"content": "+1"}).status_code == 201
    assert ada("POST", path, {"content": "thumbs"}).status_code == 422
    assert [each["content"] for each in ada.get(path)] == ["eyes", "eyes", "+1"]
    assert [each["user"]["login"] for each in ada.get(f"{path}?content=eyes")] == ["ada", "previews[bot]"]
    assert ada.get(command["url"])["reactions"]["eyes"] == 2


def test_what_does_not_exist_is_not_found(ada: Caller) -> None:
    assert ada("POST", "issues/7/comments", {"body": "x"}).status_code == 404
    assert ada("GET", "issues/7/comments").status_code == 404
    assert ada("POST", "issues/comments/1/reactions", {"content": "eyes"}).status_code == 404


def test_a_locked_conversation_takes_comments_of_those_who_may_write_only(
    github: GitHubClient, ada: Caller, installation: Caller
) -> None:
    github.add_collaborator(REPOSITORY, "rita", "read")
    rita = caller(github, github.add_token("rita"))
    made = {each: each.post(COMMENTS, body="Before")["url"] for each in (ada, rita, installation)}
    github.lock(REPOSITORY, 42)
    for each, expected in ((ada, 201), (rita, 403), (installation, 403)):
        assert each("POST", COMMENTS, {"body": "After"}).status_code == expected
        assert each("PATCH", made[each], {"body": "After"}).status_code == (200 if expected == 201 else 403)
        assert each("POST", f"{made[ada]}/reactions", {"content": "eyes"}).status_code == expected
    github.unlock(REPOSITORY, 42)
    assert rita("POST", COMMENTS, {"body": "Again"}).status_code == 201
