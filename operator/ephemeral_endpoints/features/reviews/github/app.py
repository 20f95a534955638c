"""A GitHub App: the tokens of its installations, which end within the hour, and what it is allowed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote

from ephemeral_endpoints.features.reviews.errors import (
    ForgeDenied,
    ForgeInvalid,
    ForgeNotFound,
    ForgeSecretInvalid,
    ForgeUnavailable,
)
from ephemeral_endpoints.features.reviews.github.answers import Answer, BadCredentials, Json, member
from ephemeral_endpoints.features.reviews.github.clock import ForgeClock
from ephemeral_endpoints.features.reviews.github.credentials import PRIVATE_KEY, App
from ephemeral_endpoints.features.reviews.github.grants import Grant, Send
from ephemeral_endpoints.features.reviews.github.permissions import READING, WRITING, granted
from ephemeral_endpoints.features.reviews.github.signing import UnreadableKeyError, app_jwt

EARLY_SECONDS: Final = 300.0
"""Before a token ends it is replaced: a request that has begun finishes with it."""

JWT_SECONDS: Final = 420.0
INSTALLATION_SECONDS: Final = 3600.0
_WRONG_SECONDS: Final = 30.0
"""By how much a clock must be wrong to explain that GitHub refuses what was signed by it."""

Sign = Callable[[str, str, int], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Installation:
    """An App's installation for one owner of repositories. ``until`` is monotonic seconds."""

    id: int
    permissions: Mapping[str, str]
    until: float


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    until: float


