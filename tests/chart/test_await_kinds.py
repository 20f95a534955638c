"""The program with which an installation waits for its kinds, as its Job runs it."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.chart.rendering import CHART

from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.api.kinds import KINDS

SCRIPT = (CHART / "files/await_kinds.py").read_text(encoding="utf-8")
CRDS = CHART / "files/crds"


def run(control_plane: ControlPlane, script: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBECONFIG": str(control_plane.kubeconfig)}
    return subprocess.run(  # noqa: S603 - the program under test
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(scope="module")
def impatient() -> str:
    assert "LOOKS: Final = 240" in SCRIPT
    return SCRIPT.replace("LOOKS: Final = 240", "LOOKS: Final = 2")


def test_it_waits_for_every_kind() -> None:
    (names,) = re.findall(r"^KINDS: Final = (\{.*\})$", SCRIPT, re.MULTILINE)
    assert ast.literal_eval(names) == {kind.plural for kind in KINDS}


def test_it_ends_well_as_soon_as_the_kinds_are_served(control_plane: ControlPlane) -> None:
    kubectl = Path(sys.executable).parent / "kubectl"
    command: list[str | Path] = [
        kubectl,
        f"--kubeconfig={control_plane.kubeconfig}",
        "apply",
        "--server-side",
        "--force-conflicts",
    ]
    subprocess.run([*command, f"--filename={CRDS}"], check=True, capture_output=True)  # noqa: S603 - the test's own words
    done = run(control_plane, SCRIPT)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_says_what_may_be_missing(control_plane: ControlPlane, impatient: str) -> None:
    done = run(control_plane, impatient.replace('"ephemeral-endpoints.io"', '"missing.example.org"'))
    assert done.returncode == 1
    assert done.stderr == "the API server does not serve missing.example.org: are its CRDs installed (crds.install)?\n"


def test_it_waits_for_an_api_server_that_does_not_answer(tmp_path: Path, impatient: str) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],"
        " clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}], users: [{name: u, user: {}}]}"
    )
    done = subprocess.run(  # noqa: S603 - the program under test
        [sys.executable, "-c", impatient],
        env={**os.environ, "KUBECONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "does not serve" in done.stderr
