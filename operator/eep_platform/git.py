"""Bare Git repositories on this machine, as a stand-in for a hosting service. No Git program is needed."""

import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

_AUTHOR: Final = b"Ada <ada@example.com>"
_FILE: Final = stat.S_IFREG | 0o644
_LINK: Final = stat.S_IFLNK

_Entry = tuple[str, bytes, int]
"""The path, content and mode of a file; the content of a link is its target."""


@dataclass(frozen=True, slots=True)
class GitHost:
    """The repositories below a folder; ``<owner>/<name>`` is ``<owner>/<name>.git``. All methods block."""

    folder: Path

    @property
    def url(self) -> str:
        """The prefix of all repositories' URLs."""
        return self.folder.resolve().as_uri()

    def push(
        self,
        repository: str,
        branch: str,
        files: Mapping[str, bytes],
        *,
        message: str,
        links: Mapping[str, str] | None = None,
    ) -> str:
        """Add a commit with exactly these files and symbolic links to a branch, which is created if needed.

        Returns its SHA.
        """
        folder = self.folder / f"{repository}.git"
        if not folder.exists():
            folder.mkdir(parents=True)
            Repo.init_bare(str(folder)).close()
        repo = Repo(str(folder))
        try:
            modes = [(path, content, _FILE) for path, content in files.items()]
            modes += [(path, target.encode(), _LINK) for path, target in (links or {}).items()]
            return _commit(repo, Ref(f"refs/heads/{branch}".encode()), modes, message)
        finally:
            repo.close()


def files_of(folder: Path, *, below: str) -> dict[str, bytes]:
    """The files of a folder for a commit, with the prefix ``below``; without Python's caches."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {f"{below}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths}


def _commit(repo: Repo, branch: Ref, files: Iterable[_Entry], message: str) -> str:
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


def _tree(repo: Repo, files: Iterable[_Entry]) -> ObjectID:
    entries = []
    for path, content, mode in files:
        blob = Blob.from_string(content)
        repo.object_store.add_object(blob)
        entries.append((path.encode(), blob.id, mode))
    return commit_tree(repo.object_store, entries)
