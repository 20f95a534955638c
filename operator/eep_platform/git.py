"""Bare Git repositories on this machine, as a stand-in for a hosting service. No Git program is needed."""

import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dulwich.ignore import IgnoreFilter
from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

FOLDER: Final = "git"
"""The folder of the repositories in the state folder of a platform."""

_AUTHOR: Final = b"Ada <ada@example.com>"
_FILE: Final = stat.S_IFREG | 0o644
_EXECUTABLE: Final = stat.S_IFREG | 0o755
_LINK: Final = stat.S_IFLNK
_NEVER_COMMITTED: Final = frozenset({".git", "__pycache__", ".venv"})

_Entry = tuple[str, bytes, int]
"""The path, content and mode of a file; the content of a link is its target."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a commit of a folder holds: contents and targets of links by path, and which files are executable."""

    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    executable: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class GitHost:
    """The repositories below a folder; ``<owner>/<name>`` is ``<owner>/<name>.git``. All methods block."""

    folder: Path

    @property
    def url(self) -> str:
        """The prefix of all repositories' URLs."""
        return self.folder.resolve().as_uri()

    def push(  # noqa: PLR0913 - what a commit is made of
        self,
        repository: str,
        branch: str,
        files: Mapping[str, bytes],
        *,
        message: str,
        links: Mapping[str, str] | None = None,
        executable: Iterable[str] = (),
    ) -> str:
        """Add a commit with exactly these files and symbolic links to a branch, which is created if needed.

        Returns its SHA.
        """
        repo = Repo(str(self.create(repository)))
        programs = frozenset(executable)
        try:
            modes = [(path, content, _EXECUTABLE if path in programs else _FILE) for path, content in files.items()]
            modes += [(path, target.encode(), _LINK) for path, target in (links or {}).items()]
            return _commit(repo, Ref(f"refs/heads/{branch}".encode()), modes, message)
        finally:
            repo.close()

    def head(self, repository: str, branch: str) -> str | None:
        """The SHA of a branch's newest commit; None if there is no such repository or branch."""
        folder = self.folder / f"{repository}.git"
        if not folder.exists():
            return None
        repo = Repo(str(folder))
        try:
            found = repo.refs.as_dict().get(Ref(f"refs/heads/{branch}".encode()))
            return found.decode() if found else None
        finally:
            repo.close()

    def create(self, repository: str) -> Path:
        """The folder of a repository, which is created if needed."""
        folder = self.folder / f"{repository}.git"
        if not folder.exists():
            folder.mkdir(parents=True)
            Repo.init_bare(str(folder)).close()
        return folder


def snapshot(folder: Path) -> Snapshot:
    """All files of a folder that Git would commit: without those that its .gitignore names, and without Python's."""
    ignoring = folder / ".gitignore"
    ignored = IgnoreFilter.from_path(str(ignoring)) if ignoring.is_file() else IgnoreFilter([])
    found = Snapshot()
    for path in _walk(folder, folder, ignored):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found.links[name] = str(path.readlink())
            continue
        found.files[name] = path.read_bytes()
        if os.access(path, os.X_OK):
            found.executable.add(name)
    return found


def _walk(folder: Path, root: Path, ignored: IgnoreFilter) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        is_folder = path.is_dir() and not path.is_symlink()
        name = f"{path.relative_to(root).as_posix()}{'/' if is_folder else ''}"
        if path.name in _NEVER_COMMITTED or ignored.is_ignored(name):
            continue
        if is_folder:
            yield from _walk(path, root, ignored)
        elif path.is_symlink() or path.is_file():
            yield path


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
