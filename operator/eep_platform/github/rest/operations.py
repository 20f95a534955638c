"""What an operation of the REST API is, and what its handler gets and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from eep_platform.github.access import Caller, Need
from eep_platform.github.errors import not_found
from eep_platform.github.records import Repository, User

Json = Any
_MARK: Final = "github_operation"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation by GitHub's id of it.

    ``answers`` are the models of the bodies by status, ``body`` that of the request. ``need`` is the permission in the
    repository of the path. ``is_public`` operations take any caller; ``as_app`` ones need the signature of an App.
    """

    id: str
    method: str
    path: str
    answers: Mapping[int, str]
    body: str | None = None
    need: Need | None = None
    as_app: bool = False
    is_free: bool = False
    """Whether it counts for no limit."""

    @property
    def creates_content(self) -> bool:
        """Whether it counts for the limits of content."""
        return self.method != "GET" and not self.as_app


@dataclass(frozen=True, slots=True)
class Call:
    """A request as a handler sees it: authorized, and its body judged."""

    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Json]
    found: Repository | None = None

    @property
    def repository(self) -> Repository:
        """The repository of the path."""
        if self.found is None:
            raise not_found()
        return self.found

    @property
    def user(self) -> User:
        """The user or bot that calls."""
        user = self.caller.user
        if user is None:
            raise not_found()
        return user

    def number(self, name: str) -> int:
        """A number in the path; raises the error 404 if it is none."""
        text = self.path[name]
        if not text.isdecimal():
            raise not_found()
        return int(text)

    def text(self, name: str, default: str) -> str:
        """A text in the body, or the default if it is missing, null or empty."""
        return str(self.body.get(name) or default)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers. ``pages`` is the number of the last page of a list."""

    body: Json
    status: int = 200
    page: int = 1
    pages: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Answer]
Method = TypeVar("Method", bound=Callable[..., Answer])


def operation(  # noqa: PLR0913 - what GitHub's description of an operation says
    id_: str,
    route: str,
    answers: Mapping[int, str],
    *,
    body: str | None = None,
    need: Need | None = None,
    as_app: bool = False,
    is_free: bool = False,
) -> Callable[[Method], Method]:
    """Mark a method as the handler of an operation; ``route`` is ``METHOD /path``."""
    method, _, path = route.partition(" ")
    described = Operation(id_, method, path, answers, body, need, as_app=as_app, is_free=is_free)

    def mark(handler: Method) -> Method:
        setattr(handler, _MARK, described)
        return handler

    return mark


def handlers_of(*groups: object) -> list[tuple[Operation, Handler]]:
    """The operations that the methods of these objects handle."""
    methods = (getattr(group, name) for group in groups for name in dir(group) if not name.startswith("_"))
    return [(getattr(method, _MARK), method) for method in methods if hasattr(method, _MARK)]
