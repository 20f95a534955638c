import gzip
import io
import os
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eep_platform.containers import layers
from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.errors import InvalidImage

Entry = tuple[str, bytes, str]  # name, tar type, content or link target

names = st.lists(st.sampled_from(["..", ".", "", "a", "b", ".wh.a", ".wh..wh..opq", ".wh..", "link"]), max_size=4).map(
    "/".join
)
targets = st.sampled_from(["..", "/", "../../..", "a", "/a/b", "../outside", "/etc"])
kinds = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)


def archive(entries: Iterable[Entry]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, content in entries:
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.uid, member.gid = kind, 0o6777, os.getuid(), os.getgid()
            if kind == tarfile.REGTYPE:
                member.size = len(content)
            else:
                member.linkname = content
            tar.addfile(member, io.BytesIO(content.encode()) if kind == tarfile.REGTYPE else None)
    buffer.seek(0)
    return buffer


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


@given(entries=st.lists(st.tuples(names, kinds, targets), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_no_layer_touches_anything_outside(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> None:
    machine = tmp_path_factory.mktemp("machine")
    (machine / "outside").write_text("mine")
    before = (machine / "outside").stat()
    root = machine / "root"
    root.mkdir()
    with suppress(InvalidImage):
        layers.apply(archive(entries), root)
    after = (machine / "outside").stat()
    assert sorted(path.name for path in machine.iterdir()) == ["outside", "root"]
    assert (machine / "outside").read_text() == "mine"
    assert (after.st_mode, after.st_nlink) == (before.st_mode, before.st_nlink)


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([("../evil", tarfile.REGTYPE, "x")], id="a name that climbs"),
        pytest.param([("a/../../evil", tarfile.REGTYPE, "x")], id="a name that climbs later"),
        pytest.param([("shadow", tarfile.LNKTYPE, "../../etc/shadow")], id="a hard link out"),
        pytest.param([("shadow", tarfile.LNKTYPE, "missing")], id="a hard link to nothing"),
    ],
)
def test_hostile_entries_are_refused(tmp_path: Path, entries: list[Entry]) -> None:
    with pytest.raises(InvalidImage):
        layers.apply(archive(entries), tmp_path)


def test_writing_through_a_link_stays_in_the_image(tmp_path: Path) -> None:
    entries = [("out", tarfile.SYMTYPE, "/etc"), ("out/evil", tarfile.REGTYPE, "x")]
    layers.apply(archive(entries), tmp_path)
    assert (tmp_path / "etc" / "evil").read_text() == "x"
    assert not Path("/etc/evil").exists()


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(archive([("a", tarfile.REGTYPE, "x" * 5000)]).getvalue())
    with pytest.raises(InvalidImage, match="cannot be unpacked"):
        layers.apply(io.BytesIO(whole[: len(whole) // 2]), tmp_path)


def test_whiteouts_remove_what_lower_layers_put_there_and_only_that(tmp_path: Path) -> None:
    lower = [("kept", tarfile.REGTYPE, "1"), ("gone", tarfile.REGTYPE, "1"), ("dir/old", tarfile.REGTYPE, "1")]
    upper = [
        (".wh.gone", tarfile.REGTYPE, ""),
        ("dir/new", tarfile.REGTYPE, "2"),
        ("dir/.wh..wh..opq", tarfile.REGTYPE, ""),
        (".wh.never", tarfile.REGTYPE, ""),
    ]
    layers.apply(archive(lower), tmp_path)
    layers.apply(archive(upper), tmp_path)
    assert files(tmp_path) == {"kept": "1", "dir/new": "2"}


def test_files_are_replaced_never_written_to_as_snapshots_share_them(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    layers.apply(archive([("a", tarfile.REGTYPE, "lower")]), root)
    (tmp_path / "shared").hardlink_to(root / "a")
    layers.apply(archive([("a", tarfile.REGTYPE, "upper")]), root)
    assert (tmp_path / "shared").read_text() == "lower"
    assert files(root) == {"a": "upper"}
    assert (root / "a").stat().st_mode & 0o7777 == 0o555


def test_equal_folders_give_equal_layers_whatever_their_times_and_owners(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    packed = []
    for number, order in enumerate((["x", "y"], ["y", "x"])):
        folder = tmp_path / str(number)
        (folder / "sub").mkdir(parents=True)
        for name in order:
            (folder / "sub" / name).write_text(name)
            os.utime(folder / "sub" / name, (number, number))
        (folder / "link").symlink_to("sub/x")
        packed.append(layers.pack(folder, blobs))
    assert packed[0] == packed[1]
    (tmp_path / "1" / "sub" / "x").chmod(0o755)
    assert layers.pack(tmp_path / "1", blobs) != packed[0]


def test_what_is_packed_unpacks_to_the_same_under_its_diff_id(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "file").write_text("content")
    target.mkdir()
    blobs = BlobStore(tmp_path / "blobs")
    descriptor, diff_id = layers.pack(source, blobs)
    with blobs.path(descriptor.digest).open("rb") as layer:
        assert layers.apply(layer, target) == diff_id
    assert files(target) == {"a/b/file": "content"}
