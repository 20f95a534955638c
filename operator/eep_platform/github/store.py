"""All state of the service, in memory."""

import hashlib
from dataclasses import dataclass, field
from itertools import count

from eep_platform.emulation.clock import Clock
from eep_platform.github.errors import not_found
from eep_platform.github.records import (
    App,
    Comment,
    Commit,
    Installation,
    PullRequest,
    Repository,
    Role,
    Token,
    User,
    UserType,
)


@dataclass(slots=True)
class Store:
    """Finds and makes records. Names are compared without regard to case, as GitHub compares them."""

    clock: Clock
    users: dict[str, User] = field(default_factory=dict)
    repositories: dict[int, Repository] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    """Repository ids by their full names, former ones too."""
    tokens: dict[str, Token] = field(default_factory=dict)
    apps: dict[int, App] = field(default_factory=dict)
    installations: dict[int, Installation] = field(default_factory=dict)
    _ids: "count[int]" = field(default_factory=lambda: count(1001))

    def new_id(self) -> int:
        """An id that nothing has."""
        return next(self._ids)

    def user(self, login: str) -> User:
        """The user of this login; raises the error 404 if there is none."""
        if login.lower() not in self.users:
            raise not_found()
        return self.users[login.lower()]

    def ensure_user(self, login: str, type_: UserType = "User") -> User:
        """The user of this login, who is made if needed."""
        if login.lower() not in self.users:
            self.users[login.lower()] = User(self.new_id(), login, self.clock(), type_)
        return self.users[login.lower()]

    def repository(self, full_name: str) -> Repository:
        """The repository of a present or former name; raises the error 404 if there is none."""
        found = self.names.get(full_name.lower())
        if found is None:
            raise not_found()
        return self.repositories[found]

    def named(self, full_name: str) -> Repository | None:
        """The repository that has this name now."""
        found = self.repositories.get(self.names.get(full_name.lower(), 0))
        return found if found is not None and found.full_name.lower() == full_name.lower() else None

    def add_repository(self, full_name: str, *, is_private: bool, fork_of: Repository | None = None) -> Repository:
        """Make a repository with one commit on its default branch."""
        owner, _, name = full_name.partition("/")
        account = self.ensure_user(owner, "User" if fork_of else "Organization")
        made = Repository(self.new_id(), account, name, is_private, self.clock(), fork_of=fork_of)
        self.repositories[made.id] = made
        self.names[full_name.lower()] = made.id
        first = hashlib.sha1(full_name.encode(), usedforsecurity=False).hexdigest()
        self.add_commit(made, first, "Initial commit", account)
        made.branches[made.default_branch] = first
        return made

    def rename(self, repository: Repository, full_name: str) -> None:
        """Give a repository another name; the former one goes on leading to it."""
        owner, _, name = full_name.partition("/")
        repository.owner, repository.name = self.ensure_user(owner, "Organization"), name
        self.names[full_name.lower()] = repository.id

    def delete_repository(self, repository: Repository) -> None:
        """Forget a repository and all its names."""
        del self.repositories[repository.id]
        self.names = {name: id_ for name, id_ in self.names.items() if id_ != repository.id}

    def add_commit(
        self, repository: Repository, sha: str, message: str, author: User, parent: str | None = None
    ) -> Commit:
        """Have a commit in a repository."""
        made = Commit(sha, message, author, self.clock(), parent)
        return repository.commits.setdefault(sha, made)

    def pull(self, repository: Repository, number: int) -> PullRequest:
        """A pull request; raises the error 404 if there is none."""
        if number not in repository.pulls:
            raise not_found()
        return repository.pulls[number]

    def comment(self, repository: Repository, id_: int) -> Comment:
        """A comment; raises the error 404 if there is none."""
        if id_ not in repository.comments:
            raise not_found()
        return repository.comments[id_]

    def installation_of(self, app: App, repository: Repository) -> Installation | None:
        """The App's installation that covers a repository."""
        own = (each for each in self.installations.values() if each.app is app)
        return next((each for each in own if covers(each, repository)), None)

    def grant(self, repository: Repository, login: str, role: Role) -> None:
        """Make a user a collaborator with a role, or none."""
        repository.roles[self.ensure_user(login).login.lower()] = role

    def clear(self) -> None:
        """Delete everything; ids are not used again."""
        for each in (self.users, self.repositories, self.names, self.tokens, self.apps, self.installations):
            each.clear()


def covers(installation: Installation, repository: Repository) -> bool:
    """Whether an installation may work in a repository at all."""
    if installation.account is not repository.owner:
        return False
    return installation.repositories is None or repository.id in installation.repositories
