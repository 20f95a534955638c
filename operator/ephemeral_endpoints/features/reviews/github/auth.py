"""By what requests are authorized: the token, or the App, that the Secret of a class holds now."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from ephemeral_endpoints.features.reviews.github.answers import Answer, member
from ephemeral_endpoints.features.reviews.github.app import AppAuthority, Sign
from ephemeral_endpoints.features.reviews.github.clock import ForgeClock
from ephemeral_endpoints.features.reviews.github.credentials import App, Token, credentials_of
from ephemeral_endpoints.features.reviews.github.grants import Grant, Send
from ephemeral_endpoints.features.reviews.github.signing import app_jwt


class Secret(Protocol):
    """A Secret that a class names."""

    @property
    def where(self) -> str:
        """Its namespace and name, for people."""
        ...

    async def data(self) -> Mapping[str, bytes]:
        """Its decoded data, as it was minutes ago at most. Raises a ForgeError if it cannot be read."""
        ...

    def forget(self) -> None:
        """Have it read again: what it holds was refused."""
        ...


class TokenAuthority:
    """A token is good for everything that it is good for."""

    def __init__(self, token: Token, send: Send) -> None:
        self.credentials = token
        self._send = send
        self._grant: Final = Grant(f"token {token.value}", "")

    async def login(self) -> str:
        """The login of the token's user."""
        return member(await self.user(), "login", str)

    async def user(self) -> Answer:
        """The token's user, with the scopes of a classic token in a header."""
        return await self._send("GET", "/user", self._grant, None)

    async def reading(self, owner: str) -> Grant:  # noqa: ARG002 - an App has another one for each owner
        """To read the pull requests of an owner's repositories."""
        return self._grant

    async def writing(self, repository: str) -> Grant:  # noqa: ARG002 - an App has another one for each repository
        """To read and write in a repository."""
        return self._grant

    def refused(self, grant: Grant | None) -> None:
        """Nothing but the Secret can help."""


Authority = TokenAuthority | AppAuthority


class Auth:
    """The authority of the Secret as it is now; another content is another authority.

    ``monotonic`` is in seconds.
    """

    def __init__(
        self, secret: Secret, send: Send, clock: ForgeClock, *, monotonic: Callable[[], float], sign: Sign = app_jwt
    ) -> None:
        self._secret = secret
        self._send = send
        self._clock = clock
        self._monotonic = monotonic
        self._sign = sign
        self._authority: Authority | None = None

    async def authority(self) -> Authority:
        """The present one. Raises ForgeSecretMissing or ForgeSecretInvalid."""
        credentials = credentials_of(await self._secret.data(), self._secret.where)
        if self._authority is None or self._authority.credentials != credentials:
            self._authority = self._of(credentials)
        return self._authority

    async def renewed(self) -> Authority:
        """The one to try once more with, after GitHub refused credentials: the Secret is read again."""
        self._secret.forget()
        return await self.authority()

    def _of(self, credentials: Token | App) -> Authority:
        if isinstance(credentials, Token):
            return TokenAuthority(credentials, self._send)
        return AppAuthority(credentials, self._send, self._clock, monotonic=self._monotonic, sign=self._sign)
