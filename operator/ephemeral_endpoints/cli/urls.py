"""URLs of models, and the tokens for them, which no command line shows."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from ephemeral_endpoints.cli.output import printable

TOKEN_VARIABLE: Final = "EEP_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN: Final = re.compile("[!-~]{1,4096}")

token_file_option: Final = click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"File with the token to send. Default: the variable {TOKEN_VARIABLE}, or no token.",
)


class UnencryptedError(click.ClickException):
    """A request is not sent, since others could read its token."""

    exit_code = 2


def named_url(url: str, option: str = "--url") -> str:
    """The URL, as an option has it. Raises BadParameter for what is none of http or https."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.BadParameter(f"{printable(url)} is not an http or https URL", param_hint=option)
    return url


def given_token(file: Path | None = None, variable: str = TOKEN_VARIABLE) -> str | None:
    """The token that the file holds, else the variable; None without one.

    Raises BadParameter, without the token, for one that cannot be sent.
    """
    text = file.read_text(encoding="utf-8", errors="replace") if file else os.environ.get(variable, "")
    token = text.strip()
    if token and not _TOKEN.fullmatch(token):
        hint = "--token-file" if file else variable
        raise click.BadParameter("the token has characters that no token has", param_hint=hint)
    return token or None


def refuse_unencrypted(url: str, token: str | None) -> None:
    """Raise UnencryptedError if there is a token, and others could read it on its way to the URL."""
    if token and not is_private(url):
        raise UnencryptedError(f"{printable(url)} is not encrypted: the token is not sent there")


def is_private(url: str) -> bool:
    """Whether nobody can read along: the URL is encrypted, or does not leave this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
