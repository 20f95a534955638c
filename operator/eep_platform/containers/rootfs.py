"""Paths inside an image's root file system, which is untrusted: its symbolic links must never lead out of it."""

import os
from pathlib import Path, PurePosixPath

from eep_platform.containers.errors import InvalidImage

_MOST_LINKS = 40  # what Linux itself follows before ELOOP


def resolve(root: Path, inside: str | PurePosixPath) -> Path:
    """Return the path on this machine of `inside` as a process with the root directory `root` sees it.

    Links are followed as after a chroot: absolute ones begin at `root`, and `..` never leaves it. Components that do
    not exist are taken literally.

    Raises:
        InvalidImage: there are too many symbolic links.
    """
    pending = [part for part in reversed(PurePosixPath(inside).parts) if part != "/"]
    here = root
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            here = here if here == root else here.parent
            continue
        candidate = here / part
        if not candidate.is_symlink():
            here = candidate
            continue
        links += 1
        if links > _MOST_LINKS:
            raise InvalidImage(f"too many symbolic links in {inside}")
        target = PurePosixPath(candidate.readlink())
        here = root if target.is_absolute() else here
        pending += [step for step in reversed(target.parts) if step != "/"]
    return here


def place(root: Path, inside: str | PurePosixPath) -> Path:
    """Like `resolve`, but does not follow the last component: the path for creating or replacing `inside` itself.

    Raises:
        InvalidImage: there are too many symbolic links, or `inside` is the root itself.
    """
    path = PurePosixPath("/", inside)
    if path.name in {"", ".."}:
        raise InvalidImage(f"{str(inside)!r} is not the path of a file in the image")
    return resolve(root, path.parent) / path.name


def clone(source: Path, target: Path) -> None:
    """Create the new folder `target` as a copy of `source` that shares its files through hard links.

    Writers of either must replace files, never change them in place.
    """
    target.mkdir()
    _clone_into(source, target)


def _clone_into(source: Path, target: Path) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            copy = target / entry.name
            if entry.is_dir(follow_symlinks=False):
                copy.mkdir()
                _clone_into(Path(entry.path), copy)
            else:
                os.link(entry.path, copy, follow_symlinks=False)
    status = source.stat()
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid)
    target.chmod(status.st_mode & 0o7777)
