import gzip
import io
import tarfile
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.images.archives import UnreadableError, has_program


def member(name: str, mode: int = 0o755, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.mode, made.type, made.size, made.linkname = mode, kind, size, "elsewhere"
    return made


def layer(*members: tarfile.TarInfo, format_: int = tarfile.PAX_FORMAT) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=format_) as archive:
        for each in members:
            archive.addfile(each, io.BytesIO(b"\1" * each.size))
    return gzip.compress(plain.getvalue())


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


DEEP = f"{'a' * 90}/{'b' * 90}/{'c' * 90}"


@pytest.mark.parametrize(
    ("members", "expected", "reason"),
    [
        ([member("usr/local/bin/serve")], True, "in the PATH"),
        ([member("opt/program/serve")], True, "in a folder that ENV PATH may name"),
        ([member("serve")], True, "in the root"),
        ([member("usr/bin/serve", kind=tarfile.SYMTYPE)], True, "a link"),
        ([member("usr/bin/serve", kind=tarfile.LNKTYPE)], True, "another name of a file"),
        ([member(f"{DEEP}/serve")], True, "a name of another header"),
        ([member(f"{DEEP}/server")], True, "one that might be it: never refuse what could start"),
        ([member("app.py", size=100_001), member("bin/serve", size=1)], True, "after a large file"),
        ([member("opt/program/serve", mode=0o644)], False, "nobody can execute it"),
        ([member("opt/serve", kind=tarfile.DIRTYPE)], False, "a folder"),
        ([member("opt/serve.py"), member("opt/server"), member("opt/.wh.serve")], False, "other names"),
        ([member("a", size=1000)], False, "nothing else"),
        ([], False, "nothing at all"),
    ],
)
@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
def test_a_program_is_found_by_its_name(
    members: list[tarfile.TarInfo], format_: int, *, expected: bool, reason: str
) -> None:
    for size in (7, 1 << 20):
        assert has_program(pieces(layer(*members, format_=format_), size), "serve") is expected, reason


def test_layers_that_were_compressed_in_pieces_are_one() -> None:
    whole = gzip.decompress(layer(member("a", size=3000), member("bin/serve")))
    assert has_program([gzip.compress(whole[:700]) + gzip.compress(whole[700:])], "serve")


def hostile() -> dict[str, bytes]:
    long_name = bytearray(gzip.decompress(layer(member(f"{DEEP}/x"))))
    long_name[124:136] = b"77777777777\0"
    no_size = bytearray(gzip.decompress(layer(member("a"))))
    no_size[124:136] = b"x" * 12
    return {
        "compressed in another way": b"\x28\xb5\x2f\xfd" + b"\0" * 100,
        "a name of gigabytes": gzip.compress(bytes(long_name)),
        "a size that is none": gzip.compress(bytes(no_size)),
        "nothing": b"",
        "cut off": layer(member("a", size=100_000))[:40],
        "cut off between two files": gzip.compress(gzip.decompress(layer(member("a")))[:512]),
        "damaged": gzip.compress(b"\1" * 600)[:12] + b"\xff" * 100,
    }


@pytest.mark.parametrize("what", hostile())
def test_what_cannot_be_read_says_so(what: str) -> None:
    with pytest.raises(UnreadableError):
        has_program([hostile()[what]], "serve")


@given(st.binary(max_size=2000))
def test_nothing_else_is_raised_whatever_the_layer(content: bytes) -> None:
    for layer_ in (content, gzip.compress(content)):
        with suppress(UnreadableError):
            assert has_program([layer_], "serve") in {True, False}
