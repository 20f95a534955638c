import subprocess
import sys
from pathlib import Path

import pytest
import requests
from tests.eep_platform.github.conftest import HEAD, Caller
from tests.fixtures.github import REPOSITORY
from tests.fixtures.waiting import eventually

from eep_platform.errors import PlatformError
from eep_platform.github.client import GitHubClient, sha_of
from eep_platform.processes import free_port

OPERATOR = Path(__file__).parents[3] / "operator"


def test_what_is_on_a_pull_request_can_be_seen_at_once(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, HEAD, number=42)
    github.open(REPOSITORY, sha_of("other"), number=43)
    deployment = ada.post("deployments", ref=HEAD, environment="preview", auto_merge=False, required_contexts=[])
    ada.post(deployment["statuses_url"], state="queued")
    ada.post(f"statuses/{HEAD}", state="pending", context="eep")
    comment = ada.post("issues/42/comments", body="Ready")
    ada.post(f"{comment['url']}/reactions", content="eyes")
    before = github.calls()
    seen = github.seen(REPOSITORY, 42)
    assert seen.pull["number"] == 42
    assert [each["environment"] for each in seen.deployments] == ["preview"]
    assert [each["state"] for each in seen.deployments[0]["statuses"]] == ["queued"]
    assert [(each["context"], each["sha"]) for each in seen.statuses] == [("eep", HEAD)]
    assert [(each["body"], each["all_reactions"]) for each in seen.comments] == [("Ready", [["ada", "eyes"]])]
    other = github.seen(REPOSITORY, 43)
    assert (other.comments, other.deployments, other.statuses) == ([], [], [])
    assert github.calls() == before, "looking is no request"


def test_what_cannot_be_at_github_cannot_be_made(github: GitHubClient) -> None:
    github.open(REPOSITORY, HEAD, number=42)
    with pytest.raises(PlatformError, match="already"):
        github.open(REPOSITORY, sha_of("x"), number=42)
    with pytest.raises(PlatformError, match="has the commit"):
        github.push(REPOSITORY, 42, HEAD)
    with pytest.raises(PlatformError, match="400"):
        github.open(REPOSITORY, "0123abc")
    with pytest.raises(PlatformError, match="is open"):
        github.reopen(REPOSITORY, 42)
    github.merge(REPOSITORY, 42)
    with pytest.raises(PlatformError, match="cannot be reopened"):
        github.reopen(REPOSITORY, 42)
    with pytest.raises(PlatformError, match="closed already"):
        github.close(REPOSITORY, 42)
    with pytest.raises(PlatformError, match="does not change it"):
        github.push(REPOSITORY, 42, sha_of("late"))
    with pytest.raises(PlatformError, match="404"):
        github.comment("acme/none", 1, "eve", "x")


def test_pull_requests_get_the_next_number(github: GitHubClient) -> None:
    github.open(REPOSITORY, HEAD, number=7)
    assert github.open(REPOSITORY, sha_of("x"))["number"] == 8


def test_a_reset_leaves_nothing_and_the_defaults(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, HEAD, number=42)
    github.settings(limits={"core_per_hour": 1})
    github.reset()
    assert ada("GET", "").status_code == 401
    assert github.settings()["limits"]["core_per_hour"] == 5000
    github.add_repository(REPOSITORY)
    github.add_collaborator(REPOSITORY, "ada", "write")
    with pytest.raises(PlatformError, match="404"):
        github.seen(REPOSITORY, 42)


def test_a_service_that_does_not_run_is_named() -> None:
    with pytest.raises(PlatformError, match="does not answer"):
        GitHubClient("http://127.0.0.1:9").calls()


def test_the_program_serves_and_ends_on_a_signal() -> None:
    port = free_port()
    command = [sys.executable, "-m", "eep_platform.github", "--port", str(port)]
    with subprocess.Popen(command, cwd=OPERATOR, stderr=subprocess.PIPE) as process:  # noqa: S603 - own code
        try:
            client = GitHubClient(f"http://127.0.0.1:{port}")
            eventually(lambda: _answers(client), "the service")
            pull = client.add_repository(REPOSITORY)
            assert pull["html_url"] == f"{client.url}/{REPOSITORY}"
            process.terminate()
            assert process.stderr is not None
            assert b"Traceback" not in process.stderr.read()
            assert process.wait(60) == 0
        finally:
            process.kill()


def _answers(client: GitHubClient) -> bool:
    try:
        return requests.get(f"{client.url}/_github/settings", timeout=5).ok
    except requests.RequestException:
        return False
