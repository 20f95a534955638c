from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eep_platform.containers import rootfs
from eep_platform.containers.errors import InvalidImage

parts = st.lists(st.sampled_from(["..", "a", "b", "up", "out", "self"]), max_size=6).map("/".join)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machine") / "root"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "up").symlink_to("../../..")
    (folder / "a" / "out").symlink_to("/")
    (folder / "a" / "lib").symlink_to("/a/b")
    (folder / "loop").symlink_to("loop")
    return folder


@given(path=parts)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_path_leads_out(root: Path, path: str) -> None:
    assert rootfs.resolve(root, path).resolve().is_relative_to(root)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        pytest.param("/a/lib/x", "a/b/x", id="an absolute link begins at the root"),
        pytest.param("up/etc", "etc", id="a link that climbs stops at the root"),
        pytest.param("a/out/a", "a", id="a link to the root itself"),
        pytest.param("new/../x", "x", id="what does not exist is taken literally"),
    ],
)
def test_links_are_followed_as_after_a_chroot(root: Path, path: str, place: str) -> None:
    assert rootfs.resolve(root, path) == root / place


def test_a_loop_of_links_ends(root: Path) -> None:
    with pytest.raises(InvalidImage, match="too many"):
        rootfs.resolve(root, "loop")


def test_a_clone_shares_files_and_keeps_links_and_modes(tmp_path: Path, root: Path) -> None:
    (root / "file").write_text("x")
    (root / "a").chmod(0o711)
    rootfs.clone(root, tmp_path / "clone")
    assert (tmp_path / "clone" / "file").samefile(root / "file")
    assert (tmp_path / "clone" / "up").readlink() == Path("../../..")
    assert (tmp_path / "clone" / "a").stat().st_mode & 0o777 == 0o711
