"""Requests to GitHub with the credentials of a class: authorized, within the limits, over renamed repositories."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Literal

import aiohttp

from ephemeral_endpoints.features.reviews.errors import (
    ForgeDenied,
    ForgeError,
    ForgeInvalid,
    ForgeNotFound,
    ForgeUnavailable,
)
from ephemeral_endpoints.features.reviews.github.answers import (
    REDIRECTS,
    Answer,
    BadCredentials,
    GraphqlAnswer,
    Json,
    Response,
    allowance,
    answer_of,
    graphql_of,
    is_graphql_limited,
    is_limited,
    limited,
    wait_seconds,
)
from ephemeral_endpoints.features.reviews.github.app import Sign
from ephemeral_endpoints.features.reviews.github.auth import Auth, Authority, Secret
from ephemeral_endpoints.features.reviews.github.clock import ForgeClock
from ephemeral_endpoints.features.reviews.github.grants import Grant
from ephemeral_endpoints.features.reviews.github.hosts import Host
from ephemeral_endpoints.features.reviews.github.limits import Budget
from ephemeral_endpoints.features.reviews.github.signing import app_jwt
from ephemeral_endpoints.features.reviews.github.transport import Transport
from ephemeral_endpoints.kube.connection import proxy_for

__all__ = ["GitHubClient", "GraphqlAnswer", "Json"]

PATIENCE_SECONDS: Final = 5.0
"""A request that may be sent within them waits; another one fails with ForgeLimited, and is its caller's to repeat."""

CONFIRMED_SECONDS: Final = 1.0
"""After them a request that found nothing is sent once more. That wrote nothing, so it makes no twin."""

MOST_REDIRECTS: Final = 3
MOST_PAGES: Final = 50
READERS: Final = 4

_REPOSITORY: Final = re.compile(r"/repos/([^/?]+/[^/?]+)")

RequestKind = Literal["read", "write"]
"""Writes count for the limits of contents, reads for the primary limit only."""

Choose = Callable[[Authority], Awaitable[Grant]]
Exchange = Callable[[Grant], Awaitable[Answer]]


