"""A base image of Debian's packages with this machine's Python, for commands that install more of them by `apt-get`.

debootstrap makes it from where this machine takes its own packages.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from eep_platform.containers import base, isolation
from eep_platform.containers.errors import BuildError

_FORMAT: Final = 1  # increase it when the same packages must give another base
_SECONDS: Final = 900
_TAIL: Final = 1000
# As the official images have them: no lists, so that `apt-get update` is needed, and nothing of the machine that built.
_LEFT_OUT: Final = (
    *("dev/*", "etc/hostname", "etc/resolv.conf", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb"),
    *("var/cache/ldconfig/*", "var/lib/apt/lists/*", "var/log/*"),
)
_NO_SERVICES: Final = "#!/bin/sh\nexit 101\n"
"""No package starts its services: https://manpages.debian.org/policy-rc.d."""


@cache
def problem() -> str | None:
    """Why this machine cannot make the base, and what to do; None if it can, as far as can be known before."""
    if _suite() is None:
        return "this machine is not Debian"
    if os.geteuid() != 0 or isolation.best_mode() != "namespaces":
        return "only root can, where it may create namespaces"
    if shutil.which("debootstrap") is None:
        return "debootstrap is not installed (apt-get install debootstrap)"
    return None


def description() -> str:
    """What it is, for people."""
    return f"Debian {_suite()} with Python {platform.python_version()} of this machine"


def key() -> str:
    """A key of the base that `build` would make; a new version of a package alone does not change it."""
    return sha256(f"debian {_FORMAT} {_suite()} {_sources(_suite())} {base.key()}".encode()).hexdigest()


def build(root: Path) -> None:
    """Create the root file system of the base image in the new folder `root`. Blocks for a minute or two.

    Raises:
        BuildError: Debian's packages cannot be had, or Python cannot be copied.
    """
    suite = str(_suite())
    bootstrap(root, suite)
    for pattern in _LEFT_OUT:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (root / "etc/apt/sources.list").write_text("".join(f"deb {each}\n" for each in _sources(suite)))
    services = root / "usr/sbin/policy-rc.d"
    services.write_text(_NO_SERVICES)
    services.chmod(0o755)
    base.add_python(root)


def bootstrap(root: Path, suite: str, packages: Sequence[str] = ()) -> None:
    """Install the smallest Debian, with more `packages`, into the new folder `root`. Only root can; blocks.

    Raises:
        BuildError: debootstrap fails, for instance because the packages cannot be reached.
    """
    mirrors = [source.split()[0] for source in _sources(suite) if source.split()[1] == suite]
    more = [f"--include={','.join(packages)}"] if packages else []
    argv = ["debootstrap", "--variant=minbase", *more, suite, str(root), *mirrors[:1]]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_SECONDS)  # noqa: S603 (no shell)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"Debian's packages cannot be had: {error}") from error
    if done.returncode != 0:
        output = f"{done.stdout}{done.stderr}".strip()[-_TAIL:]
        raise BuildError(f"Debian's packages cannot be had ({' '.join(argv)}):\n{output}")


def _suite() -> str | None:
    """The name of this machine's Debian, whose libraries its Python needs."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return None
    return release.get("VERSION_CODENAME") if release["ID"] == "debian" else None


@cache
def _sources(suite: str | None) -> tuple[str, ...]:
    """`URI suite component` of this machine's sources of a Debian, so that a mirror of its own is used."""
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    lines = subprocess.run(argv, check=False, capture_output=True, text=True).stdout.splitlines()  # noqa: S603 (fixed)
    wanted = {suite, f"{suite}-updates", f"{suite}-security"}
    return tuple(line for line in dict.fromkeys(lines) if line.split()[1] in wanted)
