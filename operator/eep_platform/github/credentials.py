"""Authentication: tokens, the signatures of Apps, and the tokens of installations.

Sources: https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any, Final

import jwt
from aiohttp import web

from eep_platform.github.access import Caller
from eep_platform.github.errors import GitHubError, bad_credentials
from eep_platform.github.records import App, Installation, Permissions, Token
from eep_platform.github.store import Store

TOKEN_LIFE: Final = timedelta(hours=1)

_MOST_JWT_LIFE: Final = timedelta(minutes=10)
_SIGNING_KEY: Final = secrets.token_bytes(32)
"""Of the part of an installation's token that only GitHub can read."""


def authenticate(store: Store, request: web.Request) -> Caller:
    """Who makes a request. Raises GitHub's error 401."""
    header = request.headers.get("Authorization")
    if header is None:
        return Caller()
    scheme, _, value = header.partition(" ")
    if scheme.lower() not in {"bearer", "token"} or not value:
        raise bad_credentials()
    if value.count(".") == 2 and not value.startswith("ghs_"):  # noqa: PLR2004 - the three parts of a JWT, RFC 7519
        return Caller(app=_app(store, value))
    token = store.tokens.get(value)
    if token is None or (token.expires is not None and token.expires <= store.clock()):
        raise bad_credentials()
    return Caller(token=token)


def installation_token(
    store: Store, installation: Installation, permissions: Permissions, repositories: frozenset[int] | None
) -> Token:
    """Make a token of an installation, for an hour. It is as long as GitHub's are since 2026."""
    expires = store.clock() + TOKEN_LIFE
    claims = {"iss": "github", "installation_id": installation.id, "jti": secrets.token_hex(16), "exp": expires}
    made = Token(
        value=f"ghs_{installation.app.id}_{jwt.encode(claims, _SIGNING_KEY, algorithm='HS256')}",
        user=installation.app.bot,
        permissions=permissions,
        repositories=repositories,
        installation=installation,
        expires=expires,
    )
    store.tokens[made.value] = made
    return made


def _app(store: Store, token: str) -> App:
    try:
        issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss", ""))
        app = next((each for each in store.apps.values() if issuer in {str(each.id), each.client_id}), None)
        if app is None:
            raise bad_credentials("Integration not found")
        # Times are judged by the service's clock, below.
        claims = jwt.decode(
            token,
            app.public_key,
            algorithms=["RS256"],
            options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
        )
    except jwt.PyJWTError as error:
        raise bad_credentials("A JSON web token could not be decoded") from error
    _check_times(claims, store.clock())
    return app


def _check_times(claims: dict[str, Any], now: datetime) -> None:
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or issued > now.timestamp():
        raise _claim("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
    if not isinstance(expires, int) or expires <= now.timestamp():
        raise _claim(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the "
            "assertion expires"
        )
    if expires > (now + _MOST_JWT_LIFE).timestamp():
        raise _claim("'Expiration time' claim ('exp') is too far in the future")


def _claim(message: str) -> GitHubError:
    return bad_credentials(message)
