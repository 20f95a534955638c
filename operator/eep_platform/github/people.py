"""What people do: open, push to, merge, close, reopen and lock pull requests, and comment. Each is an event."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eep_platform.github.errors import unprocessable
from eep_platform.github.records import App, Comment, PullRequest, Repository, User
from eep_platform.github.store import Store
from eep_platform.github.views.views import Views

Emit = Callable[[str, dict[str, Any], Repository], None]
"""Delivers an event: its name, its payload, and where it happened."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a pull request is opened with. ``sha`` is its first commit; ``fork`` is the other repository it comes from.

    Without a ``number``, it gets the next.
    """

    sha: str
    author: str
    branch: str
    title: str
    body: str | None = None
    number: int | None = None
    fork: str | None = None


@dataclass(frozen=True, slots=True)
class People:
    """Acts in the names of users."""

    store: Store
    views: Views
    emit: Emit

    def open(self, repository: Repository, opening: Opening) -> PullRequest:
        """Open a pull request against the default branch. Raises the error 422 if its number is taken."""
        number = opening.number or max(repository.pulls, default=0) + 1
        if number in repository.pulls:
            raise unprocessable(f"there is a pull request {number} in {repository.full_name} already")
        author, base, now = self.store.ensure_user(opening.author), repository.default_branch, self.store.clock()
        fork = self._fork(repository, opening.fork) if opening.fork else None
        pull = PullRequest(
            id=self.store.new_id(),
            number=number,
            title=opening.title,
            body=opening.body,
            author=author,
            head_branch=opening.branch,
            base_branch=base,
            base_sha=repository.branches[base],
            commits=[],
            created=now,
            updated=now,
            fork=fork,
        )
        self._append(repository, pull, opening.sha, opening.title, author)
        repository.pulls[number] = pull
        self._pull_event("opened", repository, pull, author)
        return pull

    def push(self, repository: Repository, pull: PullRequest, sha: str, message: str) -> None:
        """Add a commit to a pull request."""
        _require(pull.is_open, "a push to the branch of a closed pull request does not change it")
        _require(sha not in pull.commits, f"the pull request has the commit {sha} already")
        before = pull.head
        self._append(repository, pull, sha, message, pull.author)
        self._pull_event("synchronize", repository, pull, pull.author, before=before, after=sha)

    def merge_base(self, repository: Repository, pull: PullRequest) -> None:
        """Merge the base into a pull request's branch."""
        pull.base_sha = repository.branches[pull.base_branch]
        merge = _hash(pull.head, pull.base_sha)
        self.push(repository, pull, merge, f"Merge {pull.base_branch} into {pull.head_branch}")

    def close(self, repository: Repository, pull: PullRequest, login: str) -> None:
        """Close an open pull request without merging it."""
        _require(pull.is_open, "the pull request is closed already")
        pull.closed = pull.updated = self.store.clock()
        self._pull_event("closed", repository, pull, self.store.ensure_user(login))

    def merge(self, repository: Repository, pull: PullRequest, login: str) -> None:
        """Merge an open pull request: the base gets a merge commit."""
        _require(pull.is_open, "the pull request is closed already")
        user, base = self.store.ensure_user(login), pull.base_branch
        sha = _hash(repository.branches[base], pull.head)
        message = f"Merge pull request #{pull.number}"
        self.store.add_commit(repository, sha, message, user, repository.branches[base])
        repository.branches[base] = pull.merge_sha = sha
        pull.closed = pull.merged = pull.updated = self.store.clock()
        pull.merged_by = user
        self._pull_event("closed", repository, pull, user)

    def reopen(self, repository: Repository, pull: PullRequest, login: str) -> None:
        """Reopen a pull request that was closed; a merged one cannot be."""
        _require(not pull.is_open, "the pull request is open")
        _require(pull.merged is None, "a merged pull request cannot be reopened")
        pull.closed, pull.updated = None, self.store.clock()
        self._pull_event("reopened", repository, pull, self.store.ensure_user(login))

    def lock(self, repository: Repository, pull: PullRequest, login: str) -> None:
        """Lock the conversation on a pull request, open or not."""
        pull.is_locked = True
        self._pull_event("locked", repository, pull, self.store.ensure_user(login))

    def unlock(self, repository: Repository, pull: PullRequest, login: str) -> None:
        """Unlock the conversation on a pull request."""
        pull.is_locked = False
        self._pull_event("unlocked", repository, pull, self.store.ensure_user(login))

    def comment(
        self, repository: Repository, pull: PullRequest, author: User, body: str, app: App | None = None
    ) -> Comment:
        """Comment on a pull request."""
        now = self.store.clock()
        made = Comment(self.store.new_id(), pull.number, author, body, now, now, app)
        repository.comments[made.id] = made
        pull.updated = now
        self._comment_event("created", repository, made, author)
        return made

    def edit(self, repository: Repository, comment: Comment, user: User, body: str) -> None:
        """Change the text of a comment."""
        before, comment.body, comment.updated = comment.body, body, self.store.clock()
        self._comment_event("edited", repository, comment, user, changes={"body": {"from": before}})

    def delete(self, repository: Repository, comment: Comment, user: User) -> None:
        """Delete a comment."""
        del repository.comments[comment.id]
        self._comment_event("deleted", repository, comment, user)

    def _append(self, repository: Repository, pull: PullRequest, sha: str, message: str, author: User) -> None:
        parent = pull.head if pull.commits else pull.base_sha
        self.store.add_commit(repository, sha, message, author, parent)
        pull.commits.append(sha)
        pull.updated = self.store.clock()
        (pull.fork or repository).branches[pull.head_branch] = sha

    def _fork(self, repository: Repository, full_name: str) -> Repository:
        known = self.store.named(full_name)
        return known or self.store.add_repository(full_name, is_private=repository.is_private, fork_of=repository)

    def _pull_event(self, action: str, repository: Repository, pull: PullRequest, sender: User, **more: Any) -> None:  # noqa: ANN401 - members of the payload
        payload = {
            "action": action,
            "number": pull.number,
            "pull_request": self.views.full_pull(repository, pull),
            "repository": self.views.repository(repository),
            "sender": self.views.user(sender),
            **more,
        }
        self.emit("pull_request", payload, repository)

    def _comment_event(self, action: str, repository: Repository, comment: Comment, sender: User, **more: Any) -> None:  # noqa: ANN401 - members of the payload
        payload = {
            "action": action,
            "issue": self.views.issue(repository, repository.pulls[comment.number]),
            "comment": self.views.comment(repository, comment),
            "repository": self.views.repository(repository),
            "sender": self.views.user(sender),
            **more,
        }
        self.emit("issue_comment", payload, repository)


def _require(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - what must be so
    if not condition:
        raise unprocessable(otherwise)


def _hash(*parts: str) -> str:
    return hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()
