from typing import Any

import pytest
from tests.eep_platform.github.conftest import HEAD, Caller
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient, sha_of

HARMLESS = {"auto_merge": False, "required_contexts": []}
PREVIEW = {**HARMLESS, "environment": "preview", "transient_environment": True}

pytestmark = pytest.mark.usefixtures("pull")


def deploy(ada: Caller, **more: Any) -> Any:  # noqa: ANN401 - JSON
    return ada.post("deployments", **{"ref": HEAD, **PREVIEW, **more})


def states(ada: Caller, deployment: dict[str, Any]) -> list[str]:
    return [each["state"] for each in ada.get(deployment["statuses_url"])]


def test_without_further_words_a_deployment_is_of_production(ada: Caller) -> None:
    made = ada.post("deployments", ref="less")
    assert (made["sha"], made["ref"], made["environment"]) == (HEAD, "less", "production")
    assert (made["production_environment"], made["transient_environment"], made["task"]) == (True, False, "deploy")


def test_a_branch_that_is_behind_is_merged_instead_of_deployed(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, sha_of("other"), number=43)
    github.merge(REPOSITORY, 43)
    answer = ada("POST", "deployments", {"ref": "less"})
    assert (answer.status_code, answer.json()["message"]) == (202, "Auto-merged main into less on deployment.")
    assert github.seen(REPOSITORY, 42).pull["head"]["sha"] != HEAD
    assert github.seen(REPOSITORY, 42).deployments == []
    assert ada("POST", "deployments", {"ref": "less"}).status_code == 201


def test_a_commit_that_is_behind_cannot_be_merged_into(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, sha_of("other"), number=43)
    github.merge(REPOSITORY, 43)
    assert ada("POST", "deployments", {"ref": HEAD}).status_code == 409
    assert ada("POST", "deployments", {"ref": HEAD, **HARMLESS}).status_code == 201


@pytest.mark.parametrize(
    ("contexts", "status", "reason"),
    [
        (None, 409, "all contexts are required by default"),
        (["lint", "build"], 409, "one of them failed"),
        (["absent"], 409, "a context that nobody reported is not green"),
        (["lint"], 201, "this one is green"),
        ([], 201, "none is required"),
    ],
)
def test_contexts_must_be_green(ada: Caller, contexts: list[str] | None, status: int, reason: str) -> None:
    ada.post(f"statuses/{HEAD}", state="success", context="lint")
    ada.post(f"statuses/{HEAD}", state="failure", context="build")
    body = {"ref": HEAD, "auto_merge": False, "required_contexts": contexts}
    answer = ada("POST", "deployments", body)
    assert answer.status_code == status, reason
    if status == 409:
        assert answer.json()["errors"][0]["field"] == "required_contexts"


@pytest.mark.parametrize("ref", ["", "no-such-branch", HEAD[:12], sha_of("unknown")])
def test_a_ref_that_is_no_commit_here_is_refused(ada: Caller, ref: str) -> None:
    answer = ada("POST", "deployments", {"ref": ref, **HARMLESS})
    assert (answer.status_code, answer.json()["message"]) == (422, f"No ref found for: {ref}")


def test_a_description_is_as_short_as_that_of_a_status(ada: Caller) -> None:
    assert ada("POST", "deployments", {"ref": HEAD, **HARMLESS, "description": "x" * 141}).status_code == 422
    assert deploy(ada, description="x" * 140)["description"] == "x" * 140


def test_lists_are_filtered_and_begin_with_the_newest(ada: Caller, github: GitHubClient) -> None:
    github.push(REPOSITORY, 42, sha_of("second"))
    first, second = deploy(ada), deploy(ada, ref=sha_of("second"))
    elsewhere = deploy(ada, environment="staging", task="check")
    assert [each["id"] for each in ada.get("deployments")] == [elsewhere["id"], second["id"], first["id"]]
    for query, found in {
        f"sha={HEAD}": [elsewhere, first],
        f"ref={sha_of('second')}": [second],
        "environment=preview": [second, first],
        "task=check": [elsewhere],
        f"sha={HEAD}&environment=preview": [first],
    }.items():
        assert [each["id"] for each in ada.get(f"deployments?{query}")] == [each["id"] for each in found], query


def test_a_success_ends_only_prior_successes_that_are_neither_transient_nor_of_production(ada: Caller) -> None:
    members: dict[str, dict[str, Any]] = {
        "plain": {"transient_environment": False},
        "transient": {},
        "production": {"transient_environment": False, "production_environment": True},
        "elsewhere": {"transient_environment": False, "environment": "staging"},
        "failed": {"transient_environment": False},
    }
    old = {name: deploy(ada, **more) for name, more in members.items()}
    for name, each in old.items():
        ada.post(each["statuses_url"], state="failure" if name == "failed" else "success", auto_inactive=False)
    newest, later = deploy(ada), deploy(ada, transient_environment=False)
    ada.post(later["statuses_url"], state="success", auto_inactive=False)
    ada.post(newest["statuses_url"], state="success")
    ended = {name for name, each in old.items() if states(ada, each)[0] == "inactive"}
    assert ended == {"plain"}
    assert states(ada, later) == ["success"]


def test_statuses_carry_urls_and_begin_with_the_newest(ada: Caller) -> None:
    made = deploy(ada)
    ada.post(made["statuses_url"], state="in_progress", log_url="https://logs.example", description="Building")
    newest = ada.post(made["statuses_url"], state="success", environment_url="https://pr-42.example")
    assert newest["environment_url"] == "https://pr-42.example"
    assert states(ada, made) == ["success", "in_progress"]
    assert ada.get(made["statuses_url"] + "?per_page=1&page=2")[0]["log_url"] == "https://logs.example"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"state": "success", "description": "x" * 140}, 201, "as long as may be"),
        ({"state": "success", "description": "x" * 141}, 422, "one too many"),
        ({"state": "destroyed"}, 422, "no state"),
        ({}, 422, "no state at all"),
        ({"state": "success", "environment_url": "javascript:alert(1)"}, 422, "not of the web"),
        ({"state": "success", "environment_url": "http://[::"}, 422, "no URL"),
        ({"state": "success", "log_url": 7}, 422, "no text"),
    ],
)
def test_statuses_are_judged(ada: Caller, body: dict[str, Any], status: int, reason: str) -> None:
    assert ada("POST", deploy(ada)["statuses_url"], body).status_code == status, reason


def test_what_does_not_exist_is_not_found(ada: Caller) -> None:
    for path in ("deployments/1", "deployments/x", "deployments/1/statuses"):
        assert ada("GET", path).status_code == 404
    made = deploy(ada)
    assert ada.get(made["url"])["id"] == made["id"]
