"""Git repositories on this machine, as a hosting service has them: bare, and pushed to. They need no Git program."""

import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

_AUTHOR: Final = b"Ada <ada@example.com>"
_FILE: Final = stat.S_IFREG | 0o644


@dataclass(frozen=True, slots=True)
class GitHost:
    """The repositories below a folder; ``<owner>/<name>`` is ``<owner>/<name>.git``. Everything blocks."""

    folder: Path

    @property
    def url(self) -> str:
        """What the URLs of all repositories begin with."""
        return self.folder.resolve().as_uri()

    def push(self, repository: str, branch: str, files: Mapping[str, bytes], *, message: str) -> str:
        """Put a commit that consists of these files on top of a branch; makes both if need be. Returns its SHA."""
        folder = self.folder / f"{repository}.git"
        if not folder.exists():
            folder.mkdir(parents=True)
            Repo.init_bare(str(folder)).close()
        repo = Repo(str(folder))
        try:
            return _commit(repo, Ref(f"refs/heads/{branch}".encode()), files, message)
        finally:
            repo.close()


def files_of(folder: Path, *, below: str) -> dict[str, bytes]:
    """The files of a folder as a commit holds them, below another one; caches of Python are left out."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {f"{below}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths}


def _commit(repo: Repo, branch: Ref, files: Mapping[str, bytes], message: str) -> str:
    commit = Commit()
    commit.tree = _tree(repo, files)
    commit.parents = [repo.refs[branch]] if branch in repo.refs else []
    commit.author = commit.committer = _AUTHOR
    commit.author_time = commit.commit_time = int(time.time())
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = message.encode()
    repo.object_store.add_object(commit)
    repo.refs[branch] = commit.id
    return commit.id.decode()


def _tree(repo: Repo, files: Mapping[str, bytes]) -> ObjectID:
    entries = []
    for path, content in files.items():
        blob = Blob.from_string(content)
        repo.object_store.add_object(blob)
        entries.append((path.encode(), blob.id, _FILE))
    return commit_tree(repo.object_store, entries)
