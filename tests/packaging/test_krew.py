"""The template of the plugin's manifest: https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.packaging.environments import ROOT

from ephemeral_endpoints import __version__

KREW = ROOT / "packaging" / "krew"
PLUGIN: dict[str, Any] = yaml.safe_load((KREW / "eep.yaml").read_text())
[PLATFORM] = PLUGIN["spec"]["platforms"]


def test_the_manifest_is_one_that_krew_takes() -> None:
    assert (PLUGIN["apiVersion"], PLUGIN["kind"]) == ("krew.googlecontainertools.github.com/v1alpha2", "Plugin")
    spec = PLUGIN["spec"]
    assert PLUGIN["metadata"]["name"] == "eep"
    assert re.fullmatch(r"v\d+\.\d+\.\d+", spec["version"])
    assert len(spec["shortDescription"]) <= 50
    assert not spec["shortDescription"].endswith(".")
    assert max(map(len, spec["description"].splitlines())) <= 80


def test_it_is_of_this_version() -> None:
    assert PLUGIN["spec"]["version"] == f"v{__version__}"
    assert PLATFORM["uri"].endswith(f"/v{__version__}.tar.gz")
    assert f"\npackage=ephemeral-endpoints=={__version__}\n" in (KREW / "kubectl-eep").read_text()


def test_its_files_are_in_the_archive_of_the_repository_and_one_can_be_run() -> None:
    for each in PLATFORM["files"]:
        assert (ROOT / each["from"].removeprefix("*/")).is_file()
    program = KREW / PLATFORM["bin"]
    assert f"*/{program.relative_to(ROOT)}" in {each["from"] for each in PLATFORM["files"]}
    assert os.access(program, os.X_OK)


@pytest.mark.parametrize(
    ("runner", "expected"),
    [
        ("uvx", f"--quiet --from ephemeral-endpoints=={__version__} kubectl-eep list -A"),
        ("pipx", f"run --spec ephemeral-endpoints=={__version__} kubectl-eep list -A"),
        (None, None),
    ],
)
def test_it_runs_eep_with_what_is_there(runner: str | None, expected: str | None, tmp_path: Path) -> None:
    if runner:
        (tmp_path / runner).write_text('#!/bin/sh\necho "$@"\n')
        (tmp_path / runner).chmod(0o755)
    command = ["/bin/sh", str(KREW / "kubectl-eep"), "list", "-A"]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if expected:
        assert (done.returncode, done.stdout.strip()) == (0, expected)
    else:
        assert done.returncode == 1
        assert "needs uv" in done.stderr
