"""The tutorial as it stands on its page, on the platform of the tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.operator import OperatorProcess

from eep_platform.containers import isolation
from eep_platform.platform import Platform

PAGE = Path(__file__).parent.parent / "docs" / "tutorial.md"
SECONDS = 900


def commands() -> list[str]:
    """What the page tells a reader to type, in order."""
    return re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.timeout(SECONDS)
def test_from_an_empty_folder_to_a_prediction(
    platform: Platform, operator_process: OperatorProcess, tmp_path: Path
) -> None:
    assert isolation.has_networks(), "the container of the page needs a network of its own"
    operator_process.run()
    up, *rest = commands()
    assert up == "make up\n", "the platform of the tests, which is up, takes its place"
    programs = tmp_path / "checkout" / ".venv"
    programs.mkdir(parents=True)
    (programs / "bin").symlink_to(Path(sys.executable).parent)
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "EEP_LOCAL_STATE": str(platform.state)}
    done = subprocess.run(  # noqa: S603 - the page's own commands
        ["/bin/bash", "-euo", "pipefail", "-c", "\n".join(rest)],
        cwd=programs.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '{"predictions":[0,2]}' in done.stdout
    assert "deleted" in done.stdout
