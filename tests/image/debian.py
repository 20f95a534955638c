"""A base with Python and pip where no image can be pulled: Debian from its packages, made once for a machine."""

import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from eep_platform.containers.debian import bootstrap
from eep_platform.containers.errors import BuildError
from eep_platform.paths import cache_dir, private_dir

SUITE: Final = "bookworm"
"""The oldest Debian whose Python is new enough."""

_PACKAGES: Final = ("ca-certificates", "python3", "python3-pip")


class UnusableError(Exception):
    """Debian cannot be had on this machine; the message says why."""


def base() -> Path:
    """A tar of its root file system; blocks for a minute or two the first time on a machine. Raises UnusableError."""
    found = private_dir(cache_dir() / "debian") / f"{SUITE}.tar"
    if not found.exists():
        _make(found)
    return found


def _make(target: Path) -> None:
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise UnusableError("debootstrap is not installed, or this is not root")
    with tempfile.TemporaryDirectory(prefix="debian-") as folder:
        root, archive = Path(folder, "root"), Path(folder, "root.tar")
        try:
            bootstrap(root, SUITE, _PACKAGES)
        except BuildError as error:
            raise UnusableError(str(error)) from error
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".", filter=_without_caches)
        shutil.move(archive, f"{target}.new")
        Path(f"{target}.new").replace(target)


def _without_caches(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return (
        None if entry.name.startswith(("./var/cache/", "./usr/share/doc/", "./usr/share/locale/", "./dev/")) else entry
    )
