import hashlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.fixtures.disk import SmallDisk

from eep_platform.containers import layers
from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.errors import InvalidImage
from eep_platform.containers.image import CONFIG, Descriptor, ImageConfig, Manifest
from eep_platform.containers.store import ImageStore, building

KILLED_HALF_WAY = """
import os, sys
from pathlib import Path
from eep_platform.containers.store import building
with building(Path(sys.argv[1])) as root:
    root.mkdir()
    (root / "half").touch()
    os._exit(9)
"""


def image(store: ImageStore, folder: Path) -> tuple[Manifest, ImageConfig]:
    descriptor, diff_id = layers.pack(folder, store.blobs)
    config = ImageConfig(diff_ids=(diff_id,))
    content = config.render()
    return Manifest(Descriptor(CONFIG, store.blobs.add(content), len(content)), (descriptor,)), config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("content")
    return tmp_path / "source"


def test_two_at_once_unpack_one_image(tmp_path: Path, folder: Path) -> None:
    store = ImageStore(tmp_path / "store")
    manifest, config = image(store, folder)
    barrier = threading.Barrier(4)
    roots: list[Path] = []

    def unpack() -> None:
        barrier.wait()
        roots.append(store.unpack(manifest, config))

    threads = [threading.Thread(target=unpack) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(roots) == 4
    assert set(roots) == {store.unpacked(config)}
    assert (roots[0] / "file").read_text() == "content"
    assert [path.name for path in (tmp_path / "store" / "snapshots").iterdir()] == [roots[0].name]


def test_what_a_killed_maker_left_is_neither_used_nor_kept(tmp_path: Path) -> None:
    final = tmp_path / "final"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    argv = [sys.executable, "-c", KILLED_HALF_WAY, str(final)]
    assert subprocess.run(argv, env=environment, check=False).returncode == 9  # noqa: S603 (ourselves)
    assert list(tmp_path.glob(".building-*/root/half"))
    assert not final.exists()
    with building(final) as root:
        root.mkdir()
        (root / "whole").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
    assert (final / "whole").exists()


def test_a_layer_that_is_not_what_the_config_says_is_refused(tmp_path: Path, folder: Path) -> None:
    store = ImageStore(tmp_path / "store")
    manifest, _ = image(store, folder)
    other = ImageConfig(diff_ids=(f"sha256:{hashlib.sha256(b'other').hexdigest()}",))
    with pytest.raises(InvalidImage, match="the config says"):
        store.unpack(manifest, other)
    assert store.unpacked(other) is None


def test_an_image_for_another_machine_is_refused(tmp_path: Path, folder: Path) -> None:
    store = ImageStore(tmp_path / "store")
    manifest, config = image(store, folder)
    with pytest.raises(InvalidImage, match="s390x"):
        store.unpack(manifest, ImageConfig(architecture="s390x", diff_ids=config.diff_ids))


def test_a_blob_of_another_digest_is_not_stored(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    expected = f"sha256:{hashlib.sha256(b'good').hexdigest()}"
    with pytest.raises(InvalidImage, match="the content is corrupt"):
        blobs.add(b"evil", expected)
    assert expected not in blobs
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_full_disk_leaves_no_part_of_a_blob_and_the_next_attempt_stores_it(small_disk: SmallDisk) -> None:
    blobs, content = BlobStore(small_disk.path), b"x" * 8192
    small_disk.fill()
    with pytest.raises(OSError, match="No space left on device"):
        blobs.add(content)
    small_disk.free()
    assert [path for path in small_disk.path.rglob("*") if path.is_file()] == []
    assert blobs.read(blobs.add(content)) == content
