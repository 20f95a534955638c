"""The folder of a job that is /opt/ml in its container, which can put anything there: links are never followed."""

import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # of a pipe, opening would wait for a writer


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file below a folder of the workspace: `name` is its path there, `stamp` changes with its content."""

    name: str
    size: int
    stamp: int


@dataclass(frozen=True, slots=True)
class Workspace:
    """All methods block."""

    root: Path

    def make(self, folders: tuple[str, ...], files: dict[str, str]) -> None:
        """Make the folders and files, which belong to root and which others may read."""
        self.root.mkdir(parents=True)
        self.root.chmod(0o755)
        for folder in folders:
            self.folder(folder)
        for name, content in files.items():
            path = self.folder(str(PurePosixPath(name).parent)) / PurePosixPath(name).name
            path.write_text(content, encoding="utf-8")
            path.chmod(0o644)

    def folder(self, name: str) -> Path:
        """The path of a folder, which is made before the container runs."""
        path = self.root
        for part in PurePosixPath(name).parts:
            path /= part
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        return path

    def files(self, folder: str) -> list[FoundFile]:
        """The regular files below a folder, in the order of their names; none if there is no such folder."""
        return sorted(self._walk(folder), key=lambda each: each.name)

    def text(self, name: str, most: int) -> bytes | None:
        """The first bytes of a file; None if there is none."""
        with suppress(OSError), self.opened(name) as file:
            return file.read(most)
        return None

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """A regular file; raises OSError if there is none."""
        path = PurePosixPath(name)
        with self._descriptor(path.parent) as parent:
            descriptor = os.open(path.name, _FILE, dir_fd=parent)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileNotFoundError(name)
            yield file

    def pack(self, folder: str, archive: Path) -> bool:
        """Write the files below a folder into a .tar.gz; returns whether there are any."""
        found = self.files(folder)
        if not found:
            return False
        with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
            for each in found:
                with self.opened(f"{folder}/{each.name}") as file:
                    entry = tarfile.TarInfo(each.name)
                    status = os.fstat(file.fileno())
                    entry.size, entry.mtime, entry.mode = status.st_size, int(status.st_mtime), status.st_mode & 0o777
                    packed.addfile(entry, file)
        return True

    def remove(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _walk(self, folder: str) -> Iterator[FoundFile]:
        with suppress(FileNotFoundError, NotADirectoryError), self._descriptor(PurePosixPath(folder)) as top:
            for where, _, names, descriptor in os.fwalk(".", dir_fd=top):
                for name in names:
                    with suppress(FileNotFoundError):  # it may have been moved meanwhile
                        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):
                            path = str(PurePosixPath(where) / name)
                            yield FoundFile(path, status.st_size, status.st_mtime_ns)

    @contextmanager
    def _descriptor(self, folder: PurePosixPath) -> Iterator[int]:
        descriptor = os.open(self.root, _FOLDER)
        try:
            for part in folder.parts:
                below = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)
