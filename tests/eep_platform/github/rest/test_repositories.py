from collections.abc import Callable

import pytest
from tests.eep_platform.github.conftest import HEAD, Caller
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient, sha_of


def numbers(caller: Caller, query: str = "") -> list[int]:
    return [each["number"] for each in caller.get(f"pulls{query}")]


def test_pull_requests_are_listed_by_state_from_the_newest(github: GitHubClient, ada: Caller) -> None:
    github.open_many(REPOSITORY, range(1, 5))
    github.merge(REPOSITORY, 1)
    github.close(REPOSITORY, 2)
    assert numbers(ada) == [4, 3]
    assert numbers(ada, "?state=closed") == [2, 1]
    assert numbers(ada, "?state=all&direction=asc") == [1, 2, 3, 4]
    assert numbers(ada, "?head=acme:pr-3") == [3]
    assert numbers(ada, "?base=release") == []
    assert ada("GET", "pulls?state=merged").status_code == 422


def test_lists_have_thirty_items_a_page_and_at_most_a_hundred(github: GitHubClient, ada: Caller) -> None:
    github.open_many(REPOSITORY, range(1, 106))
    assert len(numbers(ada)) == 30
    everything = ada("GET", "pulls?per_page=1000&state=open")
    assert len(everything.json()) == 100
    following = everything.links["next"]["url"]
    assert "per_page=1000" in following
    assert "state=open" in following
    assert len(ada.get(following)) == 5
    assert "Link" not in ada("GET", f"commits/{sha_of('1')}/pulls").headers


def test_a_pull_request_tells_its_life(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, HEAD, number=42, branch="less")
    assert ada.get("pulls/42")["state"] == "open"
    github.close(REPOSITORY, 42)
    closed = ada.get("pulls/42")
    assert (closed["state"], closed["merged"]) == ("closed", False)
    assert closed["closed_at"] is not None
    github.reopen(REPOSITORY, 42)
    reopened = ada.get("pulls/42")
    assert (reopened["state"], reopened["closed_at"]) == ("open", None)
    github.push(REPOSITORY, 42, sha_of("second"))
    github.merge(REPOSITORY, 42, login="mia")
    merged = ada.get("pulls/42")
    assert (merged["state"], merged["merged"], merged["merged_by"]["login"]) == ("closed", True, "mia")
    assert (merged["head"]["sha"], merged["commits"]) == (sha_of("second"), 2)
    assert [each["sha"] for each in ada.get("pulls/42/commits")] == [HEAD, sha_of("second")]
    assert ada("GET", "pulls/43").status_code == 404


def test_the_pull_requests_of_a_commit_are_those_that_have_it(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, HEAD, number=42)
    github.push(REPOSITORY, 42, sha_of("second"))
    github.open(REPOSITORY, sha_of("other"), number=43)
    merge = github.merge(REPOSITORY, 42)["merge_commit_sha"]
    for sha in (HEAD, sha_of("second"), merge):
        assert [each["number"] for each in ada.get(f"commits/{sha}/pulls")] == [42], sha
    github.close(REPOSITORY, 43)
    assert ada.get(f"commits/{sha_of('other')}/pulls") == [], "it was closed unmerged"
    assert ada("GET", f"commits/{sha_of('unknown')}/pulls").status_code == 422


def test_a_fork_is_another_repository(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, HEAD, number=42, fork="mallory/wine", author="mallory")
    pull = ada.get("pulls/42")
    assert (pull["head"]["repo"]["full_name"], pull["head"]["repo"]["fork"]) == ("mallory/wine", True)
    assert pull["base"]["repo"]["full_name"] == REPOSITORY
    assert pull["author_association"] == "NONE"
    # Its commits can be reached in the repository, by refs/pull/42/head.
    assert ada("POST", f"statuses/{HEAD}", {"state": "pending"}).status_code == 201


@pytest.mark.parametrize(
    ("role", "permission", "may_push"),
    [
        ("admin", "admin", True),
        ("maintain", "write", True),
        ("write", "write", True),
        ("triage", "read", False),
        ("read", "read", False),
        ("none", "none", False),
    ],
)
def test_roles_are_shown_as_permissions(
    github: GitHubClient, ada: Caller, as_: Callable[[str], Caller], role: str, permission: str, *, may_push: bool
) -> None:
    github.add_collaborator(REPOSITORY, "eve", role)
    answer = ada.get("collaborators/EVE/permission")
    assert (answer["permission"], answer["role_name"], answer["user"]["login"]) == (permission, role, "eve")
    eve = as_(github.add_token("eve"))("GET", "")
    assert eve.status_code == (404 if role == "none" else 200)
    if role != "none":
        assert eve.json()["permissions"]["push"] is may_push


def test_a_public_repository_may_be_read_by_everybody(
    github: GitHubClient, as_: Callable[[str | None], Caller], ada: Caller
) -> None:
    github.add_repository("acme/open", private=False)
    github.add_token("eve")
    assert ada.get("/repos/acme/open/collaborators/eve/permission")["permission"] == "read"
    assert ada("GET", "/repos/acme/open/collaborators/nobody/permission").status_code == 404
    nobody = as_(None)
    assert nobody.get("/repos/acme/open")["private"] is False
    assert nobody("GET", "").status_code == 404
