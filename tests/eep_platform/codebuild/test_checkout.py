import json
from pathlib import Path

import pytest
from dulwich.objects import Blob, Commit, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo

from eep_platform.codebuild import checkout
from eep_platform.codebuild.checkout import CheckoutError, check_out


def hostile(folder: Path, *path: bytes) -> str:
    """The URL of a repository whose only file is at a path that no Git program would commit."""
    folder.mkdir()
    with Repo.init_bare(folder) as repo:
        found: Blob | Tree = Blob.from_string(b"content")
        mode = 0o100644
        for name in reversed(path):
            repo.object_store.add_object(found)
            found, mode = Tree.from_string(b"%o %s\0" % (mode, name) + bytes.fromhex(found.id.decode())), 0o40000
        repo.object_store.add_object(found)
        commit = Commit()
        commit.tree, commit.parents, commit.message = found.id, [], b"evil"
        commit.author = commit.committer = b"a <a@example.com>"
        commit.author_time = commit.commit_time = commit.author_timezone = commit.commit_timezone = 0
        repo.object_store.add_object(commit)
        repo.refs[Ref(b"refs/heads/main")] = commit.id
    return f"file://{folder}"


@pytest.mark.parametrize("path", [(b"..", b"file"), (b".git", b"hooks"), (b"../file",)])
def test_no_file_is_written_beside_the_source(tmp_path: Path, path: tuple[bytes, ...]) -> None:
    folder = tmp_path / "inner" / "src"
    folder.mkdir(parents=True)
    with pytest.raises(CheckoutError, match="cannot be checked out"):
        check_out(hostile(tmp_path / "x.git", *path), "main", folder)
    assert [each.name for each in folder.parent.iterdir()] == ["src"]
    assert [each.name for each in folder.iterdir()] == [".git"]


@pytest.mark.parametrize("location", ["ssh://-oProxyCommand=touch/x", "/etc", "ext::sh"])
def test_a_source_is_fetched_by_http_or_from_a_file(tmp_path: Path, location: str) -> None:
    with pytest.raises(CheckoutError, match="repository not found"):
        check_out(location, "main", tmp_path)


def test_the_outcome_is_written_to_a_file(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    assert checkout.main("nowhere", "main", str(tmp_path), str(answer)) == 1
    assert "repository not found" in json.loads(answer.read_text())["error"]
