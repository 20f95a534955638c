import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.fixtures.command import eep
from tests.fixtures.disk import SmallDisk

from eep_platform.platform import Platform


@pytest.mark.parametrize("action", ["status", "push"])
def test_what_needs_a_platform_that_does_not_run_says_how_to_start_it(action: str, tmp_path: Path) -> None:
    state = tmp_path / "a b"
    result = eep("local", action, "--state", str(state))
    assert result.exit_code == 3
    assert f"eep local up --state {shlex.quote(str(state))}" in result.stderr


def test_down_of_nothing_is_done(tmp_path: Path) -> None:
    assert eep("local", "down", "--state", str(tmp_path / "none")).exit_code == 0


@pytest.mark.parametrize("action", ["up", "down"])
def test_a_folder_of_somebody_else_is_an_error_with_a_reason(action: str, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    result = eep("local", action, "--state", str(tmp_path))
    assert result.exit_code == 1
    assert "choose another folder with --state" in result.stderr


def test_a_full_disk_is_an_error_with_a_remedy(small_disk: SmallDisk) -> None:
    small_disk.fill()
    result = eep("local", "up", "--state", str(small_disk.path / "state"))
    assert result.exit_code == 1
    assert "The disk is full" in result.stderr
    assert "Free some space" in result.stderr
    assert "Traceback" not in result.stderr


def test_up_and_status_print_what_a_shell_can_evaluate(platform: Platform) -> None:
    state = ["--state", str(platform.state)]
    up = eep("local", "up", *state)
    assert up.exit_code == 0
    status = eep("local", "status", *state)
    assert status.exit_code == 0
    assert up.stdout in status.stdout
    script = f'{up.stdout}\nprintf \'%s\\n\' "$KUBECONFIG" "$AWS_ENDPOINT_URL"'
    answer = subprocess.check_output(["/bin/sh", "-c", script], text=True, env={})  # noqa: S603 - prints what was set
    assert answer.splitlines() == [str(platform.kubeconfig), platform.aws_endpoint]


def test_push_prints_an_object_of_the_commit_that_it_pushed(platform: Platform) -> None:
    result = eep("local", "push", "--state", str(platform.state))
    assert result.exit_code == 0
    [revision, *_] = result.stderr.split()
    assert revision in str(yaml.safe_load(result.stdout)["spec"])
