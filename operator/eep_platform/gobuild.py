"""Builds programs from pinned Go modules, once per machine.

A `go.mod` and `go.sum` in this package pin the modules. The result is cached under a hash of everything it depends on;
each program appears there complete or not at all. Go's own caches (gigabytes) are deleted after a build: only the next
version of the same module would read them, and it shares little with this one.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from eep_platform.errors import PlatformError
from eep_platform.lock import exclusive
from eep_platform.paths import cache_dir, private_dir

_ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-buildvcs=false -mod=readonly -modcacherw",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
_REPORT_SECONDS = 15.0
_LOG_TAIL_LINES = 15
_OVERTIME = 0.2


@dataclass(frozen=True, slots=True)
class Module:
    """Programs to build; go.mod and go.sum in the folder `sources` pin their modules. It may have Go files of its own.

    `cache` is the folder of the results, relative to `cache_dir()`; two modules must not share it. `packages` maps the
    name of each program to its Go package. `stamps` are string variables that the linker sets, by their full names.
    `title`, `effort` and `advice` are for messages: what is built, what it costs, and what to do if it fails. `tags`
    are build tags, with which programs leave out parts of themselves. `seconds` is what each program takes on two
    cores, from which the time left is estimated.
    """

    title: str
    sources: Path
    cache: Path
    packages: Mapping[str, str]
    stamps: Mapping[str, str]
    needed_bytes: int
    effort: str
    advice: str = ""
    tags: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    def cached(self, environ: Mapping[str, str]) -> Path | None:
        """Return the folder with all programs of an earlier build for this platform and these sources, or None."""
        target = self._target(environ)
        return None if self._missing(target) else target

    def build(self, go: Path | None, environ: Mapping[str, str], report: Callable[[str], None]) -> Path:
        """Return the folder with all programs; builds missing ones with the toolchain `go` (blocks for minutes).

        The modules come from the user's GOPROXY. Nothing is written outside the cache folder. Concurrent builders take
        turns, and the programs that an interrupted build finished are kept.

        Raises:
            PlatformError: there is no toolchain, the disk is too small, or the build failed; the message then ends
                with the last lines of its log.
        """
        if (ready := self.cached(environ)) is not None:
            return ready
        if go is None:
            raise PlatformError(f"building {self.title} needs a Go toolchain")
        root = private_dir(self._root(environ))
        with exclusive(root / "build.lock", on_wait=lambda: report("waiting for the build of another process")) as lock:
            target = private_dir(self._target(environ))
            programs = self._missing(target)
            if programs:
                self._check_space(root)
                names = ", ".join(programs)
                report(f"building {self.title} from its Go modules, once per machine ({names}): {self.effort}")
            compiler = _Compiler(self, go, _environment(root, environ), lock)
            expected = [self.seconds.get(program, 0.0) for program in programs]
            began = time.monotonic()
            for number, program in enumerate(programs):
                left = partial(time_left, expected, number, time.monotonic() - began)
                compiler.build(program, target, _numbered(report, number + 1, len(programs)), left)
            shutil.rmtree(root / "go", ignore_errors=True)
        return target

    @property
    def flags(self) -> list[str]:
        """The arguments of `go build` for every program."""
        stamps = [f"-X {name}={value}" for name, value in self.stamps.items()]
        tags = ["-tags", ",".join(self.tags)] if self.tags else []
        return [*tags, "-trimpath", "-ldflags", " ".join(["-s", "-w", *stamps])]

    def _root(self, environ: Mapping[str, str]) -> Path:
        return cache_dir(environ) / self.cache

    def _target(self, environ: Mapping[str, str]) -> Path:
        system = os.uname()
        settings = json.dumps(
            [self.flags, _ENVIRONMENT, dict(self.packages), system.sysname, system.machine], sort_keys=True
        )
        files = [self.sources / "go.mod", self.sources / "go.sum", *sorted(self.sources.glob("*.go"))]
        digest = hashlib.sha256()
        for part in (*(file.read_bytes() for file in files), settings.encode()):
            digest.update(hashlib.sha256(part).digest())
        return self._root(environ) / digest.hexdigest()[:16]

    def _missing(self, target: Path) -> list[str]:
        return [program for program in self.packages if not os.access(target / program, os.X_OK)]

    def _check_space(self, folder: Path) -> None:
        free = shutil.disk_usage(folder).free
        if free < self.needed_bytes:
            raise PlatformError(
                f"building {self.title} needs {self.needed_bytes / 1024**3:.0f} GB below {folder}, but only"
                f" {free / 1024**3:.1f} GB are free: make room, or set XDG_CACHE_HOME to another cache folder"
            )


def find_go(environ: Mapping[str, str]) -> Path | None:
    """Return the `go` of the wheel in this environment, otherwise the one on PATH, otherwise None."""
    beside = Path(sys.executable).parent / "go"
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("go", path=environ.get("PATH"))
    return Path(found) if found else None


def required_version(sources: Path, module: str) -> str:
    """Return the version, such as `v1.36.3`, of `module` that the go.mod in `sources` requires."""
    pin = re.compile(rf"^\s*(?:require\s+)?{re.escape(module)} (v\S+)", re.MULTILINE)
    match = pin.search((sources / "go.mod").read_text())
    if match is None:
        raise PlatformError(f"{sources / 'go.mod'} requires no {module}")
    return match[1]


def _environment(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the compiler: the user's settings, but with all folders that it writes to below `root`."""
    folders = {
        "GOPATH": "path",
        "GOMODCACHE": "mod",
        "GOCACHE": "build",
        "GOTMPDIR": "tmp",
        "XDG_CONFIG_HOME": "config",  # for Go's telemetry counters
    }
    ours = {name: str(private_dir(root / "go" / folder)) for name, folder in folders.items()}
    config = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '')}/.config"
    settings = {} if sys.platform == "darwin" else {"GOENV": f"{config}/go/env"}  # on macOS it is elsewhere, and stays
    return {**settings, **environ, **_ENVIRONMENT, **ours}


