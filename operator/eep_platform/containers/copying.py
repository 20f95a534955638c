"""COPY: copies files of a build context or of another stage into a root file system. Both sides are untrusted."""

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from eep_platform.containers import rootfs
from eep_platform.containers.errors import BuildError

_WILDCARDS = frozenset("*?[")


def from_context(context: Path, patterns: Sequence[str]) -> list[Path]:
    """The files and folders of the context that match `patterns`, in order.

    Raises:
        BuildError: a pattern matches nothing, or something outside of the context.
    """
    found: list[Path] = []
    for pattern in patterns:
        relative = pattern.strip("/") or "."
        wild = _WILDCARDS & set(relative)
        matches = sorted(context.glob(relative)) if wild else [path for path in [context / relative] if path.exists()]
        if not matches:
            raise BuildError(f"COPY {pattern}: there is no such file in {context}")
        for path in matches:
            if not path.resolve().is_relative_to(context.resolve()):
                raise BuildError(f"COPY {pattern}: {path} is outside of the context")
        found += matches
    return found


def from_root(root: Path, paths: Sequence[str]) -> list[Path]:
    """The paths on this machine of `paths` in the root file system `root`.

    Raises:
        BuildError: a path does not exist, or is a pattern.
    """
    found = [rootfs.resolve(root, path) for path in paths]
    for path, place in zip(paths, found, strict=True):
        if not place.exists():
            raise BuildError(f"COPY --from {path}: there is no such file; patterns need an engine")
    return found


@dataclass(frozen=True, slots=True)
class Attributes:
    """What COPY sets on everything that it creates: (uid, gid), where this user may, and permissions."""

    owner: tuple[int, int] | None = None
    mode: int | None = None

    def apply(self, path: Path) -> None:
        """Set them on a new file, folder or link."""
        if self.owner and os.geteuid() == 0:
            os.lchown(path, *self.owner)
        if self.mode is not None and not path.is_symlink():
            path.chmod(self.mode)


PLAIN = Attributes()


def copy(sources: Sequence[Path], root: Path, target: str, attributes: Attributes = PLAIN) -> None:
    """Copy `sources` to `target` in `root` as COPY does: files themselves, and the contents of folders."""
    place = rootfs.resolve(root, target)
    for source in sources:
        if source.is_dir():
            _copy_folder(source, place, attributes)
            continue
        file = place / source.name if target.endswith("/") or len(sources) > 1 or place.is_dir() else place
        file.parent.mkdir(parents=True, exist_ok=True)
        _copy_entry(source.resolve(), file, attributes)


def _copy_folder(source: Path, target: Path, attributes: Attributes) -> None:
    if not target.exists():
        target.mkdir(parents=True)
        attributes.apply(target)
    for child in sorted(source.iterdir()):
        if child.is_dir() and not child.is_symlink():
            _copy_folder(child, target / child.name, attributes)
        else:
            _copy_entry(child, target / child.name, attributes)


def _copy_entry(source: Path, target: Path, attributes: Attributes) -> None:
    mode = source.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise BuildError(f"COPY {source}: only files, folders and links can be copied")
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    if stat.S_ISREG(mode):
        target.chmod(0o755 if mode & 0o111 else 0o644)
    attributes.apply(target)


def fingerprint(sources: Sequence[Path]) -> str:
    """A digest of the names, contents, links and executable bits of `sources`."""
    digest = sha256()
    for source in sources:
        for path in _entries(source):
            digest.update(f"{path.relative_to(source.parent)}\0".encode(errors="surrogateescape"))
            digest.update(_content(path))
    return digest.hexdigest()


def _entries(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir():
        for child in sorted(path.iterdir()):
            if child.is_dir() and not child.is_symlink():
                yield from _entries(child)
            else:
                yield child


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return f"link {path.readlink()}\0".encode(errors="surrogateescape")
    if path.is_dir():
        return b"folder\0"
    executable = os.access(path, os.X_OK)
    return f"file {executable} {sha256(path.read_bytes()).hexdigest()}\0".encode()