class GitHubClient:
    """GitHub at ``url`` with the credentials of a Secret. Paths begin with ``/repos/…``. Methods raise a ForgeError.

    GitHub answers 404 also for what it hides for a moment, and callers take what is not found for deleted: a
    ForgeNotFound means that it was not found twice.

    ``check`` is called before each request that changes something, ``denied`` where credentials are refused or lack a
    permission, and ``count`` with the outcome of each request: ok, or the reason of the error. ``clock`` is monotonic
    seconds, ``now`` the time of day in UTC.
    """

    def __init__(  # noqa: PLR0913 - its edges, and two clocks
        self,
        session: aiohttp.ClientSession,
        url: str,
        secret: Secret,
        *,
        budget: Budget | None = None,
        transport: Transport | None = None,
        check: Callable[[], None] = lambda: None,
        denied: Callable[[ForgeDenied], None] = lambda _: None,
        count: Callable[[RequestKind, str], None] = lambda *_: None,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        sign: Sign = app_jwt,
    ) -> None:
        self._host = Host.of(url)
        self._budget = budget or Budget()
        self._transport = transport or Transport(session, proxy=proxy_for(self._host.rest))
        self._check = check
        self._denied = denied
        self._count = count
        self._monotonic = clock
        self._sleep = sleep
        self._clock = ForgeClock(now)
        self._auth = Auth(secret, self._send, self._clock, monotonic=clock, sign=sign)
        self._login: tuple[Authority, str] | None = None
        self._reading = asyncio.Semaphore(READERS)
        self._writing = asyncio.Lock()

    def remaining(self) -> Mapping[tuple[str, str], int]:
        """What is left of each primary limit, by account and resource."""
        return self._budget.remaining(self._monotonic())

    async def authority(self) -> Authority:
        """What requests are authorized by."""
        return await self._auth.authority()

    async def login(self) -> str:
        """The login that comments of these credentials have as their author, such as ``previews[bot]``."""
        authority = await self._auth.authority()
        if self._login is None or self._login[0] is not authority:
            self._login = await self._who(authority)
        return self._login[1]

    async def get(self, path: str) -> Json:
        """Read one thing; what was not modified costs nothing of the limit. Follows renamed repositories."""
        return (await self._get(path, _repository(path))).data

    async def pages(self, path: str) -> AsyncIterator[Json]:
        """Read a list, item by item over all its pages."""
        repository, following = _repository(path), path
        for _ in range(MOST_PAGES):
            answer = await self._get(following, repository)
            if not isinstance(answer.data, list):
                raise ForgeUnavailable(f"GitHub answers GET {path} with no list; the operator tries again")
            for item in answer.data:
                yield item
            link = answer.following and self._host.joined(self._host.url(path), answer.following)
            if not link:
                return
            following = link.removeprefix(self._host.rest)
        raise ForgeInvalid(f"the list at {path} has more than {MOST_PAGES} pages: the operator reads no further")

    async def write(self, method: str, path: str, body: Mapping[str, Json] | None = None) -> Json:
        """Send a POST, PATCH, PUT or DELETE: one after the other, within the budget. Its outcome may be unknown."""
        repository = _repository(path)
        async with self._writing:
            answer = await self._authorized(
                lambda authority: authority.writing(repository),
                lambda grant: self._write(method, path, grant, body, repository),
            )
            return answer.data

    async def graphql(self, query: str, variables: Mapping[str, Json], *, owner: str) -> GraphqlAnswer:
        """Send a query about repositories of one owner: an App has other credentials for each."""
        body = {"query": query, "variables": variables}
        answer = await self._authorized(
            lambda authority: authority.reading(owner), lambda grant: self._query(grant, body)
        )
        return graphql_of(answer.data)

    async def _who(self, authority: Authority) -> tuple[Authority, str]:
        try:
            return authority, await authority.login()
        except BadCredentials:
            renewed = await self._auth.renewed()
            if renewed is authority:
                raise
        return renewed, await renewed.login()

    async def _get(self, path: str, repository: str) -> Answer:
        return await self._authorized(
            lambda authority: authority.writing(repository), lambda grant: self._send("GET", path, grant, None)
        )

    async def _authorized(self, choose: Choose, exchange: Exchange) -> Answer:
        try:
            answer = await self._confirmed(choose, exchange)
        except ForgeDenied as error:
            self._denied(error)
            raise
        self._budget.note_success()
        return answer

    async def _confirmed(self, choose: Choose, exchange: Exchange) -> Answer:
        try:
            return await self._tried(choose, exchange)
        except ForgeNotFound:
            await self._sleep(CONFIRMED_SECONDS)
            return await self._tried(choose, exchange)

    async def _tried(self, choose: Choose, exchange: Exchange) -> Answer:
        """Once more with what the Secret holds now, or with a new token of the App, if GitHub refuses the first."""
        authority, grant = await self._auth.authority(), None
        try:
            grant = await choose(authority)
            return await exchange(grant)
        except BadCredentials:
            authority.refused(grant)
            again = await self._auth.renewed()
            if grant is None and again is authority:
                raise
            renewed = await choose(again)
            if renewed == grant:
                raise
        except ForgeDenied:
            authority.refused(grant)
            raise
        return await exchange(renewed)

    async def _write(
        self, method: str, path: str, grant: Grant, body: Mapping[str, Json] | None, repository: str
    ) -> Answer:
        whose = repository.lower()
        await self._until(self._budget.write_due(grant.account, whose, self._monotonic()), f"{method} {path}")
        self._budget.note_write(whose, self._monotonic())
        with self._counted("write"):
            return await self._exchange(method, self._host.url(path), grant, body)

    async def _query(self, grant: Grant, body: Mapping[str, Json]) -> Answer:
        await self._until(self._budget.read_due(grant.account, "graphql", self._monotonic()), "a GraphQL query")
        async with self._reading:
            with self._counted("read"):
                answer = await self._exchange("POST", self._host.graphql, grant, body)
                if is_graphql_limited(answer.data):
                    raise self._refusal(answer.headers, "a GraphQL query")
        return answer

    async def _send(self, method: str, path: str, grant: Grant, body: Mapping[str, Json] | None) -> Answer:
        """A request that makes no content."""
        await self._until(self._budget.read_due(grant.account, "core", self._monotonic()), f"{method} {path}")
        async with self._reading:
            with self._counted("read"):
                return await self._exchange(method, self._host.url(path), grant, body)

    @contextmanager
    def _counted(self, kind: RequestKind) -> Iterator[None]:
        try:
            yield
        except ForgeError as error:
            self._count(kind, error.reason.name)
            raise
        self._count(kind, "ok")

    async def _exchange(self, method: str, url: str, grant: Grant, body: Mapping[str, Json] | None) -> Answer:
        operation = f"{method} {url.removeprefix(self._host.rest).partition('?')[0]}"
        for _ in range(MOST_REDIRECTS + 1):
            if method != "GET":
                self._check()
            response = await self._transport.send(method, url, grant.authorization, body, whose=grant.account)
            self._note(response, grant)
            if is_limited(response):
                raise self._refusal(response.headers, operation)
            if response.status not in REDIRECTS:
                return answer_of(response, operation)
            target = self._host.joined(url, response.headers.get("location", ""))
            if target is None:
                raise ForgeUnavailable(
                    f"{operation} is redirected to another host, which gets no credentials; a platform engineer must "
                    "correct spec.reviews.url of the class if this lasts"
                )
            url = target
        raise ForgeUnavailable(f"{operation} is redirected again and again; the operator tries again")

    def _note(self, response: Response, grant: Grant) -> None:
        self._clock.note(response.headers)
        if told := allowance(response.headers):
            self._budget.note(grant.account, told, self._monotonic())

    def _refusal(self, headers: Mapping[str, str], operation: str) -> Exception:
        return limited(operation, self._budget.note_refusal(wait_seconds(headers), self._monotonic()))

    async def _until(self, due: float, operation: str) -> None:
        seconds = due - self._monotonic()
        if seconds > PATIENCE_SECONDS:
            raise limited(operation, seconds)
        if seconds > 0:
            await self._sleep(seconds)


def _repository(path: str) -> str:
    """The repository that a path is below."""
    if found := _REPOSITORY.match(path):
        return found[1]
    raise ValueError(f"{path} is below no repository")
