import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ephemeral_endpoints.local.controlplane import gobuild
from ephemeral_endpoints.local.controlplane.binaries import APISERVER, PROGRAMS
from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.processes import wait_until

# Stands in for the toolchain, which takes minutes: `go build -o FILE …`, writing half of the file before it goes on.
GO = """#!/bin/sh
set -e
mkdir -p "$GOMODCACHE/x"; echo half > "$3"; echo "$3" >> "$HOME/built"
{body}
echo whole > "$3"; chmod +x "$3"
"""

BUILDER = """
import os, sys
from pathlib import Path
from ephemeral_endpoints.local.controlplane import gobuild
gobuild.build(Path(sys.argv[1]), os.environ, print)
"""


class Workshop:
    """A toolchain that does as the test says, and a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.go = folder / "go"
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        self.reports: list[str] = []

    def toolchain(self, body: str = "") -> None:
        """Install a toolchain that runs `body` between the two halves of its work."""
        self.go.write_text(GO.format(body=body))
        self.go.chmod(0o755)

    def build(self) -> list[str]:
        """Build, and return what is in each program."""
        binaries = gobuild.build(self.go, self.environ, self.reports.append)
        return [(binaries[program]).read_text().strip() for program in PROGRAMS]

    @property
    def attempts(self) -> list[str]:
        """The programs that the toolchain was run for, in order."""
        return [Path(line).name.lstrip(".") for line in (self.folder / "built").read_text().split()]


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setattr(gobuild, "_NEEDED_BYTES", 0)
    return Workshop(tmp_path)


def test_the_pinned_version_is_read_from_the_module() -> None:
    version, major, minor = gobuild.kubernetes_version()
    assert version.startswith(f"v{major}.{minor}.")


def test_what_was_built_is_complete_and_found_again(workshop: Workshop) -> None:
    workshop.toolchain()
    assert gobuild.cached(workshop.environ) is None
    assert workshop.build() == ["whole"] * 3
    assert gobuild.cached(workshop.environ) is not None
    assert workshop.build() == ["whole"] * 3
    assert workshop.attempts == list(PROGRAMS)


def test_nothing_is_written_outside_the_cache_and_the_compilers_caches_are_dropped(workshop: Workshop) -> None:
    workshop.toolchain('[ "${GOCACHE#$HOME/.cache/}" != "$GOCACHE" ] && [ "$GOPROXY" = "https://modules.example" ]')
    workshop.environ["GOPROXY"] = "https://modules.example"
    workshop.build()
    assert {path.name for path in workshop.folder.iterdir()} == {".cache", "go", "built"}
    cache = workshop.folder / ".cache" / "ephemeral-endpoints" / "controlplane"
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == [
        path.name for path in cache.iterdir() if (path / APISERVER).exists()
    ]


def test_a_failed_build_leaves_no_program_and_quotes_the_compiler(workshop: Workshop) -> None:
    workshop.toolchain("echo 'dial tcp: connection refused' >&2; exit 1")
    with pytest.raises(PlatformError, match=r"GOPROXY[\s\S]*connection refused"):
        workshop.build()
    assert gobuild.cached(workshop.environ) is None


def test_a_build_goes_on_where_a_failed_one_ended(workshop: Workshop) -> None:
    workshop.toolchain('case "$3" in *kube-apiserver) exit 1;; esac')
    with pytest.raises(PlatformError, match=APISERVER):
        workshop.build()
    workshop.toolchain()
    assert workshop.build() == ["whole"] * 3
    assert workshop.attempts.count("etcd") == 1


def test_a_killed_builder_leaves_no_half_program_and_its_compiler_keeps_others_waiting(workshop: Workshop) -> None:
    workshop.toolchain('while [ -e "$HOME/hold" ]; do sleep 0.05; done')
    (workshop.folder / "hold").touch()
    builder = subprocess.Popen(  # noqa: S603 - a literal program
        [sys.executable, "-c", BUILDER, workshop.go],
        env={**workshop.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
    )
    wait_until((workshop.folder / "built").exists, seconds=20, what="the compiler at work")
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    assert gobuild.cached(workshop.environ) is None

    def report(line: str) -> None:
        workshop.reports.append(line)
        (workshop.folder / "hold").unlink(missing_ok=True)

    gobuild.build(workshop.go, workshop.environ, report)
    assert workshop.reports[0].startswith("waiting for")
    assert workshop.build() == ["whole"] * 3


def test_progress_is_reported_while_a_program_is_built(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "_REPORT_SECONDS", 0.02)
    workshop.toolchain("sleep 0.1")
    workshop.build()
    assert any("[1/3] etcd: 0 s" in line for line in workshop.reports)
    assert any(line.startswith("  [3/3]") for line in workshop.reports)


def test_a_disk_that_is_too_small_is_refused_before_the_work(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gobuild, "_NEEDED_BYTES", 1 << 60)
    workshop.toolchain()
    with pytest.raises(PlatformError, match="XDG_CACHE_HOME"):
        workshop.build()
    assert not (workshop.folder / "built").exists()
