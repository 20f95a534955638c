"""What owners of accounts do at GitHub: tokens, Apps and their installations."""

import secrets
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from eep_platform.github.errors import not_found
from eep_platform.github.orders import NewApp, NewToken
from eep_platform.github.records import App, Installation, Token
from eep_platform.github.store import Store

_KEY_BITS: Final = 2048
_EXPONENT: Final = 65_537


class Administration:
    """Makes credentials, and takes them away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_token(self, order: NewToken) -> Token:
        """Make a token for a user. One that is neither classic nor fine-grained is classic, with all of ``repo``."""
        ids = None
        if order.repositories is not None:
            ids = frozenset(self._store.repository(name).id for name in order.repositories)
        is_fine = order.permissions is not None
        scopes = None if is_fine else frozenset({"repo"}) if order.scopes is None else order.scopes
        value = order.value or (f"github_pat_{secrets.token_hex(41)}" if is_fine else f"ghp_{secrets.token_hex(18)}")
        user = self._store.ensure_user(order.login)
        made = Token(value, user, scopes=scopes, permissions=order.permissions, repositories=ids)
        self._store.tokens[value] = made
        return made

    def revoke(self, value: str) -> None:
        """Revoke a token; raises the error 404 if there is none."""
        if self._store.tokens.pop(value, None) is None:
            raise not_found()

    def add_app(self, order: NewApp) -> dict[str, Any]:
        """Make an App and install it in the account of the first repository; answers its ids and its private key."""
        store = self._store
        repositories = [store.repository(name) for name in order.repositories]
        account, key = repositories[0].owner, _key(order.slug)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        app = App(
            id=store.new_id(),
            slug=order.slug,
            client_id=f"Iv23li{secrets.token_hex(7)}",
            owner=account,
            bot=store.ensure_user(f"{order.slug}[bot]", "Bot"),
            public_key=public,
            permissions={"metadata": "read", **order.permissions},
            created=store.clock(),
        )
        store.apps[app.id] = app
        ids = None if order.all_repositories else frozenset(each.id for each in repositories)
        made = Installation(store.new_id(), app, account, ids, app.permissions, store.clock())
        store.installations[made.id] = made
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        shown = {"id": app.id, "slug": app.slug, "client_id": app.client_id, "installation_id": made.id}
        return {**shown, "private_key": private.decode()}

    def uninstall(self, installation_id: int) -> None:
        """Uninstall an App; its tokens end. Raises the error 404 if there is no such installation."""
        gone = self._store.installations.pop(installation_id, None)
        if gone is None:
            raise not_found()
        for value in [value for value, token in self._store.tokens.items() if token.installation is gone]:
            del self._store.tokens[value]


@cache
def _key(_slug: str) -> rsa.RSAPrivateKey:
    """The key of Apps of this name in this process: making one takes long, and tests make many Apps."""
    return rsa.generate_private_key(_EXPONENT, _KEY_BITS)
