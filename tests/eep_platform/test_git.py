import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import make_server

import pytest

from eep_platform.git import GitHost, snapshot
from eep_platform.git_server import _Quiet, _Server, application


@pytest.fixture
def host(tmp_path: Path) -> GitHost:
    return GitHost(tmp_path / "host")


@pytest.fixture
def url(host: GitHost) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, application(host), _Server, _Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    """The real client, with no configuration of its user."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    done = subprocess.run(  # noqa: S603 - arguments of the tests
        ["git", *author, *arguments],  # noqa: S607 - wherever the system has it
        cwd=folder,
        env=environment,
        check=check,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "iris"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "Dockerfile").write_text("FROM python:3.11-slim\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "First")
    return folder


def test_a_push_of_a_git_client_creates_the_repository_and_can_be_cloned(
    work: Path, url: str, host: GitHost, tmp_path: Path
) -> None:
    head = git(work, "rev-parse", "HEAD")
    git(work, "push", "--quiet", f"{url}/local/iris.git", "HEAD:refs/heads/pr-1")
    git(tmp_path, "clone", "--quiet", "--branch", "pr-1", f"{url}/local/iris.git", "again")
    assert git(tmp_path / "again", "rev-parse", "HEAD") == head
    # What builds read is the same repository.
    git(tmp_path, "clone", "--quiet", "--branch", "pr-1", f"{host.url}/local/iris.git", "built")
    assert (tmp_path / "built" / "Dockerfile").read_text() == "FROM python:3.11-slim\n"


def test_a_second_push_moves_the_branch_and_a_diverging_one_is_rejected(work: Path, url: str) -> None:
    remote = f"{url}/local/iris.git"
    git(work, "push", "--quiet", remote, "HEAD:refs/heads/pr-1")
    git(work, "commit", "--quiet", "--allow-empty", "--message", "Second")
    git(work, "push", "--quiet", remote, "HEAD:refs/heads/pr-1")
    assert git(work, "ls-remote", remote, "refs/heads/pr-1").split()[0] == git(work, "rev-parse", "HEAD")
    git(work, "commit", "--quiet", "--amend", "--allow-empty", "--message", "Other")
    assert "rejected" in git(work, "push", remote, "HEAD:refs/heads/pr-1", check=False)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("iris.git", id="no owner"),
        pytest.param("local/../../escaped.git", id="a path that climbs"),
        pytest.param("local/.hidden.git", id="a hidden folder"),
    ],
)
def test_a_push_elsewhere_creates_nothing(work: Path, url: str, tmp_path: Path, path: str) -> None:
    before = sorted(tmp_path.rglob("*.git"))
    assert "not found" in git(work, "-c", "http.followRedirects=false", "push", f"{url}/{path}", "HEAD", check=False)
    assert sorted(tmp_path.rglob("*.git")) == before


def test_a_snapshot_has_what_git_would_commit_with_links_and_modes(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log\ndata/\n")
    (tmp_path / "serve").write_text("#!/bin/sh\n")
    (tmp_path / "serve").chmod(0o755)
    (tmp_path / "app.py").write_text("")
    (tmp_path / "main.py").symlink_to("app.py")
    (tmp_path / "x.log").touch()
    for folder in ("data", ".venv/bin", "pkg/__pycache__", ".git"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").touch()
    found = snapshot(tmp_path)
    assert set(found.files) == {".gitignore", "serve", "app.py"}
    assert found.links == {"main.py": "app.py"}
    assert found.executable == {"serve"}


def test_a_commit_keeps_the_modes_of_programs(host: GitHost, tmp_path: Path) -> None:
    host.push("local/x", "pr-1", {"serve": b"#!/bin/sh\n", "a": b""}, message="m", executable={"serve"})
    git(tmp_path, "clone", "--quiet", "--branch", "pr-1", f"{host.url}/local/x.git", "x")
    assert os.access(tmp_path / "x" / "serve", os.X_OK)
    assert not os.access(tmp_path / "x" / "a", os.X_OK)


def test_the_head_of_a_branch_is_its_newest_commit(host: GitHost) -> None:
    host.push("local/x", "pr-1", {"a": b"1"}, message="First")
    newest = host.push("local/x", "pr-1", {"a": b"2"}, message="Second")
    assert host.head("local/x", "pr-1") == newest
    assert host.head("local/x", "pr-2") is None
    assert host.head("local/y", "pr-1") is None
    assert not (host.folder / "local" / "y.git").exists(), "looking makes nothing"
