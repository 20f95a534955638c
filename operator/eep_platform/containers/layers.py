"""Packs folders into layers and unpacks layers (https://github.com/opencontainers/image-spec/blob/main/layer.md).

Packing is deterministic; the layers to unpack are untrusted.
"""

import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from eep_platform.containers import rootfs
from eep_platform.containers.blobs import BlobStore, HashingWriter
from eep_platform.containers.errors import InvalidImage
from eep_platform.containers.image import LAYER, Descriptor

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_FASTEST = 1  # layers are sent over loopback: the time to compress them matters more than their size
_CHUNK_BYTES = 1 << 20
_NOBODY = 65534  # commands run as nobody where root cannot be confined; what they make is root's in the image


@dataclass(frozen=True, slots=True)
class Changes:
    """What a command changed in a folder: paths of new and changed entries, and of removed ones, relative to it."""

    written: frozenset[str]
    removed: tuple[str, ...] = ()


def inventory(folder: Path) -> dict[str, tuple[int, int]]:
    """A mark of every entry below a folder, which changes with whatever happens to the entry."""
    found = {}
    for path in _walk(folder):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_ino, status.st_ctime_ns)
    return found


def changes(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]) -> Changes:
    """What differs between two inventories of a folder; of a removed folder only the folder itself. Pure."""
    gone = before.keys() - after.keys()
    removed = sorted(path for path in gone if str(PurePosixPath(path).parent) not in gone)
    return Changes(frozenset(path for path, mark in after.items() if before.get(path) != mark), tuple(removed))


def pack(folder: Path, blobs: BlobStore, only: Changes | None = None, *, exact: bool = False) -> tuple[Descriptor, str]:
    """Store `folder`, or only changes of it, as a layer; returns its descriptor and its diff id.

    The diff id is the digest of the uncompressed archive. Equal names, contents, links and executable bits give equal
    bytes: times are left out, and unless it is `exact`, owners and the other permissions.
    """
    # The gzip header carries neither a name nor a time.
    with (
        blobs.writer() as compressed,
        gzip.GzipFile("", "wb", _FASTEST, cast("BinaryIO", compressed), mtime=0) as archive,
    ):
        plain = HashingWriter(cast("BinaryIO", archive))
        with tarfile.open(fileobj=cast("BinaryIO", plain), mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for path in _walk(folder):
                name = path.relative_to(folder).as_posix()
                if only is None or name in only.written:
                    _add(tar, path, name, exact=exact)
            for removed in only.removed if only else ():
                tar.addfile(tarfile.TarInfo(str(PurePosixPath(removed).with_name(_WHITEOUT + Path(removed).name))))
    return Descriptor(LAYER, compressed.digest, compressed.size), plain.digest


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _add(tar: tarfile.TarFile, path: Path, name: str, *, exact: bool) -> None:
    status = path.lstat()
    member = tarfile.TarInfo(name)
    if exact and os.geteuid() == 0:  # another user cannot have given its files away
        member.uid, member.gid = (0 if owner == _NOBODY else owner for owner in (status.st_uid, status.st_gid))
    if stat.S_ISLNK(status.st_mode):
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        tar.addfile(member)
    elif stat.S_ISDIR(status.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, 0o1777 if status.st_mode & stat.S_ISVTX else 0o755
        member.mode = status.st_mode & 0o1777 if exact else member.mode
        tar.addfile(member)
    elif stat.S_ISREG(status.st_mode):
        member.size, member.mode = status.st_size, 0o755 if status.st_mode & 0o111 else 0o644
        member.mode = status.st_mode & 0o777 if exact else member.mode
        with path.open("rb") as content:
            tar.addfile(member, content)


def apply(layer: BinaryIO, root: Path) -> str:
    """Apply a layer, gzipped or not, on top of the files in `root`; returns its diff id.

    Nothing outside of `root` changes, whatever names and links the layer has. Existing files are replaced and never
    written to, so hard links can share them. Devices and pipes are skipped, and files get no write, set-user-ID or
    set-group-ID bits.

    Raises:
        InvalidImage: the archive is corrupt or refers to paths outside of the image.
    """
    source = _HashingReader(_decompressed(layer))
    upper: set[Path] = set()
    try:
        with tarfile.open(fileobj=cast("BinaryIO", source), mode="r|") as tar:
            for member in tar:
                _apply_member(tar, member, root, upper)
        source.drain()
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise InvalidImage(f"the layer cannot be unpacked: {error}") from error
    return source.digest


def _decompressed(layer: BinaryIO) -> BinaryIO:
    magic = layer.read(4)
    layer.seek(0)
    if magic == b"\x28\xb5\x2f\xfd":
        raise InvalidImage("a layer is compressed with zstd: build the image with gzip layers")
    return cast("BinaryIO", gzip.GzipFile(fileobj=layer)) if magic.startswith(b"\x1f\x8b") else layer


class _HashingReader:
    """A stream that computes the SHA-256 of what was read from it."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        return data

    def drain(self) -> None:
        """Read the padding after the archive, which the digest includes."""
        while self.read(_CHUNK_BYTES):
            pass

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def _apply_member(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path, upper: set[Path]) -> None:
    name = PurePosixPath(member.name.lstrip("/"))
    if ".." in name.parts:
        raise InvalidImage(f"the layer has {member.name!r}, a path outside of the image")
    if not name.parts:
        return
    path = rootfs.place(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.name == _OPAQUE:
        _clear(path.parent, upper)
    elif name.name.startswith(_WHITEOUT):
        _remove(rootfs.place(root, name.with_name(name.name.removeprefix(_WHITEOUT))))
    else:
        _create(tar, member, root, path)
        upper.update((path, *path.parents))


def _create(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path, path: Path) -> None:
    if member.isdir():
        if path.is_symlink() or not path.is_dir():
            _remove(path)
            path.mkdir()
        _own(path, member)
        path.chmod((member.mode & 0o1777) | 0o700)
    elif member.issym():
        _remove(path)
        path.symlink_to(member.linkname)
        _own(path, member)
    elif member.islnk():
        _link(member, root, path)
    elif member.isreg():
        _remove(path)
        content = tar.extractfile(member)
        with path.open("xb") as file:
            shutil.copyfileobj(cast("BinaryIO", content), file, _CHUNK_BYTES)
        _own(path, member)
        path.chmod(member.mode & 0o555)


def _link(member: tarfile.TarInfo, root: Path, path: Path) -> None:
    if ".." in PurePosixPath(member.linkname).parts:
        raise InvalidImage(f"the layer links {member.name!r} to {member.linkname!r}, a path outside of the image")
    target = rootfs.place(root, member.linkname.lstrip("/"))
    if target == path:
        return
    _remove(path)
    os.link(target, path, follow_symlinks=False)


def _own(path: Path, member: tarfile.TarInfo) -> None:
    if os.geteuid() == 0:
        os.lchown(path, member.uid, member.gid)


def _clear(folder: Path, upper: set[Path]) -> None:
    """Remove the files of lower layers from `folder`."""
    for child in folder.iterdir():
        if child not in upper:
            _remove(child)
        elif child.is_dir() and not child.is_symlink():
            _clear(child, upper)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
