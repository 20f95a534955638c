"""Builds the control plane from its Go modules, once per machine.

What is built is pinned by `gomodule/go.mod` and `go.sum`. The result is cached under a hash of all that it depends on;
each program appears there complete or not at all. Go's own caches (about 4 GB) are dropped after a build: only the next
version of Kubernetes would read them, and it shares little with this one.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ephemeral_endpoints.local.controlplane.binaries import APISERVER, CONTROLLER_MANAGER, ETCD, Binaries, missing
from ephemeral_endpoints.local.controlplane.lock import exclusive
from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.paths import cache_dir, private_dir

MODULE = Path(__file__).parent / "gomodule"

_PACKAGES = {
    ETCD: "go.etcd.io/etcd/server/v3",
    APISERVER: "k8s.io/kubernetes/cmd/kube-apiserver",
    CONTROLLER_MANAGER: "k8s.io/kubernetes/cmd/kube-controller-manager",
}
_ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-buildvcs=false -mod=readonly -modcacherw",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
_VERSION = re.compile(r"^\s*(?:require\s+)?k8s\.io/kubernetes (v(\d+)\.(\d+)\.\S+)", re.MULTILINE)
_NEEDED_BYTES = 5 * 1024**3
_REPORT_SECONDS = 15.0
_LOG_TAIL_LINES = 15


def find_go(environ: Mapping[str, str]) -> Path | None:
    """Return the `go` of the wheel beside this interpreter, else the one on PATH, else None."""
    beside = Path(sys.executable).parent / "go"
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("go", path=environ.get("PATH"))
    return Path(found) if found else None


def cached(environ: Mapping[str, str]) -> Binaries | None:
    """Return what an earlier build left for this platform and these sources, or None."""
    return Binaries.complete_in(_target(environ))


def build(go: Path | None, environ: Mapping[str, str], report: Callable[[str], None]) -> Binaries:
    """Return the cached binaries, built with the toolchain `go` where they are not there yet (blocks for minutes).

    The modules come from where the user's GOPROXY says. Nothing is written outside the cache folder. Programs that
    build at the same time take turns, and what an interrupted build finished is kept.

    Raises:
        PlatformError: there is no toolchain, the disk is too small, or the build failed; the message then ends with
            the last lines of its log.
    """
    if (ready := cached(environ)) is not None:
        return ready
    if go is None:
        raise PlatformError("building the control plane needs a Go toolchain")
    root = private_dir(_root(environ))
    with exclusive(root / "build.lock", on_wait=lambda: report("waiting for another program's build")) as lock:
        target = private_dir(_target(environ))
        programs = missing(target)
        if programs:
            _check_space(root)
            report(
                f"building Kubernetes {kubernetes_version()[0]} from its Go modules, once for this machine"
                f" ({', '.join(programs)}): expect five to ten minutes on two cores and 5 GB of disk meanwhile"
            )
        compiler = _Compiler(go, _environment(root, environ), lock)
        for number, program in enumerate(programs, start=1):
            compiler.build(program, target, _numbered(report, number, len(programs)))
        shutil.rmtree(root / "go", ignore_errors=True)
    return Binaries(target)


def kubernetes_version() -> tuple[str, str, str]:
    """Return version, major and minor of the pinned Kubernetes, such as ("v1.36.3", "1", "36")."""
    match = _VERSION.search((MODULE / "go.mod").read_text())
    if match is None:
        raise PlatformError(f"{MODULE / 'go.mod'} requires no k8s.io/kubernetes")
    return match[1], match[2], match[3]


def _root(environ: Mapping[str, str]) -> Path:
    return cache_dir(environ) / "controlplane"


def _target(environ: Mapping[str, str]) -> Path:
    digest = hashlib.sha256()
    for part in ((MODULE / "go.mod").read_bytes(), (MODULE / "go.sum").read_bytes(), _settings().encode()):
        digest.update(hashlib.sha256(part).digest())
    return _root(environ) / digest.hexdigest()[:16]


def _settings() -> str:
    return json.dumps([_flags(), _ENVIRONMENT, _PACKAGES, os.uname().sysname, os.uname().machine], sort_keys=True)


def _flags() -> list[str]:
    version, major, minor = kubernetes_version()
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    stamps = [f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items()]
    return ["-trimpath", "-ldflags", " ".join(["-s", "-w", *stamps])]


def _environment(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Environment of the compiler: the user's settings, but every folder that it writes to is below `root`."""
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
    """The compiler inherits the lock, so that it keeps later builders waiting even when this program is killed."""

    go: Path
    environment: Mapping[str, str]
    lock: int

    def build(self, program: str, target: Path, report: Callable[[str], None]) -> None:
        log = target / f"{program}.log"
        temporary = target / f".{program}"
        report(f"{program} …")
        with log.open("wb") as output:
            child = subprocess.Popen(  # noqa: S603 - the toolchain that this machine's user installed
                [self.go, "build", "-o", temporary, *_flags(), _PACKAGES[program]],
                cwd=MODULE,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(self.lock,),
            )
            try:
                _wait(child, program, report)
            finally:
                child.terminate()
                child.wait()
        if child.returncode != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
            raise PlatformError(
                f"{program} could not be built. The Go modules must be reachable (GOPROXY); programs that exist already"
                f" can be named with KUBEBUILDER_ASSETS. Last lines of {log}:\n{tail}"
            )
        temporary.replace(target / program)
        log.unlink()


def _wait(child: subprocess.Popen[bytes], program: str, report: Callable[[str], None]) -> None:
    started = time.monotonic()
    while True:
        try:
            child.wait(_REPORT_SECONDS)
        except subprocess.TimeoutExpired:
            report(f"{program}: {time.monotonic() - started:.0f} s …")
        else:
            return


def _numbered(report: Callable[[str], None], number: int, total: int) -> Callable[[str], None]:
    return lambda line: report(f"  [{number}/{total}] {line}")


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise PlatformError(
            f"building the control plane needs {_NEEDED_BYTES >> 30} GB below {folder}, {free / 1024**3:.1f} GB are"
            " free: make room, or name another cache folder with XDG_CACHE_HOME"
        )
