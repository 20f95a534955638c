import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from eep_platform import gobuild
from eep_platform.errors import PlatformError
from eep_platform.gobuild import Module
from eep_platform.processes import wait_until

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
from eep_platform.gobuild import Module
home = Path(os.environ["HOME"])
packages = {"anvil": "example.org/forge/anvil", "bellows": "example.org/forge/bellows"}
Module("the forge", home / "sources", Path("forge"), packages, {}, 0, "no time").build(
    Path(sys.argv[1]), os.environ, print
)
"""


class Workshop:
    """A toolchain that does as the test says, a home of its own, and a module of two programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.go = folder / "go"
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        self.reports: list[str] = []
        self.module = Module(
            title="the forge",
            sources=folder / "sources",
            cache=Path("forge"),
            packages={"anvil": "example.org/forge/anvil", "bellows": "example.org/forge/bellows"},
            stamps={},
            needed_bytes=0,
            effort="no time",
            advice="; try a hammer",
        )
        self.module.sources.mkdir()
        (self.module.sources / "go.mod").write_text("require example.org/iron v1.2.3\n")
        (self.module.sources / "go.sum").write_text("")

    def toolchain(self, body: str = "") -> None:
        """Install a toolchain that runs `body` between the two halves of its work."""
        self.go.write_text(GO.format(body=body))
        self.go.chmod(0o755)

    def build(self) -> list[str]:
        """Build, and return what is in each program."""
        folder = self.module.build(self.go, self.environ, self.reports.append)
        return [(folder / program).read_text().strip() for program in self.module.packages]

    @property
    def attempts(self) -> list[str]:
        """The programs that the toolchain was run for, in order."""
        return [Path(line).name.lstrip(".") for line in (self.folder / "built").read_text().split()]


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_the_pinned_version_is_read_from_the_module(workshop: Workshop) -> None:
    assert gobuild.required_version(workshop.module.sources, "example.org/iron") == "v1.2.3"
    with pytest.raises(PlatformError, match=r"requires no example\.org/ir"):
        gobuild.required_version(workshop.module.sources, "example.org/ir")


def test_what_was_built_is_complete_and_found_again(workshop: Workshop) -> None:
    workshop.toolchain()
    assert workshop.module.cached(workshop.environ) is None
    assert workshop.build() == ["whole"] * 2
    assert workshop.module.cached(workshop.environ) is not None
    assert workshop.build() == ["whole"] * 2
    assert workshop.attempts == ["anvil", "bellows"]


@pytest.mark.parametrize("change", ["go.mod", "go.sum", "main.go", "stamps", "packages", "tags"])
def test_other_sources_are_built_anew(workshop: Workshop, change: str) -> None:
    workshop.toolchain()
    workshop.build()
    match change:
        case "stamps":
            workshop.module = replace(workshop.module, stamps={"example.org/iron.Version": "v2"})
        case "packages":
            workshop.module = replace(workshop.module, packages={"anvil": "example.org/other/anvil"})
        case "tags":
            workshop.module = replace(workshop.module, tags=("cold",))
        case _:
            (workshop.module.sources / change).write_text("# changed\n")
    assert workshop.module.cached(workshop.environ) is None


def test_the_compiler_is_given_the_package_and_the_stamps(workshop: Workshop) -> None:
    workshop.module = replace(workshop.module, stamps={"example.org/iron.Version": "v2"})
    workshop.toolchain('echo "$@" >> "$HOME/arguments"; pwd >> "$HOME/arguments"')
    workshop.build()
    arguments, folder = (workshop.folder / "arguments").read_text().splitlines()[:2]
    assert arguments.endswith(" -trimpath -ldflags -s -w -X example.org/iron.Version=v2 example.org/forge/anvil")
    assert Path(folder).samefile(workshop.module.sources)


def test_build_tags_are_passed_on(workshop: Workshop) -> None:
    workshop.module = replace(workshop.module, tags=("cold", "quiet"))
    workshop.toolchain('echo "$@" >> "$HOME/arguments"')
    workshop.build()
    assert " -tags cold,quiet -trimpath " in (workshop.folder / "arguments").read_text()


