"""A folder of immutable, content-addressed files: blobs/sha256/<hex> as in an OCI image layout.

Writers rename a temporary file, so a reader never sees an incomplete blob, even if a writer dies.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from eep_platform.containers.errors import InvalidImage


class HashingWriter:
    """A file-like object that writes to another file, and computes the SHA-256 and the size of the content."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Write all of `data`; returns its length."""
        self._hash.update(data)
        self.size += len(data)
        self._file.write(data)
        return len(data)

    def flush(self) -> None:
        """Flush the other file."""
        self._file.flush()

    @property
    def digest(self) -> str:
        """The digest of the content so far."""
        return f"sha256:{self._hash.hexdigest()}"


@dataclass(frozen=True, slots=True)
class BlobStore:
    """The blobs below `root`; several processes can use them at once."""

    root: Path

    def path(self, digest: str) -> Path:
        """The path of the blob, whether it exists or not."""
        return self.root / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).exists()

    def read(self, digest: str) -> bytes:
        """Return a whole blob; for small ones, such as manifests and configs."""
        return self.path(digest).read_bytes()

    def check(self, digest: str) -> None:
        """Compare a blob with its digest.

        Raises:
            InvalidImage: the blob is another one.
            OSError: there is no such blob, or it cannot be read.
        """
        with self.path(digest).open("rb") as file:
            _refuse_other(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}", digest)

    def add(self, content: bytes, expected: str | None = None) -> str:
        """Store `content` and return its digest.

        Raises:
            InvalidImage: the digest is not the expected one; nothing is stored.
        """
        with self.writer(expected) as writer:
            writer.write(content)
        return writer.digest

    @contextmanager
    def writer(self, expected: str | None = None) -> Iterator[HashingWriter]:
        """Yield a writer whose content is stored under its digest when the block ends without an exception.

        Raises:
            InvalidImage: the digest is not the expected one; nothing is stored.
        """
        folder = self.root / "blobs" / "sha256"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.root, prefix=".incoming-")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                writer = HashingWriter(file)
                yield writer
            _refuse_other(writer.digest, expected)
            temporary.chmod(0o644)
            temporary.replace(self.path(writer.digest))
        finally:
            temporary.unlink(missing_ok=True)


def _refuse_other(digest: str, expected: str | None) -> None:
    if expected not in {None, digest}:
        raise InvalidImage(f"expected {expected}, got {digest}: the content is corrupt")
