"""Unpacked images: snapshots of chains of layers, which all images that begin with the same layers share.

The folder has `blobs/sha256/<hex>` as pulled and `snapshots/<hex of the chain id>/` unpacked. A rename publishes a
complete snapshot; if two processes make the same one, the second discards its own.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

from eep_platform.containers import layers, rootfs
from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.errors import InvalidImage
from eep_platform.containers.image import Descriptor, ImageConfig, Manifest, architecture

# Every container has these, whatever the image holds; a read-only root file system cannot get them later.
_MOUNT_POINTS = ("/proc", "/dev/shm", "/tmp", "/opt/ml/model")  # noqa: S108 (of the container)
_LARGE_BYTES = 4 << 20
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


@dataclass(frozen=True, slots=True)
class ImageStore:
    """The images below `root`; several processes can use them at once, and each can be killed at any time."""

    root: Path

    @property
    def blobs(self) -> BlobStore:
        """Manifests, configs and layers as they were pulled."""
        return BlobStore(self.root)

    def unpack(self, manifest: Manifest, config: ImageConfig) -> Path:
        """Return the root file system of an image whose blobs are all stored; unpacks missing layers.

        Raises:
            InvalidImage: a layer is corrupt, malicious or does not match the config, or the architecture is wrong.
        """
        if config.architecture != architecture():
            raise InvalidImage(f"the image is for {config.architecture}; this machine is {architecture()}")
        if len(config.diff_ids) != len(manifest.layers) or not manifest.layers:
            raise InvalidImage(f"{len(manifest.layers)} layers but {len(config.diff_ids)} diff ids")
        chain = _chain(config)
        lower: Path | None = None
        pending: list[tuple[Descriptor, str]] = []
        for name, layer, diff_id in zip(chain, manifest.layers, config.diff_ids, strict=True):
            pending.append((layer, diff_id))
            # A snapshot costs a link per file: it pays off for large layers, which images share, and for the last.
            if name == chain[-1] or layer.size >= _LARGE_BYTES:
                lower = self._snapshot(name, lower, pending)
                pending = []
        return self._path(chain[-1])

    def unpacked(self, config: ImageConfig) -> Path | None:
        """Return the root file system of an image if it is unpacked, otherwise None."""
        final = self._path((_chain(config) or [""])[-1])
        return final if config.diff_ids and final.exists() else None

    def _path(self, chain: str) -> Path:
        return self.root / "snapshots" / chain

    def _snapshot(self, name: str, lower: Path | None, upper: Sequence[tuple[Descriptor, str]]) -> Path:
        final = self._path(name)
        if final.exists():
            return final
        with building(final) as root:
            if lower is None:
                root.mkdir()
            else:
                rootfs.clone(lower, root)
            for layer, diff_id in upper:
                with self.blobs.path(layer.digest).open("rb") as archive:
                    actual = layers.apply(archive, root)
                if actual != diff_id:
                    raise InvalidImage(f"a layer unpacks to {actual}, but the config says {diff_id}")
            make_mount_points(root)
        return final


def _chain(config: ImageConfig) -> list[str]:
    """A name for each layer on top of all layers below it."""

    def upon(lower: str, upper: str) -> str:
        return sha256(f"{lower} {upper}".encode()).hexdigest()

    return list(accumulate(config.diff_ids, upon, initial=""))[1:]


def make_mount_points(root: Path) -> None:
    """Create the files and folders in `root` that a container needs and an image may lack."""
    for folder in _MOUNT_POINTS:
        rootfs.resolve(root, folder).mkdir(parents=True, exist_ok=True)
    rootfs.resolve(root, "/tmp").chmod(0o1777)  # noqa: S108 (of the container)
    for device in _DEVICES:
        path = rootfs.resolve(root, device)
        if not path.exists():
            path.touch()


@contextmanager
def building(final: Path) -> Iterator[Path]:
    """Yield a path that does not exist yet and becomes `final` if the block ends without an exception.

    If another process made `final` meanwhile, that one stays. The next call removes the leftovers of killed processes.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    _sweep(final.parent)
    workshop, lock = _workshop(final.parent)
    try:
        yield workshop / "root"
        (workshop / "root").chmod(0o755)  # regardless of the umask: containers run as other users
        try:
            (workshop / "root").rename(final)
        except OSError:
            if not final.exists():  # otherwise another process was first: a rename cannot replace a non-empty folder
                raise
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
        os.close(lock)


def _workshop(folder: Path) -> tuple[Path, int]:
    while True:
        workshop = Path(tempfile.mkdtemp(dir=folder, prefix=".building-"))
        with suppress(FileNotFoundError):
            lock = os.open(workshop, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if workshop.exists():  # another process may have swept it between the two lines above
                return workshop, lock
            os.close(lock)


def _sweep(folder: Path) -> None:
    for workshop in folder.glob(".building-*"):
        with suppress(FileNotFoundError):
            lock = os.open(workshop, os.O_RDONLY)
            try:
                # The kernel frees a lock when its holder dies, so a free lock means that the maker is dead.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(workshop, ignore_errors=True)
            except BlockingIOError:
                pass
            finally:
                os.close(lock)