@dataclass(frozen=True, slots=True)
class _Compiler:
    """The compiler inherits the lock, so that later builders wait for it even if this program is killed."""

    module: Module
    go: Path
    environment: Mapping[str, str]
    lock: int

    def build(self, program: str, target: Path, report: Callable[[str], None], left: Callable[[float], str]) -> None:
        log = target / f"{program}.log"
        temporary = target / f".{program}"
        report(f"{program} …")
        with log.open("wb") as output:
            child = subprocess.Popen(  # noqa: S603 - the toolchain that this machine's user installed
                [self.go, "build", "-o", temporary, *self.module.flags, self.module.packages[program]],
                cwd=self.module.sources,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(self.lock,),
            )
            try:
                _wait(child, program, report, left)
            finally:
                child.terminate()
                child.wait()
        if child.returncode != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
            raise PlatformError(
                f"{program} could not be built. The Go modules must be reachable (GOPROXY){self.module.advice}."
                f" Last lines of {log}:\n{tail}"
            )
        temporary.replace(target / program)
        log.unlink()


def time_left(expected: Sequence[float], number: int, spent: float, elapsed: float) -> str:
    """How long programs of `expected` seconds each still take, for a person; empty if that is unknown. Pure.

    Args:
        expected: on two cores; 0 for a program whose time is unknown.
        number: the index of the program that is being built.
        spent: seconds that the programs before it took, which show the pace of this machine.
        elapsed: seconds since it was begun.
    """
    if not all(expected):
        return ""
    pace = spent / sum(expected[:number]) if number else 1.0
    # Slower than expected, it is taken to be near its end.
    present = max(expected[number] * pace - elapsed, elapsed * _OVERTIME)
    minutes = round((present + sum(expected[number + 1 :]) * pace) / 60)
    return f", about {minutes} min left" if minutes else ", less than a minute left"


def _wait(
    child: subprocess.Popen[bytes], program: str, report: Callable[[str], None], left: Callable[[float], str]
) -> None:
    started = time.monotonic()
    while True:
        try:
            child.wait(_REPORT_SECONDS)
        except subprocess.TimeoutExpired:
            elapsed = time.monotonic() - started
            report(f"{program}: {elapsed:.0f} s{left(elapsed)} …")
        else:
            return


def _numbered(report: Callable[[str], None], number: int, total: int) -> Callable[[str], None]:
    return lambda line: report(f"  [{number}/{total}] {line}")