def test_nothing_is_written_outside_the_cache_and_the_compilers_caches_are_dropped(workshop: Workshop) -> None:
    workshop.toolchain('[ "${GOCACHE#$HOME/.cache/}" != "$GOCACHE" ] && [ "$GOPROXY" = "https://modules.example" ]')
    workshop.environ["GOPROXY"] = "https://modules.example"
    workshop.build()
    assert {path.name for path in workshop.folder.iterdir()} == {".cache", "go", "built", "sources"}
    cache = workshop.folder / ".cache" / "ephemeral-endpoints" / "forge"
    assert [path for path in cache.iterdir() if path.is_dir()] == [workshop.module.cached(workshop.environ)]


def test_without_a_toolchain_nothing_can_be_built(workshop: Workshop) -> None:
    with pytest.raises(PlatformError, match="building the forge needs a Go toolchain"):
        workshop.module.build(None, workshop.environ, print)


def test_a_failed_build_leaves_no_program_and_quotes_the_compiler(workshop: Workshop) -> None:
    workshop.toolchain("echo 'dial tcp: connection refused' >&2; exit 1")
    with pytest.raises(PlatformError, match=r"GOPROXY\); try a hammer[\s\S]*connection refused"):
        workshop.build()
    assert workshop.module.cached(workshop.environ) is None


def test_a_build_goes_on_where_a_failed_one_ended(workshop: Workshop) -> None:
    workshop.toolchain('case "$3" in *bellows) exit 1;; esac')
    with pytest.raises(PlatformError, match="bellows"):
        workshop.build()
    workshop.toolchain()
    assert workshop.build() == ["whole"] * 2
    assert workshop.attempts.count("anvil") == 1


def test_a_killed_builder_leaves_no_half_program_and_its_compiler_keeps_others_waiting(workshop: Workshop) -> None:
    workshop.toolchain('while [ -e "$HOME/hold" ]; do sleep 0.05; done')
    (workshop.folder / "hold").touch()
    builder = subprocess.Popen(  # noqa: S603 - a literal program
        [sys.executable, "-c", BUILDER, workshop.go],
        env={**workshop.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
    )
    wait_until((workshop.folder / "built").exists, seconds=120, what="the compiler at work")
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    assert workshop.module.cached(workshop.environ) is None

    def report(line: str) -> None:
        workshop.reports.append(line)
        (workshop.folder / "hold").unlink(missing_ok=True)

    workshop.module.build(workshop.go, workshop.environ, report)
    assert workshop.reports[0].startswith("waiting for")
    assert workshop.build() == ["whole"] * 2


def test_progress_is_reported_while_a_program_is_built(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "_REPORT_SECONDS", 0.02)
    workshop.toolchain('while [ -e "$HOME/hold" ]; do sleep 0.05; done')
    (workshop.folder / "hold").touch()

    def report(line: str) -> None:
        workshop.reports.append(line)
        if "[1/2] anvil: " in line:
            (workshop.folder / "hold").unlink(missing_ok=True)

    workshop.module.build(workshop.go, workshop.environ, report)
    assert any(re.search(r"\[1/2\] anvil: \d+ s", line) for line in workshop.reports)
    assert any(line.startswith("  [2/2]") for line in workshop.reports)


def test_a_disk_that_is_too_small_is_refused_before_the_work(workshop: Workshop) -> None:
    workshop.module = replace(workshop.module, needed_bytes=1 << 60)
    workshop.toolchain()
    with pytest.raises(PlatformError, match="XDG_CACHE_HOME"):
        workshop.build()
    assert not (workshop.folder / "built").exists()


@pytest.mark.parametrize(
    ("expected", "number", "spent", "elapsed", "told"),
    [
        pytest.param([60, 200, 85], 0, 0, 15, ", about 6 min left", id="nothing is known of this machine yet"),
        pytest.param([60, 200, 85], 1, 120, 100, ", about 8 min left", id="half as fast as two cores"),
        pytest.param([60, 200, 85], 2, 260, 70, ", less than a minute left", id="near the end"),
        pytest.param([60, 200, 85], 2, 260, 600, ", about 2 min left", id="longer than expected: never nothing"),
        pytest.param([60, 0], 0, 0, 15, "", id="a program whose time is unknown"),
    ],
)
def test_the_time_left_follows_the_pace_of_this_machine(
    expected: list[float], number: int, spent: float, elapsed: float, told: str
) -> None:
    assert gobuild.time_left(expected, number, spent, elapsed) == told
