"""The credentials in a Secret that a class names: a GitHub App, or a token."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ephemeral_endpoints.features.reviews.errors import ForgeSecretInvalid

TOKEN: Final = "token"  # noqa: S105 - a key of a Secret
APP_ID: Final = "appId"
PRIVATE_KEY: Final = "privateKey"
INSTALLATION_ID: Final = "installationId"


@dataclass(frozen=True, slots=True)
class Token:
    """A personal access token, of whatever kind and length."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class App:
    """A GitHub App. ``id`` is its App ID or its client ID; without ``installation_id`` installations are looked up.

    ``where`` names the Secret for people.
    """

    id: str
    private_key: str = field(repr=False)
    installation_id: str | None
    where: str


Credentials = Token | App


def credentials_of(data: Mapping[str, bytes], where: str) -> Credentials:
    """The credentials in the data of the Secret that ``where`` names for people. Raises ForgeSecretInvalid."""
    values = {key: text for key in (TOKEN, APP_ID, PRIVATE_KEY, INSTALLATION_ID) if (text := _text(data, key, where))}
    if TOKEN in values and APP_ID in values:
        raise ForgeSecretInvalid.with_advice(f"{where} has both {TOKEN} and {APP_ID}: keep one of them")
    if TOKEN in values:
        return Token(_one_line(values[TOKEN], TOKEN, where))
    missing = [key for key in (APP_ID, PRIVATE_KEY) if key not in values]
    if missing:
        raise ForgeSecretInvalid.with_advice(
            f"{where} lacks {' and '.join(missing)}: it needs the key {TOKEN}, or the keys {APP_ID} and {PRIVATE_KEY}"
        )
    installation = values.get(INSTALLATION_ID)
    if installation is not None and not (installation.isascii() and installation.isdigit()):
        raise ForgeSecretInvalid.with_advice(f"{INSTALLATION_ID} in {where} is not a number")
    return App(_one_line(values[APP_ID], APP_ID, where), values[PRIVATE_KEY], installation, where)


def _text(data: Mapping[str, bytes], key: str, where: str) -> str:
    try:
        return data.get(key, b"").decode().strip()
    except UnicodeDecodeError:
        raise ForgeSecretInvalid.with_advice(f"{key} in {where} is not text") from None


def _one_line(text: str, key: str, where: str) -> str:
    """It becomes part of a header."""
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ForgeSecretInvalid.with_advice(f"{key} in {where} has characters that it cannot have, such as spaces")
    return text
