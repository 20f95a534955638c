from base64 import b64decode
from pathlib import Path

import pytest
import requests
from click.testing import Result
from tests.eep_platform.cli.test_local import folder_named
from tests.fixtures.command import eep

from eep_platform.platform import Platform
from eep_platform.workbench import Workbench

REPOSITORY = "acme/pr"


def pr(platform: Platform, *arguments: str) -> Result:
    return eep("local", "pr", *arguments, "--repository", REPOSITORY, "--state", str(platform.state))


def head(platform: Platform, tmp_path: Path, content: str) -> str:
    """Commit something to the branch pr-42; returns its SHA."""
    folder = tmp_path / "model"
    if not folder.exists():
        folder_named(tmp_path, "model")
    (folder / "app.py").write_text(content)
    state = ["--state", str(platform.state)]
    pushed = eep("local", "push", str(folder), *state, "--repository", REPOSITORY, "--pull-request", "42")
    assert pushed.exit_code == 0
    return pushed.stderr.split()[0]


def test_the_life_of_a_pull_request_from_a_terminal(platform: Platform, tmp_path: Path) -> None:
    first = head(platform, tmp_path, "1")
    opened = pr(platform, "open", "42", "--title", "Regularize less")
    assert opened.exit_code == 0, opened.stderr
    assert f"{platform.github_url}/{REPOSITORY}/pull/42" in opened.stderr
    assert platform.github.seen(REPOSITORY, 42).pull["head"]["sha"] == first

    second = head(platform, tmp_path, "2")
    assert pr(platform, "push", "42").exit_code == 0
    assert platform.github.seen(REPOSITORY, 42).pull["head"]["sha"] == second

    assert pr(platform, "comment", "42", "/preview extend 24h", "--as", "eve").exit_code == 0
    shown = pr(platform, "show", "42").stdout
    assert shown.startswith("open: Regularize less #42")
    assert "comment of eve:\n  /preview extend 24h" in shown

    for action, state in (("close", "closed"), ("reopen", "open"), ("merge", "merged")):
        assert pr(platform, action, "42").stderr.startswith(f"{state}:")
    again = pr(platform, "merge", "42")
    assert again.exit_code == 1
    assert "closed already" in again.stderr


def test_a_branch_that_does_not_exist_is_an_error_with_a_remedy(platform: Platform) -> None:
    result = pr(platform, "open", "43")
    assert result.exit_code == 1
    assert "has no branch pr-43" in result.stderr
    assert "eep local push" in result.stderr


def test_the_platform_has_a_repository_and_a_token_for_its_operator(platform: Platform) -> None:
    secret = Workbench(platform).core.read_namespaced_secret("forge-github", "default")
    token = b64decode((secret.data or {})["token"]).decode()
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{platform.github.api_url}/repos/acme/wine"
    answer = requests.get(url, headers=headers, timeout=60)
    assert answer.status_code == 200
    assert answer.json()["permissions"]["push"] is True


@pytest.mark.parametrize("action", ["merge", "show"])
def test_without_a_platform_there_is_nothing_to_act_on(action: str, tmp_path: Path) -> None:
    result = eep("local", "pr", action, "1", "--state", str(tmp_path / "none"))
    assert result.exit_code == 3
    assert "eep local up" in result.stderr
