from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests
from tests.eep_platform.github.conftest import HEAD, Caller
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient
from eep_platform.github.views.pulls import PullViews

COMMENTS = "issues/42/comments"

pytestmark = pytest.mark.usefixtures("pull")


def remaining(answer: requests.Response) -> int:
    return int(answer.headers["X-RateLimit-Remaining"])


def test_what_was_not_modified_has_no_body_and_costs_nothing(github: GitHubClient, ada: Caller) -> None:
    first = ada("GET", "pulls/42")
    again = ada("GET", "pulls/42", If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert remaining(again) == remaining(first)
    github.push(REPOSITORY, 42, "a" * 40)
    changed = ada("GET", "pulls/42", If_None_Match=first.headers["ETag"])
    assert (changed.status_code, remaining(changed)) == (200, remaining(first) - 1)
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_a_renamed_repository_is_found_by_its_number(github: GitHubClient, ada: Caller) -> None:
    id_ = ada.get("")["id"]
    github.rename(REPOSITORY, "acme/beer")
    read, write = ada("GET", "pulls?state=all"), ada("POST", COMMENTS, {"body": "x"})
    assert (read.status_code, write.status_code) == (301, 307), "a redirected write stays one"
    target = read.headers["Location"]
    assert target == f"{github.api_url}/repositories/{id_}/pulls?state=all"
    assert ada.get(target)[0]["base"]["repo"]["full_name"] == "acme/beer"
    assert ada.session.post(write.headers["Location"], json={"body": "x"}).status_code == 201
    assert ada("GET", "").headers["Location"] == f"{github.api_url}/repositories/{id_}"
    assert ada("GET", "/repositories/1/pulls").status_code == 404


def test_a_deleted_repository_is_gone(github: GitHubClient, ada: Caller) -> None:
    github.delete_repository(REPOSITORY)
    assert ada("GET", "pulls/42").status_code == 404


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({"User-Agent": ""}, 403, "a client must name itself"),
        ({"X-GitHub-Api-Version": "2022-11-28"}, 200, "a version that is served"),
        ({"X-GitHub-Api-Version": "1999-01-01"}, 400, "a version that is not"),
        ({"Authorization": "Bearer unknown"}, 401, "an unknown token"),
        ({"Authorization": "Basic YTpi"}, 401, "another scheme"),
    ],
)
def test_headers_are_judged(ada: Caller, headers: dict[str, str], status: int, reason: str) -> None:
    assert ada("GET", "", **headers).status_code == status, reason


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        pytest.param(b"{", 400, "Problems parsing JSON", id="no JSON"),
        pytest.param(b"[]", 400, "Body should be a JSON object", id="no object"),
        pytest.param(b"", 422, '"body" wasn\'t supplied', id="nothing"),
        pytest.param(b'{"body": null}', 422, "For 'properties/body'", id="null"),
    ],
)
def test_bodies_are_judged(ada: Caller, body: bytes, status: int, message: str) -> None:
    answer = ada.session.post(f"{ada.github.api_url}/repos/{REPOSITORY}/{COMMENTS}", data=body)
    assert answer.status_code == status
    assert message in answer.json()["message"]
    assert answer.json()["status"] == str(status)


def test_an_answer_tells_the_time_of_the_service(github: GitHubClient, ada: Caller) -> None:
    before = parsedate_to_datetime(ada("GET", "").headers["Date"])
    github.advance(3600)
    after = parsedate_to_datetime(ada("GET", "/nowhere").headers["Date"])
    assert after - before == timedelta(hours=1)


def test_what_is_not_served_is_not_found_and_recorded(github: GitHubClient, ada: Caller) -> None:
    assert ada("GET", "/organizations").status_code == 404
    assert ada("PUT", "pulls/42").status_code == 404
    assert github.calls()["unknown"] == 2


def test_an_answer_that_github_would_not_give_is_a_defect(
    ada: Caller, github: GitHubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PullViews, "full_pull", lambda *_: {"number": 42})
    answer = ada("GET", "pulls/42")
    assert answer.status_code == 500
    assert "is no PullRequest" in answer.json()["message"]
    github.settings(strict=False)
    assert ada("GET", "pulls/42").status_code == 200


def test_requests_are_counted_by_operation(github: GitHubClient, ada: Caller) -> None:
    ada.get("pulls/42")
    ada.post(f"statuses/{HEAD}", state="pending")
    ada.graphql("{ rateLimit { cost } }")
    assert github.calls() == {"pulls/get": 1, "repos/create-commit-status": 1, "graphql": 1}
    assert github.writes() == ["repos/create-commit-status"]
    assert [(each["method"], each["status"], each["login"]) for each in github.log()] == [
        ("GET", 200, "ada"),
        ("POST", 201, "ada"),
        ("POST", 200, "ada"),
    ]
    github.forget_calls()
    assert github.calls() == {}
