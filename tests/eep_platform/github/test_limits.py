from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.eep_platform.github.conftest import HEAD, Caller, signed
from tests.fixtures.github import REPOSITORY
from tests.fixtures.waiting import eventually

from eep_platform.github.client import GitHubClient

STATUS = f"statuses/{HEAD}"
As = Callable[[str | None], Caller]

pytestmark = pytest.mark.usefixtures("pull")


def test_the_hour_has_so_many_requests_and_begins_with_the_first(github: GitHubClient, ada: Caller, as_: As) -> None:
    github.settings(limits={"core_per_hour": 2})
    first = ada("GET", "")
    assert {name: first.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "used", "resource")} == {
        "limit": "2",
        "remaining": "1",
        "used": "1",
        "resource": "core",
    }
    assert ada("GET", "").status_code == 200
    refused = ada("GET", "", If_None_Match=first.headers["ETag"])
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "0")
    assert "retry-after" not in refused.headers
    assert refused.json()["message"].startswith("API rate limit exceeded for user ID")
    another_token_of_hers = as_(github.add_token("ada"))
    assert another_token_of_hers("GET", "").status_code == 403, "the limit is the user's"
    assert ada.get("/rate_limit")["resources"]["core"]["remaining"] == 0, "asking is free"
    github.advance(int(refused.headers["x-ratelimit-reset"]) - int(first.headers["x-ratelimit-reset"]) + 3600)
    assert ada("GET", "").status_code == 200


def test_graphql_has_points_of_its_own_and_refuses_with_status_200(github: GitHubClient, ada: Caller) -> None:
    github.settings(limits={"graphql_per_hour": 1})
    ada.graphql("{ rateLimit { cost } }")
    answer = ada.session.post(github.graphql_url, json={"query": "{ rateLimit { cost } }"})
    assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, "0")
    assert answer.json()["errors"][0]["type"] == "RATE_LIMITED"
    assert ada("GET", "").status_code == 200


def test_content_is_limited_by_minute_and_by_hour(github: GitHubClient, ada: Caller) -> None:
    github.settings(limits={"content_per_minute": 2, "content_per_hour": 3})
    for _ in range(2):
        assert ada("POST", STATUS, {"state": "pending"}).status_code == 201
    by_minute = ada("POST", STATUS, {"state": "pending"})
    assert (by_minute.status_code, by_minute.headers["retry-after"]) == (403, "60")
    assert "secondary rate limit" in by_minute.json()["message"]
    assert ada("GET", "").status_code == 200, "reading makes no content"
    github.advance(60)
    assert ada("POST", STATUS, {"state": "pending"}).status_code == 201, "what was refused did not count"
    by_hour = ada("POST", STATUS, {"state": "pending"})
    assert (by_hour.status_code, by_hour.headers["retry-after"]) == (403, "3540")
    github.advance(3540)
    assert ada("POST", STATUS, {"state": "pending"}).status_code == 201


def test_a_write_counts_five_points_a_read_one(github: GitHubClient, ada: Caller) -> None:
    github.settings(limits={"rest_points_per_minute": 7})
    ada.get("")
    ada.post(STATUS, state="pending")
    ada.get("")
    assert ada("GET", "").status_code == 403
    github.settings(limits={"graphql_points_per_minute": 1})
    ada.graphql("{ rateLimit { cost } }")
    refused = ada.session.post(github.graphql_url, json={"query": "{ rateLimit { cost } }"})
    assert (refused.status_code, refused.headers["retry-after"]) == (403, "60")


def test_too_many_at_once_are_refused(github: GitHubClient, ada: Caller) -> None:
    github.settings(limits={"concurrent": 1})
    github.trouble({"operation": "repos/get", "held": True})
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(ada, "GET", "")
        eventually(github.calls, "the first request's arrival")
        second = ada("GET", "pulls/42")
        assert (second.status_code, second.headers["retry-after"]) == (403, "60")
        github.trouble()
        assert first.result(60).status_code == 200
    assert ada("GET", "pulls/42").status_code == 200


def test_limits_are_by_user_and_by_installation(github: GitHubClient, ada: Caller, installation: Caller) -> None:
    github.settings(limits={"content_per_minute": 1})
    assert ada("POST", STATUS, {"state": "pending"}).status_code == 201
    assert installation("POST", STATUS, {"state": "pending"}).status_code == 201
    assert ada("POST", STATUS, {"state": "pending"}).status_code == 403
    assert installation("POST", STATUS, {"state": "pending"}).status_code == 403


def test_an_installation_in_many_repositories_has_more_requests(github: GitHubClient, as_: As) -> None:
    names = [f"acme/r{number}" for number in range(30)]
    for name in names:
        github.add_repository(name)
    app = github.add_app("many", names)
    from_app = as_(signed(app))
    token = from_app.post(f"/app/installations/{app.installation_id}/access_tokens")["token"]
    assert as_(token)("GET", "/repos/acme/r0").headers["x-ratelimit-limit"] == str(5000 + 10 * 50)


def test_nobody_has_few_requests(github: GitHubClient, as_: As) -> None:
    github.add_repository("acme/open", private=False)
    answer = as_(None)("GET", "/repos/acme/open")
    assert answer.headers["x-ratelimit-limit"] == "60"
    again = as_(None)("GET", "/repos/acme/open", If_None_Match=answer.headers["ETag"])
    assert (again.status_code, again.headers["x-ratelimit-remaining"]) == (304, "58"), "not free without a token"
    assert as_(None)("POST", f"/repos/{REPOSITORY}/{STATUS}", {"state": "pending"}).status_code == 404
