"""Whether a layer of an image contains a program, as far as its headers tell; layers are written by anybody."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

_BLOCK: Final = 512
_LONGEST_NAME: Final = 64 * 1024
_MOST_BYTES: Final = 8 * 1024**3
"""So much of a layer is unpacked, in passing: more is no layer that anybody serves."""

_GZIP: Final = 31
_EXECUTABLE: Final = 0o111
# https://www.gnu.org/software/tar/manual/html_node/Standard.html, and "pax Header Block" of POSIX.
_FILES: Final = frozenset({b"0", b"\0", b"7"})
_LINKS: Final = frozenset({b"1", b"2"})
_NAMES: Final = frozenset({b"x", b"L"})


class UnreadableError(Exception):
    """The layer is compressed in another way, damaged, or larger than anybody's."""


def has_program(layer: Iterable[bytes], name: str) -> bool:
    """Whether a gzipped tar archive has an executable file, or a link, of that name in any folder.

    Errs on the side of having it. Raises ``UnreadableError``.
    """
    stream = _Stream(_unpacked(layer))
    wanted, longer = name.encode(), b""
    while (header := stream.read(_BLOCK)).strip(b"\0"):
        kind, size = header[156:157], _octal(header[124:136])
        if kind in _NAMES:
            if size + len(longer) > _LONGEST_NAME:
                raise UnreadableError
            longer += stream.read(size)
            stream.skip(-size % _BLOCK)
            continue
        path = header[:100].rstrip(b"\0").rpartition(b"/")[2]
        runs = kind in _LINKS or (kind in _FILES and _octal(header[100:108]) & _EXECUTABLE)
        if runs and (path == wanted or wanted in longer):
            return True
        longer = b""
        stream.skip(size + -size % _BLOCK)
    return False


def _octal(field: bytes) -> int:
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError as error:
        raise UnreadableError from error


def _unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unpacker, unpacked = zlib.decompressobj(_GZIP), 0
    for chunk in chunks:
        rest = chunk
        while rest:
            try:
                plain = unpacker.decompress(rest, _LONGEST_NAME)
            except zlib.error as error:
                raise UnreadableError from error
            unpacked += len(plain)
            if unpacked > _MOST_BYTES:
                raise UnreadableError
            yield plain
            rest = unpacker.unconsumed_tail
            if unpacker.eof:
                # Archives may be compressed in pieces (RFC 1952, 2.2).
                rest, unpacker = unpacker.unused_data, zlib.decompressobj(_GZIP)


class _Stream:
    """Bytes that are read or skipped one after the other."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._ahead = b""

    def read(self, size: int) -> bytes:
        """The next bytes. Raises ``UnreadableError`` where the archive is cut off."""
        while len(self._ahead) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise UnreadableError
            self._ahead += chunk
        found, self._ahead = self._ahead[:size], self._ahead[size:]
        return found

    def skip(self, size: int) -> None:
        """Pass over bytes."""
        while size > len(self._ahead):
            size -= len(self._ahead)
            self._ahead = b""
            chunk = next(self._chunks, None)
            if chunk is None:
                return
            self._ahead = chunk
        self._ahead = self._ahead[size:]
