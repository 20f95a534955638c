import shlex
import subprocess
from pathlib import Path

import pytest

from ephemeral_endpoints.cli.main import main
from ephemeral_endpoints.local.platform import Platform


def test_status_of_nothing_says_how_to_start_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "a b"
    assert main(["local", "status", "--state", str(state)]) == 3
    assert f"eep local up --state {shlex.quote(str(state))}" in capsys.readouterr().err


def test_down_of_nothing_is_done(tmp_path: Path) -> None:
    assert main(["local", "down", "--state", str(tmp_path / "none")]) == 0


@pytest.mark.parametrize("action", ["up", "down"])
def test_a_folder_of_somebody_else_is_an_error_with_a_reason(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").touch()
    assert main(["local", action, "--state", str(tmp_path)]) == 1
    assert "name another folder with --state" in capsys.readouterr().err


def test_up_and_status_print_what_a_shell_can_evaluate(platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    state = ["--state", str(platform.state)]
    assert main(["local", "up", *state]) == 0
    told = capsys.readouterr().out
    assert main(["local", "status", *state]) == 0
    assert told in capsys.readouterr().out
    script = f'{told}\nprintf \'%s\\n\' "$KUBECONFIG" "$AWS_ENDPOINT_URL"'
    answer = subprocess.check_output(["/bin/sh", "-c", script], text=True, env={})  # noqa: S603 - prints what was told
    assert answer.splitlines() == [str(platform.kubeconfig), platform.aws_endpoint]
