from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from tests.eep_platform.github.conftest import HEAD, Caller
from tests.fixtures.github import REPOSITORY
from tests.fixtures.waiting import eventually

from eep_platform.errors import PlatformError
from eep_platform.github.client import GitHubClient

STATUS = f"statuses/{HEAD}"
CREATE = "repos/create-commit-status"

pytestmark = pytest.mark.usefixtures("pull")


def made(github: GitHubClient) -> int:
    return len(github.seen(REPOSITORY, 42).statuses)


@pytest.mark.parametrize(
    ("trouble", "status", "header"),
    [
        pytest.param({"effect": "error", "status": 404}, 404, "application/json", id="not found"),
        pytest.param({"effect": "error", "status": 403}, 403, "application/json", id="forbidden"),
        pytest.param({"effect": "error", "status": 502}, 502, "application/json", id="bad gateway"),
        pytest.param({"effect": "html"}, 200, "text/html", id="a page"),
        pytest.param({"effect": "empty"}, 200, "application/json", id="nothing"),
        pytest.param({"effect": "primary_limit"}, 403, "application/json", id="out of requests"),
        pytest.param({"effect": "secondary_limit", "retry_after": 7}, 403, "application/json", id="too fast"),
    ],
)
def test_a_request_is_answered_otherwise_and_nothing_is_done(
    github: GitHubClient, ada: Caller, trouble: dict[str, Any], status: int, header: str
) -> None:
    github.trouble({"operation": CREATE, **trouble})
    answer = ada("POST", STATUS, {"state": "success"})
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (status, header)
    assert answer.headers.get("retry-after") == ("7" if "retry_after" in trouble else None)
    assert made(github) == 0
    assert ada("GET", "pulls/42").status_code == 200, "other operations pass"
    github.trouble()
    assert ada("POST", STATUS, {"state": "success"}).status_code == 201


@pytest.mark.parametrize(("effect", "done"), [("reset", 0), ("answer_lost", 1)])
def test_a_connection_ends_without_an_answer(github: GitHubClient, ada: Caller, effect: str, done: int) -> None:
    github.trouble({"operation": CREATE, "effect": effect, "times": 1})
    with pytest.raises(requests.ConnectionError):
        ada("POST", STATUS, {"state": "success"})
    assert made(github) == done
    assert github.log()[-1]["status"] is None
    assert ada("POST", STATUS, {"state": "success"}).status_code == 201


def test_graphql_is_an_operation(github: GitHubClient, ada: Caller) -> None:
    body = {"query": "{ rateLimit { cost } }"}
    github.trouble({"operation": "graphql", "effect": "error", "status": 503})
    assert ada.session.post(github.graphql_url, json=body).status_code == 503
    github.trouble({"operation": "graphql", "effect": "primary_limit"})
    refused = ada.session.post(github.graphql_url, json=body)
    assert (refused.status_code, refused.json()["errors"][0]["type"]) == (200, "RATE_LIMITED")


def test_a_used_up_limit_says_when_it_is_renewed(github: GitHubClient, ada: Caller) -> None:
    now = int(ada("GET", "").headers["x-ratelimit-reset"]) - 3600
    github.trouble({"effect": "primary_limit", "retry_after": 90})
    headers = ada("GET", "").headers
    assert (headers["x-ratelimit-remaining"], int(headers["x-ratelimit-reset"]) - now) == ("0", 90)


def test_some_are_spared_before_some_are_hit(github: GitHubClient, ada: Caller) -> None:
    github.trouble({"operation": "pulls/*", "effect": "error", "skip": 1, "times": 2})
    assert [ada("GET", "pulls/42").status_code for _ in range(4)] == [200, 500, 500, 200]
    github.trouble({"operation": "pulls/*", "effect": "error", "skip": 1, "times": 2})
    assert [ada("GET", "pulls/42").status_code for _ in range(2)] == [200, 500], "counted anew"


def test_troubles_are_of_a_repository_and_the_first_counts(github: GitHubClient, ada: Caller) -> None:
    github.trouble(
        {"repository": "acme/other", "effect": "error", "status": 404},
        {"repository": "acme/*", "effect": "error", "status": 502, "times": 1},
        {"effect": "error", "status": 503},
    )
    assert [ada("GET", "pulls/42").status_code, ada("GET", "pulls/42").status_code] == [502, 503]


def test_a_held_request_waits_until_all_is_well(github: GitHubClient, ada: Caller) -> None:
    github.trouble({"operation": CREATE, "held": True})
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(ada, "POST", STATUS, {"state": "success"})
        eventually(lambda: github.calls().get(CREATE), "the request's arrival")
        assert made(github) == 0
        github.trouble()
        assert answer.result(60).status_code == 201


@pytest.mark.parametrize("trouble", [{}, {"effect": "explode"}, {"effect": "error", "status": 200}, {"operatoin": "x"}])
def test_a_trouble_that_makes_no_sense_is_refused(github: GitHubClient, trouble: dict[str, Any]) -> None:
    with pytest.raises(PlatformError, match="400"):
        github.trouble(trouble)