class AppAuthority:
    """The tokens of one App, by ``send``. ``monotonic`` is in seconds.

    Publishing is done by tokens of a single repository, and what is read of many by tokens that may only read.
    Methods raise a ForgeError.
    """

    def __init__(
        self, app: App, send: Send, clock: ForgeClock, *, monotonic: Callable[[], float], sign: Sign = app_jwt
    ) -> None:
        self.credentials = app
        self._send = send
        self._clock = clock
        self._monotonic = monotonic
        self._sign = sign
        self._signed: tuple[str, float, float] | None = None
        self._tokens: dict[str, _Token] = {}
        self._installations: dict[str, Installation] = {}
        self._ids: dict[str, int] = {}
        self._turn = asyncio.Lock()

    async def login(self) -> str:
        """The login of the App's comments."""
        async with self._turn:
            return f"{member(await self._asked('GET', '/app'), 'slug', str)}[bot]"

    async def permissions(self) -> Mapping[str, str]:
        """What the App asks for wherever it is installed."""
        async with self._turn:
            return member(await self._asked("GET", "/app"), "permissions", dict)

    async def reading(self, owner: str) -> Grant:
        """To read the pull requests of all repositories of an owner in which the App is installed."""
        async with self._turn:
            return Grant(f"token {await self._reading(owner)}", owner.lower())

    async def writing(self, repository: str) -> Grant:
        """To read and write in one repository."""
        owner = repository.partition("/")[0]
        async with self._turn:
            token = self._known(repository) or await self._narrowed(repository, owner)
            return Grant(f"token {token}", owner.lower())

    async def installation(self, owner: str) -> Installation:
        """The App's installation for an owner. Raises ForgeDenied if there is none."""
        async with self._turn:
            return await self._installation(owner)

    def refused(self, grant: Grant | None) -> None:
        """Forget a token, and the installation that it is of: its permissions may have changed."""
        if grant is None:
            return
        refused = grant.authorization.removeprefix("token ")
        self._tokens = {name: each for name, each in self._tokens.items() if each.value != refused}
        self._installations.pop(grant.account, None)

    async def _narrowed(self, repository: str, owner: str) -> str:
        body = {"repository_ids": [await self._id(repository, owner)]}
        try:
            return await self._mint(repository, owner, WRITING, body)
        except ForgeInvalid:
            self._ids.pop(repository, None)
            raise ForgeNotFound(
                f"the App is not installed in {repository} (any more): an owner of {owner} must select the repository "
                "in the installation; the operator tries again"
            ) from None

    async def _reading(self, owner: str) -> str:
        return self._known(owner) or await self._mint(owner, owner, READING, {})

    async def _mint(self, name: str, owner: str, wanted: Mapping[str, str], body: Mapping[str, Json]) -> str:
        installation = await self._installation(owner)
        permissions = granted(wanted, installation.permissions)
        path = f"/app/installations/{installation.id}/access_tokens"
        answer = await self._asked("POST", path, {**body, "permissions": permissions})
        token, ends = member(answer, "token", str), member(answer, "expires_at", str)
        until = self._monotonic() + self._clock.seconds_until(_moment(ends)) - EARLY_SECONDS
        self._tokens[name.lower()] = _Token(token, until)
        return token

    def _known(self, name: str) -> str | None:
        known = self._tokens.get(name.lower())
        return known.value if known and known.until > self._monotonic() else None

    async def _id(self, repository: str, owner: str) -> int:
        """The number of a repository, which it keeps when it is renamed."""
        if repository not in self._ids:
            grant = Grant(f"token {await self._reading(owner)}", owner.lower())
            try:
                answer = await self._send("GET", f"/repos/{repository}", grant, None)
            except BadCredentials:
                self.refused(grant)
                raise
            self._ids[repository] = member(answer, "id", int)
        return self._ids[repository]

    async def _installation(self, owner: str) -> Installation:
        known = self._installations.get(owner.lower())
        if known is None or known.until <= self._monotonic():
            known = self._installations[owner.lower()] = await self._find(owner)
        return known

    async def _find(self, owner: str) -> Installation:
        """GitHub finds an organization's installation by the path for users, too."""
        number = self.credentials.installation_id
        path = f"/app/installations/{number}" if number else f"/users/{quote(owner, safe='')}/installation"
        try:
            answer = await self._asked("GET", path)
        except ForgeNotFound:
            which = f"{number} does not exist" if number else f"for {owner} does not exist"
            raise ForgeDenied(
                f"the App's installation {which} (any more): an owner of {owner} must install the App; the operator "
                "tries again"
            ) from None
        if answer.data.get("suspended_at"):
            raise ForgeDenied(
                f"the App's installation for {owner} is suspended: an owner of {owner} must unsuspend it; the operator "
                "tries again"
            )
        permissions = member(answer, "permissions", dict)
        return Installation(member(answer, "id", int), permissions, self._monotonic() + INSTALLATION_SECONDS)

    async def _asked(self, method: str, path: str, body: Mapping[str, Json] | None = None) -> Answer:
        """A request as the App itself; once more if this machine's clock explains that it was refused."""
        jwt, ahead = await self._jwt()
        try:
            return await self._send(method, path, Grant(f"bearer {jwt}", ""), body)
        except BadCredentials:
            self._signed = None
            if abs(self._clock.ahead - ahead) < _WRONG_SECONDS:
                raise
        jwt, _ = await self._jwt()
        return await self._send(method, path, Grant(f"bearer {jwt}", ""), body)

    async def _jwt(self) -> tuple[str, float]:
        """The App's own token, and by how much GitHub's clock was believed to be ahead when it was signed."""
        if self._signed and self._signed[2] > self._monotonic():
            return self._signed[:2]
        app, ahead = self.credentials, self._clock.ahead
        try:
            jwt = await self._sign(app.id, app.private_key, int(self._clock.now().timestamp()))
        except UnreadableKeyError:
            raise ForgeSecretInvalid.with_advice(
                f"{PRIVATE_KEY} in {app.where} is not an RSA private key in PEM form, as GitHub offers it for download"
            ) from None
        except OSError as error:
            raise ForgeUnavailable(f"the operator cannot sign ({type(error).__name__}); it tries again") from None
        self._signed = jwt, ahead, self._monotonic() + JWT_SECONDS
        return jwt, ahead


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ForgeUnavailable("GitHub answers with a token that ends at no time; the operator tries again") from None
