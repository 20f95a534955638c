from pathlib import Path

import pytest
from tests.fixtures.disk import SmallDisk

from eep_platform.paths import cache_dir, write_atomically


@pytest.mark.parametrize(
    ("environ", "expected", "reason"),
    [
        ({"HOME": "/home/a"}, "/home/a/.cache/ephemeral-endpoints", "the default of the XDG specification"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": "/c"}, "/c/ephemeral-endpoints", "the user's own choice"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": ""}, "/home/a/.cache/ephemeral-endpoints", "empty counts as unset"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": "c"}, "/home/a/.cache/ephemeral-endpoints", "relative is to be ignored"),
    ],
)
def test_the_cache_is_where_the_xdg_specification_puts_it(environ: dict[str, str], expected: str, reason: str) -> None:
    assert cache_dir(environ) == Path(expected), reason


def test_a_written_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    write_atomically(target, "secret")
    assert target.read_text() == "secret"
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.parent.stat().st_mode & 0o777 == 0o700


def test_a_write_that_cannot_finish_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "occupied"
    target.mkdir()
    with pytest.raises(OSError, match="occupied"):
        write_atomically(target, "x")
    assert [path.name for path in tmp_path.iterdir()] == ["occupied"]


def test_a_full_disk_leaves_the_file_as_it_was_and_nothing_beside_it(small_disk: SmallDisk) -> None:
    target = small_disk.path / "state"
    write_atomically(target, "before")
    small_disk.fill()
    with pytest.raises(OSError, match="No space left on device"):
        write_atomically(target, "x" * 8192)
    assert target.read_text() == "before"
    small_disk.free()
    assert [path.name for path in small_disk.path.iterdir()] == ["state"]
    write_atomically(target, "after")
    assert target.read_text() == "after"
