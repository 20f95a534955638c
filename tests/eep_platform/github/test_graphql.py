from collections.abc import Callable

import pytest
from graphql import GraphQLObjectType
from tests.eep_platform.github.conftest import HEAD, Caller, signed
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient, Installed, sha_of
from eep_platform.github.graphql import schema

FIELDS = "number state merged closedAt headRefOid isCrossRepository title url headRefName"
As = Callable[[str | None], Caller]


def query(*numbers: int, name: str = "wine") -> str:
    pulls = " ".join(f"p{number}: pullRequest(number: {number}) {{ {FIELDS} }}" for number in numbers)
    return f'query {{ r: repository(owner: "acme", name: "{name}") {{ nameWithOwner {pulls} }} rateLimit {{ cost }} }}'


def test_pull_requests_of_any_state_come_by_alias(github: GitHubClient, ada: Caller) -> None:
    github.open_many(REPOSITORY, range(1, 4))
    github.open(REPOSITORY, HEAD, number=42, fork="mallory/wine", title="Less")
    github.close(REPOSITORY, 2)
    github.merge(REPOSITORY, 3)
    answer = ada.graphql(query(1, 2, 3, 42))
    found = answer["data"]["r"]
    assert {alias: found[alias]["state"] for alias in ("p1", "p2", "p3", "p42")} == {
        "p1": "OPEN",
        "p2": "CLOSED",
        "p3": "MERGED",
        "p42": "OPEN",
    }
    assert (found["p3"]["merged"], found["p2"]["merged"], found["p1"]["closedAt"]) == (True, False, None)
    assert found["p2"]["closedAt"].endswith("Z")
    assert found["p42"] == {
        "number": 42,
        "state": "OPEN",
        "merged": False,
        "closedAt": None,
        "headRefOid": HEAD,
        "isCrossRepository": True,
        "title": "Less",
        "url": f"{github.url}/{REPOSITORY}/pull/42",
        "headRefName": "pr-42",
    }
    assert found["p1"]["isCrossRepository"] is False
    assert answer["data"]["rateLimit"] == {"cost": 1}


def test_repositories_come_by_alias_too(github: GitHubClient, ada: Caller) -> None:
    github.add_repository("acme/beer")
    github.add_collaborator("acme/beer", "ada", "read")
    github.open("acme/beer", HEAD, number=1)
    answer = ada.graphql("""{
        a: repository(owner: "acme", name: "beer") { p1: pullRequest(number: 1) { headRefOid } }
        b: repository(owner: "acme", name: "wine") { p1: pullRequest(number: 1) { headRefOid } }
    }""")
    assert answer["data"] == {"a": {"p1": {"headRefOid": HEAD}}, "b": {"p1": None}}
    assert [error["path"] for error in answer["errors"]] == [["b", "p1"]]


def test_a_hundred_pull_requests_cost_one_point(github: GitHubClient, ada: Caller) -> None:
    github.open_many(REPOSITORY, range(1, 101))
    before = ada.graphql("{ rateLimit { remaining } }")["data"]["rateLimit"]["remaining"]
    answer = ada.graphql(query(*range(1, 101)) + "")
    assert len(answer["data"]["r"]) == 101
    assert ada.graphql("{ rateLimit { remaining } }")["data"]["rateLimit"]["remaining"] == before - 2


def test_what_is_unknown_is_null_with_an_error_beside_it(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, HEAD, number=42)
    answer = ada.graphql(query(42, 7))
    assert (answer["data"]["r"]["p42"]["number"], answer["data"]["r"]["p7"]) == (42, None)
    [error] = answer["errors"]
    assert (error["type"], error["path"]) == ("NOT_FOUND", ["r", "p7"])
    assert error["message"] == "Could not resolve to a PullRequest with the number of 7."
    missing = ada.graphql(query(42, name="none"))
    assert missing["data"]["r"] is None
    assert missing["errors"][0]["message"] == "Could not resolve to a Repository with the name 'acme/none'."


def test_repositories_are_found_by_former_names_and_hidden_ones_are_not(
    github: GitHubClient, ada: Caller, as_: As
) -> None:
    github.open(REPOSITORY, HEAD, number=42)
    github.rename(REPOSITORY, "acme/beer")
    assert ada.graphql(query(42))["data"]["r"]["nameWithOwner"] == "acme/beer"
    eve = as_(github.add_token("eve"))
    assert eve.graphql(query(42))["data"]["r"] is None


def test_permissions_hold_here_too(github: GitHubClient, as_: As, app: Installed) -> None:
    github.open(REPOSITORY, HEAD, number=42)
    poor = github.add_app("poor", [REPOSITORY], permissions={"statuses": "write"})
    token = as_(signed(poor)).post(f"/app/installations/{poor.installation_id}/access_tokens")["token"]
    answer = as_(token).graphql(query(42))
    assert answer["data"]["r"]["p42"] is None
    assert answer["errors"][0]["type"] == "FORBIDDEN"
    assert as_(None).session.post(github.graphql_url, json={"query": query(42)}).status_code == 401
    signing = as_(signed(app)).session.post(github.graphql_url, json={"query": query(42)})
    assert signing.status_code == 401


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{ repository(owner: 1) { name } }", "String cannot represent a non string value"),
        ('{ repository(owner: "acme", name: "wine") { nope } }', "Cannot query field 'nope' on type 'Repository'"),
        ("{ rateLimit ", "Syntax Error"),
        ("{ viewer { login } }", "Cannot query field 'viewer'"),
    ],
)
def test_a_wrong_query_is_an_error_with_status_200(ada: Caller, text: str, message: str) -> None:
    answer = ada.graphql(text)
    assert "data" not in answer
    assert any(message in error["message"] for error in answer["errors"])


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"query": ""}'])
def test_a_body_without_a_query_is_refused(ada: Caller, body: bytes) -> None:
    assert ada.session.post(ada.github.graphql_url, data=body).status_code == 400


def test_variables_are_taken(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, sha_of("x"), number=5)
    text = 'query($n: Int!) { repository(owner: "acme", name: "wine") { pullRequest(number: $n) { number } } }'
    assert ada.graphql(text, n=5)["data"]["repository"]["pullRequest"]["number"] == 5
    assert "errors" in ada.graphql(text, n="five")


def test_every_field_of_the_schema_is_answered(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, HEAD, number=42)
    github.merge(REPOSITORY, 42, login="mia")
    leaves = {
        name: [
            field
            for field, definition in type_.fields.items()
            if not definition.args and "Repository" not in str(definition.type) and "Actor" not in str(definition.type)
        ]
        for name, type_ in schema().type_map.items()
        if isinstance(type_, GraphQLObjectType) and not name.startswith("__")
    }
    pull = f"{' '.join(leaves['PullRequest'])} author {{ login }} mergedBy {{ __typename url }} "
    pull += "repository { name } headRepository { nameWithOwner }"
    repository = f"{' '.join(leaves['Repository'])} owner {{ id login url }}"
    text = f"""{{ repository(owner: "acme", name: "wine") {{ {repository} pullRequest(number: 42) {{ {pull} }} }}
        rateLimit {{ {" ".join(leaves["RateLimit"])} }} }}"""
    answer = ada.graphql(text)
    assert "errors" not in answer
    assert answer["data"]["repository"]["pullRequest"]["mergedBy"]["__typename"] == "User"
    assert answer["data"]["repository"]["owner"]["login"] == "acme"
