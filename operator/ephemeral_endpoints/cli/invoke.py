"""Send a request to the model and print its answer.

The answer's body is printed on stdout, its status on stderr. Exit status: 0 answered; 1 refused, failed or not reached.
"""

import asyncio
import contextlib
import ipaddress
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import click

from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument, read, token_for
from ephemeral_endpoints.cli.open import public_url
from ephemeral_endpoints.cli.output import BAD, GOOD, printable, printable_lines, styled

_TIMEOUT: Final = aiohttp.ClientTimeout(total=90)
"""Longer than SageMaker takes at most: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html."""

_REFUSED: Final = 400


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    reason: str
    body: bytes
    seconds: float


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep invoke iris-pr-7 --data '{\"instances\": [[5.1, 3.5, 1.4, 0.2]]}'",
        "eep invoke iris-pr-7 --data @flowers.csv --content-type text/csv",
        "generate | eep invoke iris-pr-7 --data @-",
    ],
)
@name_argument
@on_cluster
@click.option("-d", "--data", required=True, help="The request: JSON, or @ and a file, where @- is the standard input.")
@click.option("--content-type", default="application/json", show_default=True, help="Media type of the request.")
@click.option("--accept", default="*/*", show_default=True, help="Media type of the answer.")
def command(name: str, target: Target, data: str, content_type: str, accept: str) -> None:
    """Send one POST. It is not repeated, and follows no redirect: it has the token."""
    body = _body(data)
    headers = {"Content-Type": content_type, "Accept": accept}

    async def found(cluster: Cluster) -> tuple[str | None, str | None]:
        raw, endpoint = await read(cluster, name)
        return public_url(endpoint), await token_for(cluster, raw, endpoint)

    url, token = run(target, found)
    if url is None:
        raise click.ClickException(f"{name} has no URL yet: `eep status {name}` shows how far it is")
    if token and not is_private(url):
        raise click.ClickException(f"{printable(url)} is not encrypted: the token is not sent there")
    try:
        answer = asyncio.run(_sent(url, headers | ({"Authorization": f"Bearer {token}"} if token else {}), body))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise click.ClickException(
            printable(f"{url} does not answer: {str(error) or type(error).__name__}. Try `eep status {name}`")
        ) from error
    _print(answer)
    if answer.status >= _REFUSED:
        raise click.exceptions.Exit(1)


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


def _body(data: str) -> bytes:
    if data == "@-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        try:
            return Path(data[1:]).read_bytes()
        except OSError as error:
            raise click.BadParameter(f"{data[1:]} cannot be read: {error.strerror}", param_hint="--data") from error
    return data.encode()


async def _sent(url: str, headers: dict[str, str], body: bytes) -> Answer:
    begun = time.monotonic()
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as session,
        session.post(url, data=body, headers=headers, allow_redirects=False) as response,
    ):
        content = await response.read()
        return Answer(response.status, response.reason or "", content, time.monotonic() - begun)


def _print(answer: Answer) -> None:
    colour = BAD if answer.status >= _REFUSED else GOOD
    status = styled(f"{answer.status} {printable(answer.reason)}".rstrip(), colour)
    click.echo(f"{status} in {answer.seconds:.2f} s, {len(answer.body)} bytes", err=True)
    if not sys.stdout.isatty():
        click.echo(answer.body, nl=False)
        return
    text = answer.body.decode(errors="replace")
    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    click.echo(printable_lines(text))
