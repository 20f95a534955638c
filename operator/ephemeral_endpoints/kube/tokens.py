"""The Secret with an object's API token: how it is made, read and rotated."""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api import MANAGED_BY_LABEL, MANAGER, ROTATE_TOKEN_ANNOTATION
from ephemeral_endpoints.engine.errors import SecretTaken
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.kube.manifests import Raw

PREFIX: Final = "eep_"
"""Of tokens, so that scanners of source code and logs recognise them."""

GRACE: Final = timedelta(hours=1)
"""How long the token before a rotation is accepted beside the new one."""

FORMER_UNTIL_ANNOTATION: Final = "ephemeral-endpoints.io/former-token-until"
"""Of a Secret: until when the token before the last rotation is accepted."""

_TOKEN: Final = re.compile("[!-~]{16,1024}")
"""Whoever may write Secrets may choose the token: one that passes in a header, and that is not soon guessed."""

_SHA256: Final = re.compile("[0-9a-f]{64}")
_TOKEN_BYTES: Final = 32
_FORMER: Final = "former-token-sha256"


@dataclass(frozen=True, slots=True)
class FormerToken:
    """The token before the last rotation, which is accepted until then."""

    sha256: str
    until: datetime


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An object's token."""

    value: str = field(repr=False)
    former: FormerToken | None = None

    @property
    def sha256(self) -> str:
        """Lower-case hexadecimal digits."""
        return _sha256(self.value)

    def former_at(self, now: datetime) -> FormerToken | None:
        """The token before it, if that is still accepted."""
        return self.former if self.former and self.former.until > now else None


def token_of(secret: Raw, raw: Raw) -> str:
    """The token that an object's Secret holds. Raises SecretTaken."""
    name = secret["metadata"]["name"]
    owners = secret["metadata"].get("ownerReferences", [])
    if not any(owner["uid"] == raw["metadata"]["uid"] for owner in owners):
        raise SecretTaken(
            f"the Secret {name} does not belong to this object: delete or rename it, and the operator creates one"
        )
    token = _decoded(secret, "token")
    if not _TOKEN.fullmatch(token):
        raise SecretTaken(
            f"the Secret {name} holds no valid token: delete it, and the operator creates a new one. A token of your "
            "own must be 16 to 1024 printable ASCII characters without spaces"
        )
    return token


def tokens_of(secret: Raw, raw: Raw) -> ApiToken:
    """The same with the token before it, as long as both are accepted or may be. Raises SecretTaken."""
    until, former = _annotations(secret).get(FORMER_UNTIL_ANNOTATION, ""), _decoded(secret, _FORMER)
    token = token_of(secret, raw)
    try:
        ends = datetime.fromisoformat(until)
    except ValueError:
        return ApiToken(token)
    is_valid = ends.tzinfo is not None and _SHA256.fullmatch(former)
    return ApiToken(token, FormerToken(former, ends) if is_valid else None)


def new_secret(name: str, raw: Raw, owner: Raw) -> Raw:
    """A Secret with a new token for the object that ``owner`` refers to."""
    wanted = _annotations(raw).get(ROTATE_TOKEN_ANNOTATION)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": raw["metadata"]["namespace"],
            "labels": {MANAGED_BY_LABEL: MANAGER},
            **({"annotations": {ROTATE_TOKEN_ANNOTATION: wanted}} if wanted else {}),
            "ownerReferences": [{**owner, "controller": True}],
        },
        "type": "Opaque",
        "stringData": {"token": _new_token()},
    }


def must_rotate(secret: Raw, raw: Raw) -> bool:
    """Whether the object asks for a rotation that the Secret has not seen."""
    wanted = _annotations(raw).get(ROTATE_TOKEN_ANNOTATION)
    return wanted is not None and wanted != _annotations(secret).get(ROTATE_TOKEN_ANNOTATION)


def rotation(secret: Raw, raw: Raw, now: datetime) -> Raw:
    """The merge patch of a Secret that rotates its token, for this very version of it. Raises SecretTaken."""
    return {
        "metadata": {
            "uid": secret["metadata"]["uid"],
            "resourceVersion": secret["metadata"]["resourceVersion"],
            "annotations": {
                ROTATE_TOKEN_ANNOTATION: _annotations(raw)[ROTATE_TOKEN_ANNOTATION],
                FORMER_UNTIL_ANNOTATION: timestamp(now + GRACE),
            },
        },
        "stringData": {"token": _new_token(), _FORMER: _sha256(token_of(secret, raw))},
    }


def _new_token() -> str:
    return PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _annotations(raw: Raw) -> Mapping[str, str]:
    return raw["metadata"].get("annotations") or {}


def _decoded(secret: Raw, key: str) -> str:
    return base64.b64decode(secret.get("data", {}).get(key, "")).decode("ascii", errors="replace")
